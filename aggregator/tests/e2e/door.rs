//! The door before administration: tokens, names, pages of other sites, bodies, and what browsers are told.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::gateway::{ADMIN, Stand};
use crate::oracle::{Oracle, Say};
use crate::service::quick;

/// What is for everybody, or asks for a key and not for the token. A route that is added and does not stand here must be
/// behind the door, or the test below fails.
const OPEN: &[&str] = &[
    "/",
    "/health",
    "/metrics",
    "/openapi.json",
    "/stats",
    "/ui",
    "/ui/{page}",
    "/ui/assets/{file}",
    "/v1/models",
    "/v1/models/{*id}",
    "/v1/chat/completions",
    "/v1/council/chat",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
    "/api/tags",
    "/api/ps",
    "/api/version",
    "/api/show",
];

/// Paths as the router's source has them, the one list of routes; axum does not tell them.
fn routed() -> Vec<&'static str> {
    let source = include_str!("../../src/router.rs");
    let calls = source.split(".route(").skip(1);
    calls.map(|call| call.split('"').nth(1).expect("a path")).collect()
}

/// Those that are not for everybody, with names in the place of parameters.
fn behind_the_door() -> Vec<String> {
    let closed = routed().into_iter().filter(|path| !OPEN.contains(path));
    closed
        .map(|path| {
            path.replace("{id}", "00000000-0000-7000-8000-000000000000")
                .replace("{page}", "overview")
                .replace("{name}", "nobody")
                .replace("{digest}", "sha256:0")
        })
        .collect()
}

/// An answer as it came.
#[derive(Debug)]
struct Plain {
    status: u16,
    head: String,
    body: String,
}

impl Plain {
    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Stand {
    /// What comes back until the connection ends, however it ends.
    async fn sent(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.service.addr).await.unwrap();
        let mut answer = Vec::new();
        let (mut read, mut write) = stream.split();
        let _ = tokio::join!(write.write_all(request), read.read_to_end(&mut answer));
        String::from_utf8(answer).unwrap()
    }

    /// Asks with exactly these lines: clients of libraries set `Host` themselves.
    async fn plainly(&self, method: &str, path: &str, lines: &[String]) -> Plain {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let request = format!("{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
        let answer = self.sent(request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Plain {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }
}

async fn stand() -> Stand {
    let oracle = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let config = aggregator::AggregatorConfig {
        allowed_hosts: aggregator::AllowedHosts::new(&["conclave.example".to_owned()]).unwrap(),
        ..quick()
    };
    Stand::with(&oracle.line("one", ""), "", config).await
}

fn token() -> String {
    format!("Authorization: Bearer {ADMIN}")
}

fn host(name: &str) -> String {
    format!("Host: {name}")
}

#[test]
fn what_is_open_is_routed() {
    let routed = routed();
    let gone: Vec<_> = OPEN.iter().filter(|path| !routed.contains(path)).collect();
    assert!(gone.is_empty() && routed.len() > OPEN.len() + 15, "{gone:?}");
}

#[tokio::test]
async fn every_route_that_is_not_for_everybody_is_behind_the_door_and_says_so_to_browsers() {
    let stand = stand().await;
    for path in behind_the_door() {
        let mut answered = Vec::new();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let refused = stand.plainly(method, &path, &[host("localhost")]).await;
            if refused.status != 405 {
                answered.push(method);
            }
        }
        assert!(!answered.is_empty(), "{path} answers to nothing");
        for method in answered {
            stand.stays_shut(method, &path).await;
        }
    }
}

impl Stand {
    async fn stays_shut(&self, method: &str, path: &str) {
        // A page that is followed has no end, and what passes to a backend speaks as that does.
        let ends = !path.starts_with("/ui/live/");
        let is_ours = !path.starts_with("/api/");
        let mut all = Vec::new();
        if ends {
            let admitted = self.plainly(method, path, &[host("localhost"), token()]).await;
            assert!(
                ![401, 403, 405, 421].contains(&admitted.status),
                "{method} {path} {admitted:?}"
            );
            all.push(admitted);
        }
        let refused = [
            (vec![host("localhost")], 401, "invalid_admin_token"),
            (vec![host("rebound.example"), token()], 403, "host_not_allowed"),
            (vec![token()], 403, "host_not_allowed"),
            (
                vec![host("localhost"), token(), "Origin: http://rebound.example".to_owned()],
                403,
                "origin_not_allowed",
            ),
            (
                vec![host("localhost"), token(), "Sec-Fetch-Site: cross-site".to_owned()],
                403,
                "origin_not_allowed",
            ),
            // A cookie is no token, whatever it is called.
            (
                vec![
                    host("localhost"),
                    format!("Cookie: Authorization=Bearer {ADMIN}; token={ADMIN}"),
                ],
                401,
                "invalid_admin_token",
            ),
        ];
        for (lines, status, code) in refused {
            let answer = self.plainly(method, path, &lines).await;
            assert_eq!(answer.status, status, "{method} {path} {lines:?} {answer:?}");
            assert!(
                !is_ours || answer.code() == code,
                "{method} {path} {lines:?} {answer:?}"
            );
            assert!(!answer.body.contains("rebound"), "{answer:?}");
            all.push(answer);
        }
        for answer in all.iter().filter(|_| is_ours) {
            for line in [
                "x-content-type-options: nosniff",
                "x-frame-options: deny",
                "referrer-policy: no-referrer",
                "cache-control: no-store",
                "cross-origin-resource-policy: same-origin",
                "content-security-policy: default-src 'none';",
                "frame-ancestors 'none'",
            ] {
                assert!(
                    answer.head.contains(line),
                    "{method} {path}: {line} is not in {}",
                    answer.head
                );
            }
            assert!(
                !answer.head.contains("set-cookie") && !answer.head.contains("access-control"),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn names_that_were_allowed_and_addresses_are_answered() {
    let stand = stand().await;
    for name in [
        "conclave.example",
        "conclave.example:443",
        "127.0.0.1:9080",
        "[::1]:9080",
        "LOCALHOST",
    ] {
        let answer = stand.plainly("GET", "/admin/backends", &[host(name), token()]).await;
        assert_eq!(answer.status, 200, "{name}");
    }
    // What is for everybody is for every name: Prometheus and the edge come under any.
    for path in ["/health", "/v1/models", "/metrics"] {
        let answer = stand.plainly("GET", path, &[host("anything.example")]).await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_open_administration_still_has_a_door() {
    let oracle = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let text = format!("admin: {{auth: {{type: none}}}}\nbackends:\n{}", oracle.line("one", ""));
    std::fs::write(&path, text).unwrap();
    let (source, _) = aggregator::ConfigSource::load(&path).unwrap();
    let config = aggregator::AggregatorConfig {
        file: Some(source),
        ..quick()
    };
    let service = crate::service::Running::start(config, Vec::new()).await;
    for (name, status) in [("localhost", 200), ("rebound.example", 403)] {
        let url = format!("http://{}/admin/backends", service.addr);
        let asked = service.client.get(url).header("host", name).send().await.unwrap();
        assert_eq!(asked.status(), status, "{name}");
    }
    // Managing models has no route behind the door, and asks it all the same.
    let url = format!("http://{}/api/pull", service.addr);
    let pull = service.client.post(url).header("host", "rebound.example").body("{}");
    assert_eq!(pull.send().await.unwrap().status(), 403);
    service.stop().await;
}

#[tokio::test]
async fn tokens_cannot_be_searched_for_and_whoever_brings_none_is_not_counted() {
    let stand = stand().await;
    let ask = async |lines: Vec<String>| stand.plainly("GET", "/admin/backends", &lines).await;
    for _ in 0..100 {
        assert_eq!(ask(vec![host("localhost")]).await.status, 401);
    }
    assert_eq!(ask(vec![host("localhost"), token()]).await.status, 200);
    let mut refused = None;
    for guess in 0..500 {
        let answer = ask(vec![host("localhost"), format!("Authorization: Bearer guess-{guess}")]).await;
        if answer.status != 401 {
            refused = Some((guess, answer));
            break;
        }
    }
    let (guesses, answer) = refused.expect("five hundred guesses were taken");
    assert!(guesses >= 30, "{guesses}");
    assert_eq!((answer.status, &*answer.code()), (429, "too_many_attempts"));
    assert!(answer.head.contains("retry-after: "), "{answer:?}");
}

#[tokio::test]
async fn a_body_that_administration_does_not_take_is_not_read() {
    let stand = stand().await;
    let length = |bytes: usize| format!("Content-Length: {bytes}");
    let announced = stand
        .plainly(
            "DELETE",
            "/admin/responses",
            &[host("localhost"), token(), length(1 << 30)],
        )
        .await;
    assert_eq!((announced.status, &*announced.code()), (413, "request_too_large"));
    // Without the token, not even its length is looked at.
    let unknown = stand
        .plainly("DELETE", "/admin/responses", &[host("localhost"), length(1 << 30)])
        .await;
    assert_eq!(unknown.status, 401);
    let mut chunked = format!(
        "DELETE /admin/responses HTTP/1.1\r\n{}\r\n{}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        host("localhost"),
        token()
    )
    .into_bytes();
    for _ in 0..24 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.resize(chunked.len() + 0x10000, b'x');
        chunked.extend_from_slice(b"\r\n");
    }
    // What was not read may cut the answer off.
    let answer = stand.sent(&chunked).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
}
