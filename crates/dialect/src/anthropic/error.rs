//! Errors as Anthropic's clients read them.

use bytes::Bytes;

use crate::error::{Failure, FailureKind};
use crate::json::write;

pub use crate::failure::parse;

/// `{"type":"error","error":{"type","message"}}`: a body, and also what an `error` event holds.
pub fn render(failure: &Failure) -> Bytes {
    let body = write::object(|to| {
        to.field("type", "error");
        to.object("error", |to| {
            to.field("type", name(failure.kind))
                .field("message", &failure.message)
                .end()
        });
    });
    body.into()
}

fn name(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::InvalidRequest => "invalid_request_error",
        FailureKind::Authentication => "authentication_error",
        FailureKind::Permission => "permission_error",
        FailureKind::NotFound => "not_found_error",
        FailureKind::TooLarge => "request_too_large",
        FailureKind::RateLimit => "rate_limit_error",
        FailureKind::Overloaded => "overloaded_error",
        FailureKind::Timeout => "timeout_error",
        FailureKind::Api => "api_error",
    }
}
