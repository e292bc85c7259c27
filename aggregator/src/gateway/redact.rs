//! A backend's own keys, taken out of what it says.

use axum::http::HeaderMap;
use bytes::Bytes;
use memchr::memmem;

/// What is shorter is no key, and taking it out would only make a message unreadable.
const KEY_BYTES_MIN: usize = 6;

/// `body` without the values of these headers that are marked sensitive, and without the keys in them.
pub(super) fn keys(body: Bytes, headers: &HeaderMap) -> Bytes {
    let secrets = headers.values().filter(|value| value.is_sensitive());
    secrets.fold(body, |body, value| {
        let value = value.as_bytes();
        let key = value.strip_prefix(b"Bearer ").unwrap_or(value);
        without(body, key)
    })
}

fn without(body: Bytes, key: &[u8]) -> Bytes {
    if key.len() < KEY_BYTES_MIN || memmem::find(&body, key).is_none() {
        return body;
    }
    let mut out = Vec::with_capacity(body.len());
    let mut from = 0;
    for at in memmem::find_iter(&body, key) {
        out.extend_from_slice(&body[from..at]);
        out.extend_from_slice(b"[redacted]");
        from = at + key.len();
    }
    out.extend_from_slice(&body[from..]);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::{AUTHORIZATION, HeaderValue};

    #[test]
    fn a_key_is_taken_out_wherever_it_stands() {
        let mut value = HeaderValue::from_static("Bearer canary-1");
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let body = Bytes::from_static(b"no canary-1, canary-1!");
        assert_eq!(keys(body, &headers), "no [redacted], [redacted]!");
    }
}
