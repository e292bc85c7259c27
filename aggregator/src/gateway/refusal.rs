//! The one place where the gateway's failures become answers: in the client's dialect, with a fitting status.
//!
//! Refuses internals: what a client reads is a sentence of ours, or a backend's from which keys have been taken out.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dialect::{Dialect, Failure, FailureKind};
use serde_json::json;

use super::endpoint::Endpoint;
use super::headers::SHOULD_RETRY;
use crate::choice::ChoiceError;

/// openai-python gives up where it is told to wait for more than two minutes.
const RETRY_AFTER_S_MAX: u64 = 60;

/// An answer that is none.
#[derive(Debug)]
pub(super) struct Refusal {
    failure: Failure,
    /// Where another status than the kind's own says it better.
    status: Option<StatusCode>,
    /// OpenAI's word for programs, where it is another than the kind's.
    code: Option<&'static str>,
    /// The field of the request that is at fault.
    field: Option<String>,
    retry_after_s: Option<u64>,
    /// Every backend that could help has been tried: a client that tries again only adds to the load.
    is_spent: bool,
}

impl Refusal {
    pub(super) fn new(failure: Failure) -> Self {
        Self {
            failure,
            status: None,
            code: None,
            field: None,
            retry_after_s: None,
            is_spent: false,
        }
    }

    /// What is told, without how.
    pub(super) fn into_failure(self) -> Failure {
        self.failure
    }

    pub(super) fn at(self, field: Option<String>) -> Self {
        Self { field, ..self }
    }

    pub(super) fn coded(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// In one word, for logs and lists.
    pub(super) fn reason(&self) -> &'static str {
        self.code.unwrap_or(match self.failure.kind {
            FailureKind::InvalidRequest => "invalid_request",
            FailureKind::Authentication => "authentication",
            FailureKind::Permission => "permission",
            FailureKind::NotFound => "not_found",
            FailureKind::TooLarge => "request_too_large",
            FailureKind::RateLimit => "rate_limit_exceeded",
            FailureKind::Overloaded => "overloaded",
            FailureKind::Timeout => "upstream_timeout",
            FailureKind::Api => "upstream_failed",
        })
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> Option<&'static str> {
        self.code
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    pub(super) fn spent(self, retry_after_s: Option<u64>) -> Self {
        Self {
            is_spent: true,
            retry_after_s,
            ..self
        }
    }

    pub(super) fn into_response(self, endpoint: Endpoint) -> Response {
        let kind = self.failure.kind;
        let status = self
            .status
            .or_else(|| StatusCode::from_u16(kind.status()).ok())
            .unwrap_or(StatusCode::BAD_GATEWAY);
        let mut response = (status, self.body(endpoint)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.is_spent {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.min(RETRY_AFTER_S_MAX)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn body(&self, endpoint: Endpoint) -> Bytes {
        let Some(code) = self.code.filter(|_| endpoint.dialect() == Dialect::OpenAi) else {
            return endpoint.error_body(&self.failure, self.field.as_deref());
        };
        let kind = match self.failure.kind {
            FailureKind::Authentication => "authentication_error",
            FailureKind::Permission => "permission_error",
            FailureKind::Api | FailureKind::Overloaded | FailureKind::Timeout => "server_error",
            _ => "invalid_request_error",
        };
        let error = json!({"message": self.failure.message, "type": kind, "param": self.field, "code": code});
        Bytes::from(json!({ "error": error }).to_string())
    }
}

impl From<ChoiceError> for Refusal {
    fn from(error: ChoiceError) -> Self {
        match error {
            ChoiceError::UnknownModel => {
                // The name is not repeated: a client may have put anything there.
                let message = "No backend serves this model; GET /v1/models lists those that are served.";
                Self::new(Failure::new(FailureKind::NotFound, message))
                    .coded("model_not_found")
                    .at(Some("model".to_owned()))
            }
            ChoiceError::Unavailable => {
                let message = "No backend that serves this model can be reached just now.";
                Self::new(Failure::new(FailureKind::Overloaded, message))
                    .coded("no_backend_available")
                    .spent(None)
            }
        }
    }
}
