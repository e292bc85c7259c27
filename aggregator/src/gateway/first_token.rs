//! Whether bytes on their way to a client hold generated content: what "time to first token" waits for.
//!
//! A look at the bytes, whatever the dialect, without parsing and without memory: a name that two pieces tear apart is
//! missed, and the next one counts. Content cannot forge one, for within it a quotation mark is escaped.

use memchr::memmem;

/// The fields in which dialects stream what was generated.
const FIELDS: [&[u8]; 7] = [
    b"\"content",
    b"\"reasoning_content",
    b"\"thinking",
    b"\"text",
    b"\"arguments",
    b"\"response",
    b"\"delta",
];

pub(super) fn holds_content(bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, b"\":").any(|at| {
        let value = bytes[at + 2..].trim_ascii_start();
        let is_text = value.first() == Some(&b'"') && value.get(1).is_some_and(|byte| *byte != b'"');
        is_text && FIELDS.iter().any(|name| bytes[..at].ends_with(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_generated_is_content_and_what_surrounds_it_is_not() {
        for (piece, expected) in [
            (
                r#"data: {"choices":[{"delta":{"role":"assistant","content":null}}]}"#,
                false,
            ),
            (
                r#"data: {"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
                false,
            ),
            (r#"data: {"choices":[{"delta":{"content": "hi"}}]}"#, true),
            (r#"data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, true),
            (r#"data: {"choices":[{"text":" a"}]}"#, true),
            (
                r#"data: {"type":"message_start","message":{"role":"assistant","content":[]}}"#,
                false,
            ),
            (
                r#"data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#,
                true,
            ),
            (r#"data: {"type":"response.output_text.delta","delta":"a"}"#, true),
            (
                r#"{"model":"m","message":{"role":"assistant","content":"a"},"done":false}"#,
                true,
            ),
            (r#"{"model":"m","response":"a","done":false}"#, true),
            ("data: [DONE]", false),
        ] {
            assert_eq!(holds_content(piece.as_bytes()), expected, "{piece}");
        }
    }
}
