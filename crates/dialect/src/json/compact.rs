//! JSON without its blanks: some providers print an answer over many lines, and what becomes part of a line of a stream
//! may hold no line break.

/// Valid JSON without the blanks between its tokens; its strings and numbers stay as they are.
pub(crate) fn compact(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let keep = |it: &char| {
        match (inside, it) {
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => inside = !inside,
            _ => {}
        }
        inside || !matches!(it, ' ' | '\t' | '\n' | '\r')
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn blanks_go_and_strings_stay() {
        assert_eq!(
            compact("{ \"a b\" :\n\t[1.50 , \"\\\" \\\\\"] }\r\n"),
            r#"{"a b":[1.50,"\" \\"]}"#
        );
    }
}
