//! A provider's error, whatever its shape, as a [`Failure`] that may be shown.
//!
//! Refuses to pass on keys: providers quote them back ("Incorrect API key provided: sk-…"), client libraries put them
//! into URLs. What looks like one is blotted out, and a message is cut at [`MESSAGE_CHARS_MAX`].

use crate::error::{Failure, FailureKind};

/// A sentence for a person fits; a page of HTML from a proxy does not.
pub const MESSAGE_CHARS_MAX: usize = 2_000;

const BLOT: &str = "[redacted]";
/// How the providers' keys begin.
const KEY_STARTS: [&str; 9] = ["sk-", "sk_", "pk-", "AIza", "gsk_", "hf_", "xai-", "nvapi-", "r8_"];
/// After which a key follows.
const KEY_LABELS: [&str; 7] = [
    "bearer",
    "key=",
    "api_key=",
    "apikey=",
    "token=",
    "x-api-key:",
    "authorization:",
];

/// Reads a body of any dialect: `{"error":{"message"}}`, `{"error":"…"}`, `{"message"}`, `{"detail"}`, or plain text.
pub fn parse(status: u16, body: &[u8]) -> Failure {
    let message = message(body).unwrap_or_else(|| format!("the backend answered with status {status} and no reason"));
    Failure::new(FailureKind::of_status(status), safe(&message))
}

/// Reads an error object that came inside a stream, where there is no status. `fallback` is for a type nobody knows.
pub fn parse_in_stream(body: &[u8], fallback: FailureKind) -> Failure {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let error = value.get("error").unwrap_or(&value);
    let code = error
        .get("code")
        .and_then(serde_json::Value::as_u64)
        .and_then(|code| u16::try_from(code).ok());
    let named = ["code", "status", "type"]
        .iter()
        .filter_map(|name| error.get(name)?.as_str())
        .find_map(kind_named);
    let kind = named
        .or_else(|| code.filter(|code| *code >= 400).map(FailureKind::of_status))
        .unwrap_or(fallback);
    let message = message(body).unwrap_or_else(|| "the backend told of a failure and gave no reason".to_owned());
    Failure::new(kind, safe(&message))
}

/// The names that the dialects give to kinds of failure.
fn kind_named(name: &str) -> Option<FailureKind> {
    Some(match name {
        "invalid_request_error"
        | "invalid_request"
        | "INVALID_ARGUMENT"
        | "FAILED_PRECONDITION"
        | "context_length_exceeded"
        | "exceed_context_size_error" => FailureKind::InvalidRequest,
        "authentication_error" | "UNAUTHENTICATED" | "invalid_api_key" => FailureKind::Authentication,
        "permission_error" | "permission_denied" | "billing_error" | "PERMISSION_DENIED" => FailureKind::Permission,
        "not_found_error" | "not_found" | "NOT_FOUND" | "model_not_found" => FailureKind::NotFound,
        "request_too_large" => FailureKind::TooLarge,
        "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" | "insufficient_quota" => {
            FailureKind::RateLimit
        }
        "overloaded_error" | "overloaded" | "unavailable_error" | "UNAVAILABLE" => FailureKind::Overloaded,
        "timeout_error" | "timeout" | "DEADLINE_EXCEEDED" => FailureKind::Timeout,
        "api_error" | "server_error" | "internal_error" | "INTERNAL" => FailureKind::Api,
        _ => return None,
    })
}

fn message(body: &[u8]) -> Option<String> {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let message = match serde_json::from_slice::<serde_json::Value>(body) {
        // Gemini wraps its error in an array on some paths.
        Ok(serde_json::Value::Array(items)) => items.first().and_then(of_object),
        Ok(value) => of_object(&value).or_else(|| text(&value)),
        Err(_) => std::str::from_utf8(body)
            .ok()
            .filter(|body| !body.trim_start().starts_with('<'))
            .map(str::to_owned),
    };
    message.filter(|message| !message.trim().is_empty())
}

fn of_object(value: &serde_json::Value) -> Option<String> {
    let error = value.get("error");
    let candidates = [
        error.and_then(|error| error.get("message")),
        error,
        value.get("message"),
        value.get("detail"),
    ];
    candidates
        .into_iter()
        .flatten()
        .find_map(|candidate| candidate.as_str())
        .map(str::to_owned)
}

/// `message` without what looks like a key, and not too long.
pub fn safe(message: &str) -> String {
    let message: String = message.trim().chars().take(MESSAGE_CHARS_MAX).collect();
    let mut out = String::with_capacity(message.len());
    let mut after_label = false;
    for word in message.split_inclusive(|letter: char| letter.is_whitespace() || "\"'`,;()<>&?".contains(letter)) {
        let bare = word.trim_end_matches(|letter: char| letter.is_whitespace() || "\"'`,;()<>&?".contains(letter));
        let tail = &word[bare.len()..];
        let lower = bare.to_ascii_lowercase();
        let label = KEY_LABELS
            .iter()
            .find_map(|label| Some(lower.find(label)? + label.len()));
        let start = KEY_STARTS
            .iter()
            .filter_map(|start| bare.find(start))
            .find(|at| begins_word(bare, *at));
        let cut = match (label, start) {
            (Some(after), _) if after < bare.len() => Some(after),
            (_, Some(at)) if bare.len() - at >= 8 => Some(at),
            _ if after_label && bare.len() >= 8 => Some(0),
            _ => None,
        };
        match cut {
            Some(at) => out.extend([&bare[..at], BLOT]),
            None => out.push_str(bare),
        }
        // "Bearer abc", "Authorization: Bearer abc": the label's value is the next word.
        after_label = (label == Some(bare.len()) || (after_label && bare.is_empty())) && cut.is_none();
        out.push_str(tail);
    }
    out
}

fn begins_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|letter: char| letter.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_blotted_out_and_sentences_stay() {
        let cases = [
            (
                "Incorrect API key provided: sk-proj-abc123def456.",
                "Incorrect API key provided: [redacted]",
            ),
            (
                "GET https://h/v1?key=AIzaSyAbc&alt=sse failed",
                "GET https://h/v1?key=[redacted]&alt=sse failed",
            ),
            (
                "header 'Authorization: Bearer abcdef123456' is wrong",
                "header 'Authorization: Bearer [redacted]' is wrong",
            ),
            (
                "model 'llama-3' not found, try pulling it first",
                "model 'llama-3' not found, try pulling it first",
            ),
            ("task-force risk-free", "task-force risk-free"),
        ];
        for (message, expected) in cases {
            assert_eq!(safe(message), expected);
        }
        assert_eq!(safe(&"é".repeat(5_000)).chars().count(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn every_shape_of_error_gives_its_message() {
        let cases: [(&[u8], &str); 6] = [
            (br#"{"error":{"message":"no such model","type":"x"}}"#, "no such model"),
            (br#"{"error":"no such model"}"#, "no such model"),
            (br#"{"message":"no such model"}"#, "no such model"),
            (br#"{"detail":"no such model"}"#, "no such model"),
            (
                br#"[{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}]"#,
                "no such model",
            ),
            (b"no such model", "no such model"),
        ];
        for (body, message) in cases {
            assert_eq!(parse(404, body), Failure::new(FailureKind::NotFound, message));
        }
        let page = parse(502, b"<html>nginx</html>");
        assert_eq!(page.message, "the backend answered with status 502 and no reason");
    }
}
