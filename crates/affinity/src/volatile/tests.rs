use super::*;

#[test]
fn lines_are_skipped_by_count_and_by_pattern() {
    let cases: [(usize, &[&str], &str, &str); 9] = [
        (0, &[], "a\nb\n", "a\nb\n"),
        (1, &[], "a\nb\n", "b\n"),
        (2, &[], "a", ""),
        (0, &["^x-billing:"], "x-billing: 17\nYou are", "You are"),
        (0, &["^x-billing:"], "You are\nx-billing: 17", "You are\nx-billing: 17"),
        (0, &["^cwd ", "^date "], "date 1\ncwd /\ndate 2\nrest", "rest"),
        (1, &["^date "], "anything\ndate 1\nrest", "rest"),
        (1, &["^date "], "", ""),
        (0, &["\\d{4}-\\d\\d"], "It is 2026-11-22.\nrest", "rest"),
    ];
    for (count, patterns, text, expected) in cases {
        let lines = VolatileLines::new(count, patterns).expect("valid patterns");
        assert_eq!(
            lines.skip(text.as_bytes(), Escaping::None),
            expected.as_bytes(),
            "{count} {patterns:?} {text:?}"
        );
    }
}

#[test]
fn inside_a_json_string_only_a_true_escape_ends_a_line() {
    let lines = VolatileLines::new(1, &["^b"]).expect("valid patterns");
    let cases = [
        (r"a\nrest", "rest"),
        (r"a\\nb\nrest", "rest"),
        (r"a\\\nrest", "rest"),
        (r#"a\"\nb\nrest"#, "rest"),
        (r"a\", ""),
    ];
    for (text, expected) in cases {
        assert_eq!(
            lines.skip(text.as_bytes(), Escaping::Json),
            expected.as_bytes(),
            "{text}"
        );
    }
}

#[test]
fn a_pattern_that_fits_everything_does_not_make_all_prompts_equal() {
    let text: String = (0..40).map(|line| format!("{line}\n")).collect();
    for lines in [VolatileLines::new(1000, &[] as &[&str]), VolatileLines::new(0, &[""])] {
        let left = lines
            .expect("valid patterns")
            .skip(text.as_bytes(), Escaping::None)
            .to_vec();
        assert!(left.starts_with(b"16\n"));
    }
}

#[test]
fn a_pattern_that_does_not_compile_is_an_error() {
    assert!(VolatileLines::new(0, &["("]).is_err());
    assert!(VolatileLines::new(0, &["(a{1000}){1000}"]).is_err());
}

#[test]
fn calls_that_differ_in_a_volatile_line_are_one_conversation() {
    let index = crate::Index::new(crate::Capacity::default(), std::time::Instant::now());
    let lines = VolatileLines::new(0, &["^x-billing:"]).expect("valid patterns");
    let call = |tag: &str| {
        let mut trail = index.trail(&[b"m"]);
        trail.piece(
            b"system",
            lines.skip(format!("x-billing: {tag}\nYou are").as_bytes(), Escaping::None),
        );
        trail.points()[0].hash
    };
    assert_eq!(call("1"), call("2"));
}
