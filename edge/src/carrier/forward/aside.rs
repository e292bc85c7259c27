//! What is answered before any rule is asked: an authority's look at a name, and the way from HTTP to HTTPS.
//!
//! Neither knows of keys, and neither reaches a server. A request that is answered here is counted by its status.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, header};

use super::client::{Client, Terms};
use super::request::Request;
use crate::error::Refusal;
use crate::plane::Plane;
use crate::tls::{Challenges, Redirect};

/// What an entry point without TLS has besides its routes.
#[derive(Clone, Default)]
pub(crate) struct Aside {
    pub(crate) challenges: Option<Arc<Challenges>>,
    /// `None`: requests are served.
    pub(crate) redirect: Option<Redirect>,
}

impl Aside {
    /// True where the request was answered and the connection may carry another. `None`: it is not answered here.
    pub(super) async fn answer(&self, client: &mut Client, request: &mut Request, plane: &Plane) -> Option<bool> {
        let page = self.challenges.as_ref().and_then(|all| all.page(request.target()));
        let mut terms = request.terms;
        let (status, head, body) = match (page, &self.redirect) {
            (Some(page), _) if request.method == Method::GET || request.method == Method::HEAD => {
                (StatusCode::OK, "Content-Type: text/plain\r\n".to_owned(), page)
            }
            (_, Some(redirect)) => match location(request, redirect) {
                Some(location) => (moved(&request.method, redirect), location, Bytes::new()),
                None => {
                    let refusal = Refusal::BadRequest;
                    let head = "Content-Type: application/json\r\n".to_owned();
                    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
                    (status, head, refusal.body())
                }
            },
            (_, None) => return None,
        };
        terms.keep_alive &= request.body.discard_small(client).await && !plane.stop.is_stopping();
        plane.metrics.answered(Some(status.as_u16()));
        let sent = client.send(&bytes(status, &head, &body, terms)).await.is_ok();
        if sent && !request.body.is_done() {
            request.body.linger(client).await;
        }
        client.active_at = std::time::Instant::now();
        Some(sent && terms.keep_alive)
    }
}

/// A client that sends a body sends it again, so that its method must stay; for what only reads, the older codes are what
/// every client knows.
fn moved(method: &Method, redirect: &Redirect) -> StatusCode {
    match (method == Method::GET || method == Method::HEAD, redirect.permanent) {
        (true, true) => StatusCode::MOVED_PERMANENTLY,
        (true, false) => StatusCode::FOUND,
        (false, true) => StatusCode::PERMANENT_REDIRECT,
        (false, false) => StatusCode::TEMPORARY_REDIRECT,
    }
}

/// The same host and target. `None`: the request does not say which.
fn location(request: &Request, redirect: &Redirect) -> Option<String> {
    let host = host(request.headers.get(header::HOST)?.as_bytes())?;
    let target = std::str::from_utf8(request.target()).ok()?;
    // An absolute target names a host of its own, and `//` would be read as one.
    if !target.starts_with('/') || target.starts_with("//") {
        return None;
    }
    Some(match redirect.to_port {
        443 => format!("Location: https://{host}{target}\r\n"),
        port => format!("Location: https://{host}:{port}{target}\r\n"),
    })
}

/// Without its port.
fn host(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let (host, rest) = match text.strip_prefix('[').and_then(|rest| rest.find(']')) {
        Some(end) => text.split_at(end + 2),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = rest.strip_prefix(':').unwrap_or(rest);
    let inside = host.strip_prefix('[').map_or(host, |host| &host[..host.len() - 1]);
    let is_ipv6 = inside.len() != host.len();
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c) || (is_ipv6 && c == b':');
    let is_host = !inside.is_empty() && inside.bytes().all(plain);
    (is_host && port.bytes().all(|c| c.is_ascii_digit())).then_some(host)
}

fn bytes(status: StatusCode, head: &str, body: &[u8], terms: Terms) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256 + head.len() + body.len());
    // Writing to a vector cannot fail.
    let _ = write!(
        bytes,
        "HTTP/1.1 {} {}\r\n{head}Content-Length: {}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    );
    bytes.extend_from_slice(terms.connection_line());
    bytes.extend_from_slice(b"\r\n");
    if !terms.is_head {
        bytes.extend_from_slice(body);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HeadBounds;

    fn redirected(line: &str, host: &str, to_port: u16) -> Option<String> {
        let mut bytes = Bytes::from(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let request = Request::take(&mut bytes, &HeadBounds::default()).ok()??;
        let redirect = Redirect {
            to_port,
            permanent: true,
        };
        let location = location(&request, &redirect)?;
        Some(location.trim_start_matches("Location: ").trim_end().to_owned())
    }

    #[test]
    fn the_way_leads_to_the_same_host_and_target_and_nowhere_else() {
        for (line, host, to_port, expected) in [
            ("GET /", "a.example", 443, Some("https://a.example/")),
            ("GET /v1/x?q=1", "A.example:80", 443, Some("https://A.example/v1/x?q=1")),
            ("POST /v1", "a.example:8080", 8443, Some("https://a.example:8443/v1")),
            ("GET /", "[::1]:80", 443, Some("https://[::1]/")),
            ("GET /", "[::1]", 8443, Some("https://[::1]:8443/")),
            ("GET /", "[]", 443, None),
            ("GET /", "[::1]x", 443, None),
            ("GET /", "", 443, None),
            ("GET /", "a.example@evil.example", 443, None),
            ("GET /", "a.example/evil", 443, None),
            ("GET /", "a.example:80:80", 443, None),
            ("GET //evil.example/", "a.example", 443, None),
            ("GET http://evil.example/", "a.example", 443, None),
            ("OPTIONS *", "a.example", 443, None),
        ] {
            assert_eq!(redirected(line, host, to_port).as_deref(), expected, "{line} {host}");
        }
    }

    #[test]
    fn what_has_a_body_keeps_its_method() {
        for (method, permanent, expected) in [
            (Method::GET, true, 301),
            (Method::HEAD, false, 302),
            (Method::POST, true, 308),
            (Method::DELETE, false, 307),
        ] {
            let redirect = Redirect {
                to_port: 443,
                permanent,
            };
            assert_eq!(moved(&method, &redirect).as_u16(), expected, "{method}");
        }
    }
}
