//! What a browser is told of everything behind the door.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use super::Side;

/// A page is made of files of this address alone: nothing inline, nothing from elsewhere, no forms, in no frame.
const PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Data is no page: opened as one, it does nothing.
const ADMIN: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

const EVERYWHERE: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Sets them whatever the handler has set; only how long a page's files are kept is the handler's to say.
pub(super) fn shut(side: Side, headers: &mut HeaderMap) {
    for (name, value) in EVERYWHERE {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = match side {
        Side::Admin => ADMIN,
        Side::Pages => PAGES,
    };
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    if side == Side::Admin || !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.remove(SET_COOKIE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_handler_opens_what_is_shut() {
        for (side, kept) in [(Side::Admin, "no-store"), (Side::Pages, "max-age=60")] {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
            headers.insert(SET_COOKIE, HeaderValue::from_static("a=b"));
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src *"));
            shut(side, &mut headers);
            assert_eq!(headers[CACHE_CONTROL], kept);
            assert!(!headers.contains_key(SET_COOKIE));
            let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
            assert!(!policy.contains("unsafe"), "{policy}");
            for (name, value) in EVERYWHERE {
                assert_eq!(headers[name], value);
            }
        }
        let mut headers = HeaderMap::new();
        shut(Side::Pages, &mut headers);
        assert_eq!(headers[CACHE_CONTROL], "no-store");
    }
}
