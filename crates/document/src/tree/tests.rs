//! What YAML does to a tree: positions, spellings, aliases, merges, bounds.

use super::*;
use std::fmt::Write as _;

fn shape(node: &Node<'_>) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar(text) => format!("<{}>", &**text),
        Value::List(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(" ")),
        Value::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| format!("{}={}", entry.key, shape(&entry.value)))
                .collect();
            format!("{{{}}}", entries.join(" "))
        }
    }
}

#[test]
fn scalars_keep_their_spelling() {
    let cases = [
        ("", "null"),
        ("# only a comment\n", "null"),
        ("---\n", "null"),
        ("null", "null"),
        ("~", "null"),
        ("\"null\"", "<null>"),
        ("!!str null", "<null>"),
        ("007", "<007>"),
        ("1.10", "<1.10>"),
        ("yes", "<yes>"),
        (".inf", "<.inf>"),
        ("1_000", "<1_000>"),
        ("'it''s'", "<it's>"),
        ("a: 1\na: 2", "{a=<1> a=<2>}"),
        ("\u{feff}a: 1", "{a=<1>}"),
        ("a: 1\r\nb: [x, ~]\r\n", "{a=<1> b=[<x> null]}"),
        ("a:\n  - |\n    hi\n", "{a=[<hi\n>]}"),
        ("a: 1\n---\n", "{a=<1>}"),
        ("---\na: 1\n...\n", "{a=<1>}"),
    ];
    for (text, expected) in cases {
        assert_eq!(shape(&parse(text).unwrap()), expected, "{text:?}");
    }
}

#[test]
fn aliases_and_merges_are_resolved() {
    let cases = [
        ("a: &x [1, 2]\nb: *x", "{a=[<1> <2>] b=[<1> <2>]}"),
        ("a: &x k\n*x : 1", "{a=<k> k=<1>}"),
        (
            "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}",
            "{a={p=<1> q=<2>} b={q=<3> p=<1>}}",
        ),
        ("b: {<<: [{p: 1}, {p: 2, q: 4}]}", "{b={p=<1> q=<4>}}"),
    ];
    for (text, expected) in cases {
        assert_eq!(shape(&parse(text).unwrap()), expected, "{text:?}");
    }
}

#[test]
fn what_is_no_mapping_says_where_and_why() {
    let cases = [
        ("a:\n\t- x", (2, 2), "tabs"),
        ("a: b: c", (1, 5), "second `:`"),
        ("a: \"sk-canary", (1, 4), "must be closed"),
        ("a:\n  b: \"sk-canary\n  c: d\n", (2, 6), "must be closed"),
        ("a:\n  b: 'sk-canary\n", (2, 6), "must be closed"),
        ("a: \"\\q\"", (1, 4), "escape"),
        ("a: *nope", (1, 4), "anchor"),
        ("a: [1, 2", (1, 4), "Brackets"),
        ("a: 1\n b: 2", (2, 3), "second `:`"),
        ("a: 1\nb\n", (2, 1), "one column"),
        ("[1]: x", (1, 1), "name of a field"),
        ("? {a: b}\n: c", (1, 3), "name of a field"),
        ("a: 1\n---\nb: 2", (3, 1), "one YAML document"),
        ("a: &x\n  b: *x", (2, 6), "inside what it repeats"),
        ("a: {<<: 1}", (1, 9), "`<<`"),
        ("a: @x", (1, 4), "begin with this"),
    ];
    for (text, (line, column), rule) in cases {
        let fault = parse(text).unwrap_err();
        assert!(fault.rule.contains(rule), "{text:?}: {fault:?}");
        assert_eq!(fault.position, Position { line, column }, "{text:?}: {fault:?}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
}

#[test]
fn depth_is_bounded_through_aliases_too() {
    assert!(parse(&"[".repeat(10_000)).is_err());
    assert!(parse(&"- ".repeat(10_000)).is_err());
    let mut text = String::from("a0: &a0 [[[[x]]]]\n");
    for i in 1..1_000 {
        writeln!(text, "a{i}: &a{i} [[[[*a{}]]]]", i - 1).unwrap();
    }
    assert!(parse(&text).unwrap_err().rule.contains("32 levels"));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..20 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        writeln!(text, "a{i}: &a{i} [{aliases}]").unwrap();
    }
    assert!(parse(&text).unwrap_err().rule.contains("128 MiB"));
}

#[test]
fn a_byte_inside_a_scalar_is_found_again() {
    // `^` is the byte looked for.
    let cases = [
        ("r: ab^c", (1, 6)),
        ("r: \"ab^c\"", (1, 7)),
        ("r: 'ab^c'", (1, 7)),
        ("r: 'it''s^'", (1, 10)),
        ("r: \"a\\\"b^\"", (1, 9)),
        ("r: \"é`ü^\"", (1, 8)),
        ("r: |\n  ab\n  c^d\n", (3, 4)),
        ("r: >-\n  ab &&\n  c^d\n", (3, 4)),
        ("r: ab\n  c^d\n", (2, 4)),
        // An escape that spells another character: the scalar's start.
        ("r: \"\\x61b^\"", (1, 4)),
    ];
    for (text, (line, column)) in cases {
        let root = parse(text).unwrap();
        let Value::Map(entries) = &root.value else {
            panic!("{text}")
        };
        let Value::Scalar(scalar) = &entries[0].value.value else {
            panic!("{text}")
        };
        let offset = scalar.find('^').unwrap();
        assert_eq!(
            entries[0].value.locate(text, offset),
            Position { line, column },
            "{text:?}"
        );
    }
}
