//! Exchanges and sums as JSON. Times are RFC 3339, durations milliseconds; what nobody told is `null`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::api::time::rfc3339;
use crate::store::{Facts, Held, Row, StoreStats, Stored};

/// An exchange as lists show it.
pub(super) fn summary(row: &Row) -> Value {
    let Row {
        asked,
        answered,
        tokens,
        timing,
        ..
    } = row;
    json!({
        "object": "response",
        "id": row.id.to_string(),
        "parent": row.parent.map(|parent| parent.to_string()),
        "started_at": rfc3339(row.started_at_us),
        "plane": row.plane.name(),
        "key": asked.key,
        "service": asked.service,
        "backend": answered.backend,
        "model": answered.model,
        "model_asked": asked.model,
        "fallback_model": answered.fallback,
        "endpoint": asked.endpoint,
        "dialect": asked.dialect,
        "streamed": asked.streamed,
        "status": answered.status.name(),
        "refused": answered.refused,
        "http_status": answered.http_status,
        "error_code": answered.error_code,
        "finish_reason": answered.finish_reason,
        "embeddings": answered.embeddings.map(|embeddings| embeddings.count),
        "embedding_dimensions": answered.embeddings.map(|embeddings| embeddings.dimensions),
        "attempts": answered.attempts,
        "client": asked.client,
        "request_id": asked.request_id,
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "cached_tokens": tokens.cached,
        "thinking_tokens": tokens.thinking,
        "total_tokens": tokens.total(),
        "first_token_ms": timing.first_token_us.map(milliseconds),
        "duration_ms": timing.duration_us.map(milliseconds),
        "tokens_per_second": timing.tokens_per_second,
        "request_bytes": asked.body_bytes,
        "response_bytes": answered.body_bytes,
        "request_cut": answered.is_request_cut,
        "response_cut": answered.is_response_cut,
        "lossy": answered.is_lossy,
    })
}

/// An exchange with what was asked and answered, on one line; `None` only where there is no memory for it.
pub(super) fn whole(stored: &Stored) -> Option<String> {
    let content = &stored.content;
    let request = content.request.as_deref().map(Body::of);
    let response = content.response.as_deref().map(Body::of);
    let tool_calls = content.tool_calls.as_deref().map(|calls| Body::of(calls.as_bytes()));
    let whole = Whole {
        summary: summary(&stored.row),
        text: content.text.as_deref(),
        thinking: content.thinking.as_deref(),
        tool_calls,
        request,
        response,
    };
    serde_json::to_string(&whole).ok()
}

#[derive(Serialize)]
struct Whole<'s> {
    #[serde(flatten)]
    summary: Value,
    text: Option<&'s str>,
    thinking: Option<&'s str>,
    tool_calls: Option<Body>,
    request: Option<Body>,
    response: Option<Body>,
}

/// A body: as it is where it is JSON, number for number; as a text where it is one (a stream's events); else as Base64.
#[derive(Serialize)]
#[serde(untagged)]
enum Body {
    Json(Box<RawValue>),
    Text(String),
    Bytes { base64: String },
}

impl Body {
    fn of(bytes: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Self::Bytes {
                base64: STANDARD.encode(bytes),
            };
        };
        // No line break is inside of a token: strings spell theirs.
        let line = text.trim().replace(['\n', '\r'], " ");
        match RawValue::from_string(line) {
            Ok(json) => Self::Json(json),
            Err(_) => Self::Text(text.to_owned()),
        }
    }
}

pub(super) fn stats(stats: &StoreStats, facts: &Facts) -> Value {
    let total = |part: fn(&Held) -> u64| stats.held.iter().map(part).sum::<u64>();
    let by_status: serde_json::Map<String, Value> = stats
        .held
        .iter()
        .map(|held| (held.status.name().to_owned(), held.exchanges.into()))
        .collect();
    let (raw, stored) = (total(|held| held.raw_bytes), total(|held| held.stored_bytes));
    json!({
        "object": "storage.stats",
        "responses": total(|held| held.exchanges),
        "by_status": by_status,
        "input_tokens": total(|held| held.input_tokens),
        "output_tokens": total(|held| held.output_tokens),
        "oldest_at": stats.oldest_us.map(rfc3339),
        "newest_at": stats.newest_us.map(rfc3339),
        "bodies": {
            "bytes": raw,
            "stored_bytes": stored,
            "ratio": (stored > 0).then(|| raw as f64 / stored as f64),
        },
        "database": { "bytes": stats.file_bytes, "free_bytes": stats.free_bytes },
        "compress": facts.compresses,
        "encrypted": facts.is_encrypted,
        "full_text_search": facts.is_searchable,
        "retention": {
            "days": facts.retention.age_max.map(|age| age.as_secs() / 86_400),
            "max_mib": facts.retention.bytes_max.map(|bytes| bytes >> 20),
        },
    })
}

pub(crate) fn milliseconds(us: u64) -> f64 {
    us as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        serde_json::to_string(&Body::of(bytes)).unwrap()
    }

    #[test]
    fn bodies_are_shown_as_what_they_are_on_one_line() {
        for (bytes, expected) in [
            (
                &b"{\"n\": 1.50,\r\n \"a\":\"x\\ny\"}\n"[..],
                "{\"n\": 1.50,   \"a\":\"x\\ny\"}",
            ),
            (b"123456789012345678901234567890", "123456789012345678901234567890"),
            (b"data: {}\n\ndata: [DONE]\n\n", "\"data: {}\\n\\ndata: [DONE]\\n\\n\""),
            (b"{\"cut\":", "\"{\\\"cut\\\":\""),
            (b"", "\"\""),
            (&[0xff, 0], "{\"base64\":\"/wA=\"}"),
        ] {
            assert_eq!(shown(bytes), expected);
        }
    }
}
