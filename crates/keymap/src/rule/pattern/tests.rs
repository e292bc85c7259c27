use super::*;

#[test]
fn patterns_mean_what_they_mean_in_go() {
    for (pattern, value, expected) in [
        ("b", "abc", true),
        ("^b", "abc", false),
        ("B", "abc", false),
        ("(?i)B", "abc", true),
        ("(?i)(?-i)B", "abc", false),
        ("(?i-i)B", "abc", false),
        ("(?i:B)c", "abc", true),
        ("(?)b", "abc", true),
        ("(?s)a.b", "a\nb", true),
        ("a.b", "a\nb", false),
        ("(?m)^b$", "a\nb", true),
        ("^b$", "b\n", false),
        ("(?P<x>a)(?<y>b)(?:c)", "abc", true),
        ("^\\d+$", "09", true),
        ("^\\d$", "٣", false),
        ("^\\w$", "é", false),
        ("^\\W$", "é", true),
        ("^\\s$", "\u{b}", false),
        ("^[\\s\\S]$", "\u{b}", true),
        ("^[^\\d]$", "5", false),
        ("^[\\D5]$", "5", true),
        ("\\bb\\b", "é b", true),
        ("é\\b", "é", false),
        ("\\Qa.b", "a.b", true),
        ("\\Qa.b\\E+", "a.bbb", true),
        ("\\Qab\\E*$", "abbb", true),
        ("^[[]$", "[", true),
        ("^[a&&b]$", "&", true),
        ("^[+--]$", ",", true),
        ("^[a~~b]$", "~", true),
        ("^[]a]$", "]", true),
        ("^[^]a]$", "]", false),
        ("^[a-]$", "-", true),
        ("^[-a]$", "-", true),
        ("^[[:alpha:]]$", "é", false),
        ("^[[:^alpha:]]$", "1", true),
        ("^[[:word:]-]+$", "a_1-", true),
        ("^[\\pL\\x41-\\x43]$", "B", true),
        ("^\\p{Greek}$", "α", true),
        ("^\\P{Greek}$", "α", false),
        ("^\\p{^Greek}$", "α", false),
        ("^\\pL$", "é", true),
        ("^\\x41\\x{1F511}\\101\\0$", "A🔑A\0", true),
        ("^\\a\\f\\t\\n\\r\\v$", "\x07\x0c\t\n\r\x0b", true),
        ("^a{2}$", "aa", true),
        ("^a{2,}$", "aaa", true),
        ("^a{1,2}?$", "aaa", false),
        ("^a{,2}$", "a{,2}", true),
        ("^a{$", "a{", true),
        ("^a{01}$", "a{01}", true),
        ("^x{1000}$", "x", false),
        ("a|", "zzz", true),
        ("^()$", "", true),
        ("^#&~-_@$", "#&~-_@", true),
        ("^\\#\\&\\_\\-\\<$", "#&_-<", true),
        ("(?U)a+", "a", true),
        ("\\Aa\\z", "a", true),
        ("^a b # c$", "a b # c", true),
    ] {
        let compiled = Pattern::compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error:?}"));
        assert_eq!(compiled.matches(value.as_bytes()), expected, "{pattern} ← {value:?}");
    }
}

#[test]
fn what_go_refuses_is_refused() {
    for pattern in [
        "(?=x)",
        "(?!x)",
        "(?<=x)",
        "(?<!x)",
        "(?>x)",
        "(?#x)",
        "(?x)a",
        "(?u)a",
        "(?R)a",
        "(?-)",
        "(?i-)",
        "(?",
        "(?P<a>x)(?P<a>y)",
        "(?P<a-b>x)",
        "(?P<>x)",
        "(?P=a)",
        "\\1",
        "(a)\\1",
        "\\8",
        "\\Z",
        "\\C",
        "\\h",
        "\\u0041",
        "\\é",
        "\\",
        "[\\b]",
        "[\\Qa\\E]",
        "a**",
        "a+*",
        "a{2}{3}",
        "a??*",
        "*",
        "+a",
        "(*a)",
        "a|*",
        "(?i)*",
        "a{1001}",
        "a{2,1}",
        "a{9999999999}",
        "(",
        ")",
        "(a",
        "a)",
        "[",
        "[a",
        "[]",
        "[b-a]",
        "[a-\\d]",
        "[[:foo:]]",
        "\\p",
        "\\p{",
        "\\p{Nope}",
        "\\pZZ{",
        "\\p{script=Greek}",
        "\\x",
        "\\x4",
        "\\x{110000}",
        "\\x{}",
        "\\x{+41}",
    ] {
        // A class name that exists followed by more is Go's to take apart, not an error.
        let refused = Pattern::compile(pattern).is_err();
        assert_eq!(refused, pattern != "\\pZZ{", "{pattern}");
    }
}

#[test]
fn size_and_depth_are_bounded_and_no_error_shows_the_pattern() {
    let deep = format!("{}CANARY{}", "(".repeat(101), ")".repeat(101));
    for pattern in [
        "(CANARY\\pL{1000}){1000}",
        &deep,
        "CANARY[",
        "CANARY\\p{CANARY}",
        "CANARY(?P<CANARY",
    ] {
        let error = Pattern::compile(pattern).expect_err(pattern);
        assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
    }
    let shown = format!("{:?}", Pattern::compile("CANARY").expect("a pattern"));
    assert!(!shown.contains("CANARY"));
}

proptest::proptest! {
    #[test]
    fn no_pattern_makes_it_panic(pattern in "([\\[\\](){}\\\\^$.|*+?:<>P=!,\\-&~0-9a-eQEdpxiéU]){0,16}") {
        let _ = Pattern::compile(&pattern);
    }
}

#[test]
fn replacements_refer_to_groups_as_in_go() {
    for (pattern, replacement, value, expected) in [
        ("^/api/(.*)$", "/v1/$1", "/api/chat", Some("/v1/chat")),
        (
            "^/(?P<who>[a-z]+)/(?:x|y)/(.*)",
            "/$2/${who}",
            "/bob/x/z",
            Some("/z/bob"),
        ),
        ("^/(a)(b)?", "/$2$1$1x$3", "/a", Some("/a")),
        ("a", "$$", "aba", Some("$b$")),
        ("x", "y", "abc", None),
    ] {
        let compiled = Pattern::compile_with_groups(pattern).expect(pattern);
        let replaced = compiled.replaced(value.as_bytes(), replacement);
        let replaced = replaced.map(|bytes| String::from_utf8(bytes).expect("text"));
        assert_eq!(replaced.as_deref(), expected, "{pattern} {replacement}");
    }
}
