//! Errors as OpenAI's clients read them.

use bytes::Bytes;

use crate::error::{Failure, FailureKind};
use crate::json::write;

pub use crate::failure::parse;

/// `{"error":{"message","type","param","code"}}`: a body, and also what a stream's `data:` line holds.
pub fn render(failure: &Failure) -> Bytes {
    render_for_field(failure, None)
}

/// As [`render`], naming the field at fault as `param`.
pub fn render_for_field(failure: &Failure, field: Option<&str>) -> Bytes {
    let (kind, code) = names(failure.kind);
    let body = write::object(|to| {
        to.object("error", |to| {
            to.field("message", &failure.message)
                .field("type", kind)
                .field("param", &field)
                .field("code", code);
        });
    });
    body.into()
}

pub(super) fn names(kind: FailureKind) -> (&'static str, &'static str) {
    match kind {
        FailureKind::InvalidRequest => ("invalid_request_error", "invalid_request"),
        FailureKind::Authentication => ("authentication_error", "invalid_api_key"),
        FailureKind::Permission => ("permission_error", "permission_denied"),
        FailureKind::NotFound => ("invalid_request_error", "not_found"),
        FailureKind::TooLarge => ("invalid_request_error", "request_too_large"),
        FailureKind::RateLimit => ("rate_limit_error", "rate_limit_exceeded"),
        FailureKind::Overloaded => ("server_error", "overloaded"),
        FailureKind::Timeout => ("server_error", "timeout"),
        FailureKind::Api => ("server_error", "backend_error"),
    }
}
