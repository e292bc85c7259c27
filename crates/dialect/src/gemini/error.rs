//! Gemini's failures: `{"error":{"code","message","status"}}`, in an array where nothing asked for SSE.

use bytes::Bytes;

use crate::error::{Failure, FailureKind};
use crate::json::write;

pub use crate::failure::parse;

/// What a client of this dialect would read.
pub fn render(failure: &Failure) -> Bytes {
    let status = match failure.kind {
        FailureKind::InvalidRequest | FailureKind::TooLarge => "INVALID_ARGUMENT",
        FailureKind::Authentication => "UNAUTHENTICATED",
        FailureKind::Permission => "PERMISSION_DENIED",
        FailureKind::NotFound => "NOT_FOUND",
        FailureKind::RateLimit => "RESOURCE_EXHAUSTED",
        FailureKind::Overloaded => "UNAVAILABLE",
        FailureKind::Timeout => "DEADLINE_EXCEEDED",
        FailureKind::Api => "INTERNAL",
    };
    let body = write::object(|to| {
        to.object("error", |error| {
            error
                .field("code", &failure.kind.status())
                .field("message", &failure.message)
                .field("status", status);
        });
    });
    body.into()
}
