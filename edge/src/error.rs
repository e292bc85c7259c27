//! Every answer the edge gives by itself: one place that turns a reason into a status and OpenAI-shaped JSON.

use bytes::Bytes;
use serde_json::json;

/// Why a request is not forwarded, or not answered by its server. No variant carries anything of the request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadTarget(keymap::TargetError),
    CredentialConflict,
    NoKey,
    UnknownKey,
    NoRouter,
    ServerWidePath,
    BrokenRouter,
    BrokenFile,
    NoServer,
    /// `noop@internal`
    Noop,
    NoAggregator,
    BadModel(crate::model::ModelError),
    BodyTooLarge,
    LengthRequired,
    UpstreamFailed,
    UpstreamTimeout,
    BadRequest,
    HeadTooLarge,
    RequestTimeout,
    BodyTimeout,
    MethodNotAllowed,
    /// HTTP where TLS was expected.
    NotTls,
    /// More connections, or of one address, than are let in.
    TooManyConnections,
    /// The process is at its bound of memory.
    AtMemoryBound,
    /// A circuit breaker is open; the status is its mapping's.
    CircuitOpen(u16),
    /// Before or after its validity.
    KeyExpired,
    ModelNotAllowed,
    /// What cannot be read cannot be counted.
    UpgradeNotCounted,
    RateLimited,
    TooManyAtOnce,
    BudgetUsedUp,
    /// Its exchanges must be kept, and the journal takes none.
    NotKept,
    /// Too many wait for its service, or it waited too long.
    Overloaded,
    /// A `paths` middleware does not have it.
    PathNotAllowed,
    /// Of an `ipAllowList`, with the status it answers.
    AddressNotAllowed(u16),
    NoUpstreamKey,
    /// No failure: a browser asked whether it may call, and the answer's headers say so.
    Preflight,
}

impl Refusal {
    pub(crate) fn status(self) -> u16 {
        self.parts().0
    }

    /// Every reason there is.
    pub(crate) const CODES: [&'static str; 35] = [
        "bad_path",
        "conflicting_api_keys",
        "invalid_api_key",
        "no_route",
        "path_not_allowed",
        "router_broken",
        "mapping_broken",
        "no_server",
        "noop",
        "no_aggregator",
        "duplicate_model",
        "request_too_large",
        "length_required",
        "upstream_failed",
        "upstream_timeout",
        "bad_request",
        "headers_too_large",
        "request_timeout",
        "body_timeout",
        "method_not_allowed",
        "tls_required",
        "too_many_connections",
        "at_memory_bound",
        "circuit_open",
        "key_expired",
        "model_not_allowed",
        "upgrade_not_counted",
        "rate_limit_exceeded",
        "insufficient_quota",
        "journal_unavailable",
        "overloaded",
        "address_not_allowed",
        "no_upstream_key",
        "preflight",
        Self::OTHER,
    ];

    /// Where a reason's place in the list was forgotten; a test sees to it that none is.
    const OTHER: &'static str = "other";

    /// Where [`Refusal::code`] stands in [`Refusal::CODES`].
    pub(crate) fn code_index(self) -> usize {
        let code = self.code();
        let found = Self::CODES.iter().position(|known| *known == code);
        found.unwrap_or(Self::CODES.len() - 1)
    }

    /// The machine-readable reason, also the metric's label.
    pub(crate) fn code(self) -> &'static str {
        self.parts().2
    }

    pub(crate) fn body(self) -> Bytes {
        if self == Self::Preflight {
            return Bytes::new();
        }
        let (_, kind, code, message) = self.parts();
        Bytes::from(json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string())
    }

    /// Extra response headers beyond those of every JSON answer.
    pub(crate) fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self.status() {
            401 => &[("www-authenticate", "Bearer")],
            // Short: what is down here is usually a model that is loading or a file that is being written.
            503 => &[("retry-after", "1")],
            _ => &[],
        }
    }

    /// Whether the rest of the request is not worth reading, so that the connection ends with the answer.
    pub(crate) fn closes(self) -> bool {
        matches!(
            self,
            Self::BodyTooLarge | Self::LengthRequired | Self::BadRequest | Self::BodyTimeout
        )
    }

    fn parts(self) -> (u16, &'static str, &'static str, &'static str) {
        use keymap::TargetError;
        const INVALID: &str = "invalid_request_error";
        const SERVER: &str = "server_error";
        match self {
            Self::BadTarget(TargetError::Fragment) => (400, INVALID, "bad_path", "The request target has a fragment."),
            Self::BadTarget(TargetError::BadEscape) => (
                400,
                INVALID,
                "bad_path",
                "The path has a percent escape that is not two hexadecimal digits.",
            ),
            Self::BadTarget(TargetError::Ambiguous) => (
                400,
                INVALID,
                "bad_path",
                "The path means different things before and after decoding.",
            ),
            Self::BadTarget(TargetError::Form) => (400, INVALID, "bad_path", "The request target is not a path."),
            Self::CredentialConflict => (
                400,
                INVALID,
                "conflicting_api_keys",
                "The request carries two different API keys. Send one.",
            ),
            Self::NoKey => (
                401,
                INVALID,
                "invalid_api_key",
                "No API key was given. Send it as 'Authorization: Bearer KEY', 'x-api-key', 'api-key' or \
                 'x-goog-api-key'; a key in the query string is not read.",
            ),
            Self::UnknownKey => (401, INVALID, "invalid_api_key", "The API key is not known here."),
            Self::NoRouter => (404, INVALID, "no_route", "This API key leads nowhere for this request."),
            Self::ServerWidePath => (
                403,
                INVALID,
                "path_not_allowed",
                "This path shows or changes the whole server, so a key alone does not open it; a router's rule must \
                 name it with Path or PathPrefix.",
            ),
            Self::BrokenRouter => (
                503,
                SERVER,
                "router_broken",
                "The router of this API key cannot be used now.",
            ),
            Self::BrokenFile => (
                503,
                SERVER,
                "mapping_broken",
                "The mapping of this API key cannot be read now.",
            ),
            Self::NoServer => (503, SERVER, "no_server", "No server is available for this API key now."),
            Self::Noop => (418, INVALID, "noop", "This route leads to no server on purpose."),
            Self::NoAggregator => (
                503,
                SERVER,
                "no_aggregator",
                "This is the aggregator's to answer, and this edge runs without one. With an API key, the key's server \
                 is asked.",
            ),
            Self::BadModel(crate::model::ModelError::Twice) => {
                (400, INVALID, "duplicate_model", "The body names 'model' twice.")
            }
            Self::BodyTooLarge => (
                413,
                INVALID,
                "request_too_large",
                "The request body is larger than allowed.",
            ),
            Self::LengthRequired => (
                411,
                INVALID,
                "length_required",
                "This key is routed by the body's model; a body over 64 KiB must come with a Content-Length.",
            ),
            Self::UpstreamFailed => (
                502,
                SERVER,
                "upstream_failed",
                "The server could not be reached or gave no answer.",
            ),
            Self::UpstreamTimeout => (
                504,
                SERVER,
                "upstream_timeout",
                "The server took longer than configured.",
            ),
            Self::BadRequest => (400, INVALID, "bad_request", "The request is not valid HTTP."),
            Self::HeadTooLarge => (
                431,
                INVALID,
                "headers_too_large",
                "The request's headers are too long or too many.",
            ),
            Self::RequestTimeout => (
                408,
                INVALID,
                "request_timeout",
                "The request's headers did not come in time.",
            ),
            Self::BodyTimeout => (408, INVALID, "body_timeout", "The request's body came too slowly."),
            Self::NotTls => (
                400,
                INVALID,
                "tls_required",
                "This address speaks HTTPS: begin the URL with https://.",
            ),
            Self::TooManyConnections => (
                503,
                SERVER,
                "too_many_connections",
                "There are more connections than this edge takes, or than it takes from one address.",
            ),
            Self::AtMemoryBound => (503, SERVER, "at_memory_bound", "This edge is at its bound of memory."),
            Self::CircuitOpen(status) => (
                status,
                SERVER,
                "circuit_open",
                "The servers of this API key have failed too often, and are left in peace for a moment.",
            ),
            Self::NotKept => (
                503,
                SERVER,
                "journal_unavailable",
                "Requests with this API key are kept, and the journal cannot take this one now.",
            ),
            Self::Overloaded => (
                503,
                SERVER,
                "overloaded",
                "Too many requests wait for the servers of this API key now.",
            ),
            Self::MethodNotAllowed => (405, INVALID, "method_not_allowed", "This edge opens no tunnels."),
            Self::KeyExpired
            | Self::ModelNotAllowed
            | Self::UpgradeNotCounted
            | Self::RateLimited
            | Self::TooManyAtOnce
            | Self::BudgetUsedUp => self.limit_parts(),
            Self::PathNotAllowed => (
                403,
                INVALID,
                "path_not_allowed",
                "This API key does not open this path.",
            ),
            Self::AddressNotAllowed(status) => (
                status,
                INVALID,
                "address_not_allowed",
                "This API key may not be used from this address.",
            ),
            Self::NoUpstreamKey => (
                503,
                SERVER,
                "no_upstream_key",
                "The key that the server asks for cannot be read now.",
            ),
            Self::Preflight => (200, "none", "preflight", ""),
        }
    }

    /// What a key may not, or not now.
    fn limit_parts(self) -> (u16, &'static str, &'static str, &'static str) {
        const INVALID: &str = "invalid_request_error";
        const QUOTA: &str = "insufficient_quota";
        const REQUESTS: (u16, &str, &str) = (429, "requests", "rate_limit_exceeded");
        match self {
            Self::KeyExpired => (401, INVALID, "key_expired", "This API key is not valid at this time."),
            Self::ModelNotAllowed => (
                403,
                INVALID,
                "model_not_allowed",
                "This API key does not open the model asked for; a body that names no model asks for any.",
            ),
            Self::UpgradeNotCounted => (
                403,
                INVALID,
                "upgrade_not_counted",
                "This API key is limited by tokens or models, and a WebSocket could not be counted.",
            ),
            Self::RateLimited => (
                REQUESTS.0,
                REQUESTS.1,
                REQUESTS.2,
                "Too many requests in a short time. Retry after the time that the headers name.",
            ),
            Self::BudgetUsedUp => (
                429,
                QUOTA,
                QUOTA,
                "This API key's tokens of the current period are used up; the headers say when it ends.",
            ),
            _ => (
                REQUESTS.0,
                REQUESTS.1,
                REQUESTS.2,
                "Too many requests at the same time. Retry when one of them has ended.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_place_in_the_list() {
        use keymap::TargetError;
        for refusal in [
            Refusal::BadTarget(TargetError::Form),
            Refusal::CredentialConflict,
            Refusal::NoKey,
            Refusal::UnknownKey,
            Refusal::NoRouter,
            Refusal::ServerWidePath,
            Refusal::BrokenRouter,
            Refusal::BrokenFile,
            Refusal::NoServer,
            Refusal::Noop,
            Refusal::NoAggregator,
            Refusal::BadModel(crate::model::ModelError::Twice),
            Refusal::BodyTooLarge,
            Refusal::LengthRequired,
            Refusal::UpstreamFailed,
            Refusal::UpstreamTimeout,
            Refusal::BadRequest,
            Refusal::HeadTooLarge,
            Refusal::RequestTimeout,
            Refusal::BodyTimeout,
            Refusal::NotTls,
            Refusal::TooManyConnections,
            Refusal::AtMemoryBound,
            Refusal::MethodNotAllowed,
            Refusal::CircuitOpen(503),
            Refusal::KeyExpired,
            Refusal::ModelNotAllowed,
            Refusal::UpgradeNotCounted,
            Refusal::RateLimited,
            Refusal::TooManyAtOnce,
            Refusal::BudgetUsedUp,
            Refusal::NotKept,
            Refusal::Overloaded,
            Refusal::PathNotAllowed,
            Refusal::AddressNotAllowed(403),
            Refusal::NoUpstreamKey,
            Refusal::Preflight,
        ] {
            assert_eq!(Refusal::CODES[refusal.code_index()], refusal.code());
        }
    }

    #[test]
    fn bodies_are_openai_shaped_and_statuses_are_errors() {
        for refusal in [
            Refusal::NoKey,
            Refusal::BrokenFile,
            Refusal::ServerWidePath,
            Refusal::UpstreamFailed,
        ] {
            let body: serde_json::Value = serde_json::from_slice(&refusal.body()).expect("JSON");
            assert!(body["error"]["message"].is_string() && body["error"]["type"].is_string());
            assert_eq!(body["error"]["code"], refusal.code());
            assert!((400..600).contains(&refusal.status()));
        }
    }
}
