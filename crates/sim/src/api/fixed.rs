//! Answers of an exact size, for benchmarks.

use serde_json::json;

use crate::wire;

/// A chat answer whose JSON is exactly so many bytes, or as few as its frame allows.
pub(crate) fn answer(model: &str, bytes: usize) -> Vec<u8> {
    let with = |content: &str| {
        let body = json!({
            "choices": [{"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": content}}],
            "created": 0,
            "model": model,
            "system_fingerprint": wire::FINGERPRINT,
            "object": "chat.completion",
            "usage": wire::usage(16, 0, 16),
            "id": "chatcmpl-fixed",
        });
        body.to_string().into_bytes()
    };
    let frame = with("").len();
    with(&"x".repeat(bytes.saturating_sub(frame)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_exact() {
        for bytes in [400, 600, 100_000] {
            assert_eq!(answer("sim", bytes).len(), bytes);
        }
        assert!(answer("sim", 0).len() < 400);
    }
}
