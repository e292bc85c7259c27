//! Pieces of generated content in a stream, counted by a look at its bytes.
//!
//! A stream's event carries a token or few, under one of a few names, whatever the dialect. Nothing is parsed and nothing
//! kept: a name that two reads tear apart is missed, which an estimate may be. Content cannot forge one, for within it a
//! quotation mark is escaped.

use memchr::memmem;

/// The fields in which dialects stream what was generated.
const FIELDS: [&[u8]; 9] = [
    b"\"content",
    b"\"reasoning_content",
    b"\"reasoning",
    b"\"thinking",
    b"\"text",
    b"\"arguments",
    b"\"partial_json",
    b"\"response",
    b"\"delta",
];

/// How many came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Events(u64);

impl Events {
    /// Counts what a read brought; returns how many that were.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> u64 {
        let found = memmem::find_iter(bytes, b"\":").filter(|&at| is_content(&bytes[..at], &bytes[at + 2..]));
        let more = found.count() as u64;
        self.0 += more;
        more
    }

    pub(crate) fn count(self) -> u64 {
        self.0
    }
}

/// Whether a field of one of the names begins here, with a string that is not empty.
fn is_content(before: &[u8], after: &[u8]) -> bool {
    let value = after.trim_ascii_start();
    value.starts_with(b"\"")
        && value.get(1).is_some_and(|byte| *byte != b'"')
        && FIELDS.iter().any(|name| before.ends_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_and_nothing_else() {
        for (event, expected) in [
            (
                r#"data: {"choices":[{"delta":{"role":"assistant","content":null}}]}"#,
                0,
            ),
            (r#"data: {"choices":[{"delta":{"content":""}}]}"#, 0),
            (r#"data: {"choices":[{"delta":{"content":"hi"}}]}"#, 1),
            (r#"data: {"choices": [{"delta": {"content": "hi"}}]}"#, 1),
            (r#"data: {"choices":[{"delta":{"content":"\"content\":\"x\""}}]}"#, 1),
            (r#"data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, 1),
            (r#"data: {"choices":[{"text":" a"}]}"#, 1),
            (
                r#"data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{"}}]}}]}"#,
                1,
            ),
            (
                r#"data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#,
                1,
            ),
            (r#"data: {"type":"response.output_text.delta","delta":"a"}"#, 1),
            (
                r#"{"model":"m","message":{"role":"assistant","content":"a"},"done":false}"#,
                1,
            ),
            (r#"{"model":"m","response":"a","done":false}"#, 1),
            (r#"data: {"choices":[],"usage":{"prompt_tokens":1}}"#, 0),
            ("data: [DONE]", 0),
        ] {
            let mut events = Events::default();
            assert_eq!(events.push(event.as_bytes()), expected, "{event}");
            assert_eq!(events.count(), expected);
        }
    }
}
