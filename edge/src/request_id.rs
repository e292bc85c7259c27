//! `x-request-id`: the caller's where it is usable, a new UUIDv7 otherwise; forwarded and echoed.

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::timestamp::Timestamp;
use uuid::timestamp::context::{ContextV7, ThreadLocalContext};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids are not somebody's correlation id; they would only fill logs.
const LENGTH_MAX: usize = 128;

thread_local! {
    /// Keeps a thread's ids in their order; one for all threads would be a lock on every request's way.
    static CLOCK: ContextV7 = const { ContextV7::new() };
}

pub(crate) enum RequestId {
    Given(HeaderValue),
    /// As text, so that it is written without an allocation.
    Made([u8; uuid::fmt::Hyphenated::LENGTH]),
}

impl RequestId {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(X_REQUEST_ID).iter();
        match (given.next(), given.next()) {
            (Some(id), None) if is_usable(id.as_bytes()) => Self::Given(id.clone()),
            _ => Self::made(),
        }
    }

    fn made() -> Self {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let now = Timestamp::now(ThreadLocalContext::new(&CLOCK));
        uuid::Uuid::new_v7(now).hyphenated().encode_lower(&mut text);
        Self::Made(text)
    }

    /// The name under which an exchange is kept: the same, where it is ours. Two clients may give the same id.
    pub(crate) fn as_exchange_id(&self) -> capture::ExchangeId {
        match self {
            Self::Given(_) => capture::new_id(),
            Self::Made(text) => uuid::Uuid::try_parse_ascii(text)
                .map_or_else(|_| capture::new_id(), |id| capture::ExchangeId(id.into_bytes())),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Given(id) => id.as_bytes(),
            Self::Made(text) => text,
        }
    }
}

fn is_usable(id: &[u8]) -> bool {
    (1..=LENGTH_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usable_id_is_kept_and_any_other_replaced() {
        let long = "x".repeat(LENGTH_MAX + 1);
        for (given, kept) in [("abc-123", true), ("", false), ("a b", false), (long.as_str(), false)] {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(given).expect("value"))]);
            assert_eq!(RequestId::of(&headers).as_bytes() == given.as_bytes(), kept, "{given}");
        }
        let mut twice = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static("a"))]);
        twice.append(X_REQUEST_ID, HeaderValue::from_static("b"));
        assert_eq!(RequestId::of(&twice).as_bytes().len(), uuid::fmt::Hyphenated::LENGTH);
    }
}
