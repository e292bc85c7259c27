//! Why the door stays shut; `crate::error` says it in HTTP.

use std::time::Duration;

use axum::http::StatusCode;

use crate::error::ApiError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DoorRefusal {
    /// `Host` is missing, doubled, or a name that is not ours.
    Host,
    /// A page of another site asks.
    Origin,
    /// Too many wrong tokens came from this address; none is looked at for so long.
    Attempts(Duration),
    BodySize,
    BodySlow,
}

impl DoorRefusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Attempts(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::BodySize => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodySlow => StatusCode::REQUEST_TIMEOUT,
        }
    }

    pub(crate) fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Host => ("invalid_request_error", "host_not_allowed"),
            Self::Origin => ("invalid_request_error", "origin_not_allowed"),
            Self::Attempts(_) => ("rate_limit_error", "too_many_attempts"),
            Self::BodySize => ("invalid_request_error", "request_too_large"),
            Self::BodySlow => ("invalid_request_error", "request_timeout"),
        }
    }

    /// Names nothing of the request's.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Host => {
                "Administration and its pages answer under an address, under `localhost`, and under the names that \
                 --allowed-host gives; this request names another host."
            }
            Self::Origin => {
                "Administration answers its own pages only, and this request comes from a page of another site. A proxy that \
                 changes `Host` in front of the aggregator is told of with --allowed-host NAME."
            }
            Self::Attempts(_) => "Too many wrong tokens came from this address; try again in a moment.",
            Self::BodySize => "The body of a request to administration has at most 1 MiB.",
            Self::BodySlow => "The body of a request to administration must come within 10 seconds.",
        }
    }

    pub(crate) fn retry_after(self) -> Option<u64> {
        match self {
            Self::Attempts(wait) => Some(wait.as_secs() + 1),
            _ => None,
        }
    }
}

impl From<DoorRefusal> for ApiError {
    fn from(refusal: DoorRefusal) -> Self {
        Self::Door(refusal)
    }
}
