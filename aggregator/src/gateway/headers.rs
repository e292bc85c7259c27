//! Headers of our own, on the way in, on to the backend and out.

use axum::http::header::{HeaderMap, HeaderName, HeaderValue, VIA};
use uuid::Uuid;

/// Names a request: accepted from the client, told to the backend, and echoed.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The model that answered, where it is not the one that was asked for.
pub(super) const FALLBACK_MODEL: HeaderName = HeaderName::from_static("x-fallback-model");

/// The name of the backend that answered.
pub(super) const BACKEND: HeaderName = HeaderName::from_static("x-conclave-backend");

/// Keeps nginx and its kin from collecting a stream before they pass it on.
pub(super) const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// OpenAI's and Anthropic's clients obey it over their own rules.
pub(super) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What others make is a UUID or a trace's id; longer ones are somebody's way to fill our logs.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// One request's name.
#[derive(Debug, Clone)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// The client's, where it is fit to be repeated; else a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let fit = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        };
        let made = || HeaderValue::from_str(&fresh_id()).unwrap_or(HeaderValue::from_static("none"));
        Self(headers.get(REQUEST_ID).filter(fit).cloned().unwrap_or_else(made))
    }

    /// The id of a part of this request, which is a request itself.
    pub(super) fn part(&self, part: &str) -> Self {
        let made = HeaderValue::from_str(&format!("{}.{part}", self.as_str()));
        made.map_or_else(|_| self.clone(), Self)
    }

    pub(super) fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Ordered by time, so that ids made from it sort as the requests came.
pub(super) fn fresh_id() -> String {
    Uuid::now_v7().simple().to_string()
}

/// Whom a request came through, and us: what it goes on with, so that a loop over several gateways is seen by its first.
/// Without a line where it came from a client, for then our own line is enough, and that every request has. The trace that
/// it belongs to goes on with it.
pub(super) fn hops(headers: &HeaderMap, own: HeaderValue) -> HeaderMap {
    let mut hops = HeaderMap::new();
    for hop in headers.get_all(VIA) {
        hops.append(VIA, hop.clone());
    }
    if !hops.is_empty() {
        hops.append(VIA, own);
    }
    for name in super::trace::CARRIED {
        for value in headers.get_all(&name) {
            hops.append(&name, value.clone());
        }
    }
    hops
}

/// A value made of a name that may hold anything.
pub(super) fn named(name: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(name)
        .or_else(|_| HeaderValue::from_bytes(name.as_bytes()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_id_is_taken_where_it_is_fit_to_be_repeated() {
        let long = "x".repeat(REQUEST_ID_BYTES_MAX + 1);
        for (sent, kept) in [("abc-1", true), ("a b", false), ("", false), (&*long, false)] {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(sent).unwrap())]);
            assert_eq!(RequestId::of(&headers).as_str() == sent, kept, "{sent}");
        }
        let made = RequestId::of(&HeaderMap::new());
        assert_eq!(made.as_str().len(), 32);
    }
}
