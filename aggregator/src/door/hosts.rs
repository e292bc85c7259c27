//! Under which names administration answers, and which pages are its own.
//!
//! A browser lets a page read what is under the page's own name. Whoever owns a name can point it at this address once
//! their page is loaded; then `Host` still says their name, and that is how it is seen. An address as a name cannot be
//! pointed elsewhere, so any is good: behind a published port of a container it is none that this process knows.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;

use crate::config::ConfigError;

/// Names beside addresses and `localhost`: `--allowed-host`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// # Errors
    /// Where one is no name of a host.
    pub fn new(names: &[String]) -> Result<Self, ConfigError> {
        let mut hosts = Self::default();
        for name in names {
            let name = name.trim();
            if name.is_empty() || !name.bytes().all(is_of_a_name) {
                return Err(ConfigError {
                    option: "--allowed-host",
                    value: name.escape_default().to_string(),
                    rule: "this is a host's name, as it stands in an address before the port".to_owned(),
                    fix: "write a name such as conclave.example.org; addresses and localhost are always allowed"
                        .to_owned(),
                });
            }
            hosts.allow(name);
        }
        Ok(hosts)
    }

    /// The name that was listened on, if it is one.
    pub(crate) fn allow(&mut self, name: &str) {
        self.0.push(plain(name));
    }

    /// The host a request names, if it is one of ours. One that names none, or two, names none of ours.
    pub(super) fn named_in(&self, head: &Parts) -> Option<Authority> {
        let mut lines = head.headers.get_all(HOST).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return None;
        };
        let host = authority(line.to_str().ok()?)?;
        // A target in absolute form says it again.
        if head.uri.authority().is_some_and(|target| *target != host) {
            return None;
        }
        self.is_allowed(host.host()).then_some(host)
    }

    fn is_allowed(&self, host: &str) -> bool {
        let host = plain(host);
        host == "localhost" || is_address(&host) || self.0.contains(&host)
    }

    /// Whether the page that asks, if a page does, is of this host. A name that `--allowed-host` gives is ours whatever
    /// `Host` says: a proxy in front may have put its own there.
    pub(super) fn is_own_origin(&self, host: &Authority, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(ORIGIN).iter();
        let line = match (lines.next(), lines.next()) {
            (None, _) => return true,
            (Some(line), None) => line,
            (Some(_), Some(_)) => return false,
        };
        let Some((origin, port)) = line.to_str().ok().and_then(origin) else {
            return false;
        };
        let name = plain(origin.host());
        let same = name == plain(host.host()) && origin.port_u16().unwrap_or(port) == host.port_u16().unwrap_or(port);
        same || self.0.contains(&name)
    }
}

/// What a browser says of who asks. A program says nothing, and what has been typed is `none`.
pub(super) fn is_from_another_site(headers: &HeaderMap) -> bool {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let said = headers.get_all(SEC_FETCH_SITE);
    said.iter()
        .any(|site| site.as_bytes() != b"same-origin" && site.as_bytes() != b"none")
}

/// An origin's authority, and the port it has where it names none.
fn origin(text: &str) -> Option<(Authority, u16)> {
    let (rest, port) = match text.strip_prefix("https://") {
        Some(rest) => (rest, 443),
        None => (text.strip_prefix("http://")?, 80),
    };
    authority(rest).map(|authority| (authority, port))
}

fn authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    // With a name before it, or a port that is none.
    let behind_host = text.strip_prefix(authority.host())?;
    let is_plain = behind_host.is_empty() || authority.port_u16().is_some();
    (is_plain && !authority.host().is_empty()).then_some(authority)
}

/// As names are compared: in lower case, without the root's dot.
fn plain(name: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.to_ascii_lowercase()
}

fn is_address(host: &str) -> bool {
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match in_brackets {
        Some(host) => host.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    }
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn hosts() -> AllowedHosts {
        AllowedHosts::new(&["Conclave.Example.org".to_owned()]).unwrap()
    }

    fn head(target: &str, headers: &[(&str, &str)]) -> Parts {
        let request = headers.iter().fold(Request::get(target), |request, (name, value)| {
            request.header(*name, *value)
        });
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn addresses_localhost_and_allowed_names_are_ours_and_nothing_else() {
        for (lines, ours) in [
            (&["127.0.0.1:9080"][..], true),
            (&["127.0.0.1"], true),
            (&["192.0.2.7:9080"], true),
            (&["[::1]:9080"], true),
            (&["[::1]"], true),
            (&["localhost:9080"], true),
            (&["LOCALHOST."], true),
            (&["conclave.example.org"], true),
            (&["CONCLAVE.example.org.:443"], true),
            (&["evil.example"], false),
            (&["localhost.evil.example"], false),
            (&["evil-localhost"], false),
            (&["conclave.example.org.evil.example"], false),
            (&["127.0.0.1.evil.example"], false),
            (&["127.1"], false),
            (&["0x7f.0.0.1"], false),
            (&["2130706433"], false),
            (&["user@localhost"], false),
            (&["localhost:"], false),
            (&["localhost:99999"], false),
            (&["[::1"], false),
            (&["::1"], false),
            (&[""], false),
            (&["localhost", "localhost"], false),
            (&[], false),
        ] {
            let lines: Vec<_> = lines.iter().map(|line| ("host", *line)).collect();
            assert_eq!(hosts().named_in(&head("/", &lines)).is_some(), ours, "{lines:?}");
        }
    }

    #[test]
    fn a_target_in_absolute_form_says_the_same_as_host() {
        for (target, ours) in [
            ("http://localhost:1/admin", true),
            ("http://evil.example/admin", false),
            ("http://localhost:2/admin", false),
        ] {
            let head = head(target, &[("host", "localhost:1")]);
            assert_eq!(hosts().named_in(&head).is_some(), ours, "{target}");
        }
    }

    #[test]
    fn only_pages_of_this_host_or_of_an_allowed_name_may_ask() {
        for (host, origins, own) in [
            ("localhost:9080", &[][..], true),
            ("localhost:9080", &["http://localhost:9080"], true),
            ("localhost:9080", &["http://LOCALHOST:9080"], true),
            ("localhost:9080", &["http://localhost:3000"], false),
            ("localhost:9080", &["http://localhost"], false),
            ("localhost:9080", &["http://127.0.0.1:9080"], false),
            ("localhost:9080", &["null"], false),
            ("localhost:9080", &["file://"], false),
            ("localhost:9080", &["http://evil.example"], false),
            ("localhost:9080", &["http://localhost:9080@evil.example"], false),
            (
                "localhost:9080",
                &["http://localhost:9080", "http://localhost:9080"],
                false,
            ),
            ("192.0.2.7", &["http://192.0.2.7"], true),
            ("192.0.2.7", &["http://192.0.2.7:80"], true),
            ("192.0.2.7", &["https://192.0.2.7:443"], true),
            ("192.0.2.7", &["https://192.0.2.7:80"], false),
            ("[::1]:9080", &["http://[::1]:9080"], true),
            ("127.0.0.1:9080", &["https://conclave.example.org"], true),
            ("127.0.0.1:9080", &["https://conclave.example.org.evil.example"], false),
        ] {
            let headers: Vec<_> = origins.iter().map(|origin| ("origin", *origin)).collect();
            let head = head("/", &headers);
            let host = host.parse().unwrap();
            assert_eq!(hosts().is_own_origin(&host, &head.headers), own, "{host} {origins:?}");
        }
    }

    #[test]
    fn a_browser_that_says_another_site_asks_is_believed() {
        for (said, other) in [
            (&[][..], false),
            (&["same-origin"], false),
            (&["none"], false),
            (&["same-site"], true),
            (&["cross-site"], true),
            (&["same-origin", "cross-site"], true),
        ] {
            let headers: Vec<_> = said.iter().map(|said| ("sec-fetch-site", *said)).collect();
            assert_eq!(is_from_another_site(&head("/", &headers).headers), other, "{said:?}");
        }
    }

    #[test]
    fn what_is_no_name_is_told_with_its_fix() {
        for name in ["", "http://a.example", "a.example:80", "*", "a b", "[::1]"] {
            let error = AllowedHosts::new(&[name.to_owned()]).unwrap_err().to_string();
            assert!(error.contains("--allowed-host") && error.contains("fix:"), "{error}");
        }
    }
}
