//! What an exchange sees of a request's head, whichever carrier read it.

use std::borrow::Cow;
use std::net::SocketAddr;

use http::{HeaderMap, header};
use keymap::Target;

pub(crate) struct Head<'a> {
    pub(crate) client: SocketAddr,
    pub(crate) tls: bool,
    pub(crate) method: &'a http::Method,
    /// The request target as it came.
    pub(crate) target: &'a [u8],
    pub(crate) headers: &'a HeaderMap,
    pub(crate) content_length: Option<u64>,
}

impl Head<'_> {
    /// Whether there is a body, or may be: HTTP/2 need not announce one.
    pub(super) fn brings_body(&self) -> bool {
        let may_bring = [http::Method::POST, http::Method::PUT, http::Method::PATCH].contains(self.method);
        match self.content_length {
            Some(length) => length > 0,
            None => may_bring || self.headers.contains_key(header::TRANSFER_ENCODING),
        }
    }
}

/// A target that names a host and a `Host` that names another: rules would match the one and the server get the other.
pub(super) fn names_one_host(target: &Target, headers: &HeaderMap) -> bool {
    let named = headers.get(header::HOST).map(|host| host.as_bytes());
    match (target.authority(), named) {
        (Some(authority), Some(host)) => authority.as_bytes().eq_ignore_ascii_case(host),
        _ => true,
    }
}

/// The host that rules match: the target's authority before the `Host` header (RFC 9112, 3.2.2), in lower case, without
/// port and trailing dot.
pub(super) fn host<'a>(target: &'a Target, headers: &'a HeaderMap) -> Cow<'a, str> {
    let from_header = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = target.authority().or_else(from_header).unwrap_or_default();
    let name = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_target_with_a_host_agrees_with_the_host_header() {
        for (target, host, agrees) in [
            ("/v1", Some("edge"), true),
            ("http://Edge:80/v1", Some("edge:80"), true),
            ("http://other/v1", Some("edge"), false),
            ("http://other/v1", None, true),
        ] {
            let lines = host.map(|host| (header::HOST, HeaderValue::from_static(host)));
            let target = Target::parse(target.as_bytes()).expect("a target");
            assert_eq!(
                names_one_host(&target, &HeaderMap::from_iter(lines)),
                agrees,
                "{host:?}"
            );
        }
    }

    #[test]
    fn hosts_are_compared_without_port_case_and_final_dot() {
        for (value, expected) in [
            ("H:8080", "h"),
            ("gpu.Example.", "gpu.example"),
            ("[::1]:80", "::1"),
            ("", ""),
        ] {
            let target = Target::parse(b"/v1/models").expect("a path");
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_str(value).expect("value"))]);
            assert_eq!(host(&target, &headers), expected, "{value}");
        }
    }
}
