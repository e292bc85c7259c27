//! When a backend does not answer, another does; when none does, the client is told so in its dialect.

use std::time::{Duration, Instant};

use super::Stand;
use crate::oracle::{Oracle, Say};

const GOOD: &str = r#"{"id":"good"}"#;
const CHAT: &str = "/v1/chat/completions";

/// A first backend that does this, and a second that answers.
async fn pair(say: Say, more: &str) -> (Stand, Oracle, Oracle) {
    let first = Oracle::start("openai", "m", [say]).await;
    let second = Oracle::start("openai", "m", [Say::json(GOOD)]).await;
    let lines = format!(
        "{}{}",
        first.line("first", &format!(", priority: 1, api_key: sk-canary-backend{more}")),
        second.line("second", ", priority: 2")
    );
    let stand = Stand::over(&lines, "").await;
    (stand, first, second)
}

#[tokio::test]
async fn what_is_the_backend_s_fault_is_asked_of_the_next() {
    let text = "application/json";
    let error = || r#"{"error":{"message":"no"}}"#.to_owned();
    let sse = "text/event-stream";
    for (say, stream, more, suspends) in [
        (Say::Whole(500, text, error()), false, "", true),
        (Say::Whole(503, text, error()), false, "", true),
        (Say::Whole(429, text, error()), false, "", false),
        (Say::Whole(401, text, error()), false, "", false),
        (Say::Whole(403, text, error()), false, "", false),
        (Say::Whole(404, text, error()), false, "", false),
        (Say::Whole(501, text, error()), false, "", false),
        (
            Say::With(302, vec![("location", "http://127.0.0.1:1/")], String::new()),
            false,
            "",
            true,
        ),
        (Say::Never, false, ", timeout: 0.2", true),
        (Say::Hang(sse, vec![]), true, ", timeout: 0.2", true),
        (Say::Cut(sse, vec![]), true, "", true),
        (Say::Stream(sse, vec![]), true, "", true),
        (Say::Cut(sse, vec!["data: {\"torn".to_owned()]), true, "", true),
        (Say::Cut(text, vec!["{\"torn".to_owned()]), false, "", true),
    ] {
        let shown = format!("{say:?}");
        let (stand, first, second) = pair(say, more).await;
        let answer = stand
            .ask(
                CHAT,
                format!(r#"{{"model":"m","stream":{stream},"stream_options":null}}"#),
            )
            .await;
        // The second says the same whatever it is asked; its content type tells that it is no stream.
        assert_eq!((answer.status, &*answer.body), (200, GOOD), "{shown}: {answer:?}");
        assert_eq!(answer.header("x-conclave-backend"), Some("second"));
        assert_eq!(answer.header("x-fallback-model"), None, "it is the same model");
        assert_eq!((first.heard().len(), second.heard().len()), (1, 1), "{shown}");
        if suspends {
            // Nobody prefers it now.
            let again = stand.ask(CHAT, r#"{"model":"m"}"#).await;
            assert_eq!(again.header("x-conclave-backend"), Some("second"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_backend_that_has_gone_is_passed_over() {
    let (stand, first, _second) = pair(Say::json("{}"), "").await;
    first.kill().await;
    let answer = stand.ask(CHAT, r#"{"model":"m"}"#).await;
    assert_eq!((answer.status, &*answer.body), (200, GOOD));
}

#[tokio::test]
async fn what_is_the_client_s_fault_comes_back_as_it_came() {
    for status in [400, 409, 413, 415, 422] {
        let said = r#"{"error" : {"message":"your mistake with sk-canary-backend","param":"x"}}"#;
        let (stand, _first, second) = pair(Say::Whole(status, "application/json", said.to_owned()), "").await;
        let answer = stand.ask(CHAT, r#"{"model":"m"}"#).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.body, said.replace("sk-canary-backend", "[redacted]"));
        assert_eq!(answer.header("x-should-retry"), None);
        assert!(second.heard().is_empty(), "nobody else is bothered");
    }
}

#[tokio::test]
async fn a_fallback_is_named() {
    let first = Oracle::start("openai", "big", [Say::Whole(500, "text/plain", "x".to_owned())]).await;
    let second = Oracle::start("openai", "small", [Say::json(GOOD)]).await;
    let lines = format!("{}{}", first.line("a", ""), second.line("b", ""));
    let stand = Stand::over(&lines, "routing: {fallbacks: {big: [small], unknown: [small]}}").await;
    for model in ["big", "unknown"] {
        let answer = stand.ask(CHAT, format!(r#"{{"model":"{model}"}}"#)).await;
        assert_eq!((answer.status, &*answer.body), (200, GOOD));
        assert_eq!(answer.header("x-fallback-model"), Some("small"));
        assert_eq!(second.last().body, r#"{"model":"small"}"#);
    }
}

#[tokio::test]
async fn when_the_chain_is_spent_the_last_failure_is_told_in_the_client_s_dialect() {
    let anthropic = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}"#;
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#;
    for (path, body, shape) in [
        (CHAT, chat, "/error/message"),
        ("/v1/messages", anthropic, "/error/message"),
        ("/api/chat", chat, "/error"),
    ] {
        for (say, status) in [
            (
                Say::With(
                    429,
                    vec![("retry-after", "500")],
                    r#"{"error":{"message":"Bearer sk-canary-backend is slow"}}"#.into(),
                ),
                429,
            ),
            (Say::Whole(500, "text/html", "<html>sk-canary-backend".to_owned()), 502),
            (
                Say::Whole(503, "application/json", r#"{"error":{"message":"loading"}}"#.into()),
                503,
            ),
            (
                Say::Whole(
                    401,
                    "application/json",
                    r#"{"error":{"message":"bad key sk-canary-backend"}}"#.into(),
                ),
                502,
            ),
        ] {
            let oracle = Oracle::start("openai", "m", [say]).await;
            let stand = Stand::of(&oracle).await;
            let answer = stand.ask(path, body).await;
            assert_eq!(answer.status, status, "{answer:?}");
            assert!(
                answer.json().pointer(shape).is_some_and(|message| message.is_string()),
                "{answer:?}"
            );
            assert!(!answer.body.contains("canary"), "{answer:?}");
            assert_eq!(answer.header("x-should-retry"), Some("false"));
            assert_eq!(answer.header("retry-after"), (status == 429).then_some("60"));
        }
    }
}

#[tokio::test]
async fn an_unknown_model_and_a_body_that_is_none_are_refused_in_every_dialect() {
    let oracle = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let stand = Stand::of(&oracle).await;
    for (path, pointer) in [
        (CHAT, "/error/code"),
        ("/v1/messages", "/error/type"),
        ("/api/chat", "/error"),
    ] {
        for (body, status, expected) in [
            (
                r#"{"model":"sk-canary-model"}"#,
                404,
                ["model_not_found", "not_found_error", "No backend serves"],
            ),
            ("{}", 400, ["invalid_request", "invalid_request_error", "model:"]),
            (
                "[]",
                400,
                ["invalid_request", "invalid_request_error", "the body must be"],
            ),
            (
                r#"{"model":"m","model":"n"}"#,
                400,
                ["invalid_request", "invalid_request_error", "model:"],
            ),
            (
                r#"{"model":7}"#,
                400,
                ["invalid_request", "invalid_request_error", "model:"],
            ),
        ] {
            let answer = stand.ask(path, body).await;
            assert_eq!(answer.status, status, "{path} {body} {answer:?}");
            let json = answer.json();
            let found = json.pointer(pointer).and_then(|it| it.as_str()).unwrap_or_default();
            assert!(
                expected.iter().any(|start| found.starts_with(start)),
                "{path} {body} {answer:?}"
            );
            assert!(!answer.body.contains("canary"));
        }
    }
    assert!(oracle.heard().is_empty());
}

#[tokio::test]
async fn one_who_hangs_without_a_time_out_is_left_when_heartbeats_find_it_down() {
    // It takes the request and is dead to heartbeats from then on.
    let (stand, first, _second) = pair(Say::Never, "").await;
    let asked = stand.post(CHAT, r#"{"model":"m"}"#);
    let began = Instant::now();
    let waiting = tokio::spawn(super::Answer::of(asked));
    first.heard_times(1).await;
    first.close();
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, &*answer.body), (200, GOOD));
    assert!(began.elapsed() < Duration::from_secs(25));
}

/// Answers the first request of each connection, keeps it open, and closes it on the second.
async fn closes_kept_connections() -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let body = match request[..read].starts_with(b"GET") {
                    true => r#"{"data":[{"id":"m"}]}"#,
                    false => GOOD,
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                let _ = stream.read(&mut request).await;
            });
        }
    });
    addr
}

#[tokio::test]
async fn a_kept_connection_that_the_backend_was_closing_is_no_failure() {
    let addr = closes_kept_connections().await;
    let stand = Stand::over(
        &format!("- {{name: one, type: openai, url: 'http://{addr}', models: [m]}}\n"),
        "",
    )
    .await;
    for _ in 0..4 {
        let answer = stand.ask(CHAT, r#"{"model":"m"}"#).await;
        assert_eq!((answer.status, &*answer.body), (200, GOOD), "{answer:?}");
    }
}

#[tokio::test]
async fn what_a_backend_was_not_started_for_is_said_in_its_words() {
    let said = r#"{"error":{"message":"start it with --embeddings"}}"#;
    let oracle = Oracle::start("openai", "m", [Say::Whole(501, "application/json", said.to_owned())]).await;
    let stand = Stand::of(&oracle).await;
    let answer = stand.ask("/v1/embeddings", r#"{"model":"m","input":"x"}"#).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("--embeddings"));
    let none = Oracle::start("openai", "m", [Say::Whole(404, "text/plain", "no".to_owned())]).await;
    let answer = Stand::of(&none)
        .await
        .ask("/v1/messages/count_tokens", r#"{"model":"m","messages":[]}"#)
        .await;
    assert_eq!(
        (answer.status, answer.json()["error"]["type"].as_str()),
        (400, Some("invalid_request_error"))
    );
}

#[tokio::test]
async fn a_failure_in_a_good_status_is_judged_like_any_other() {
    let asked = r#"{"model":"m","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    for (error, status) in [
        (
            r#"{"error":{"message":"too long","type":"exceed_context_size_error","code":400}}"#,
            400,
        ),
        (
            r#"{"error":{"message":"no room","type":"unavailable_error","code":503}}"#,
            503,
        ),
    ] {
        let oracle = Oracle::start("openai", "m", [Say::sse(&format!("data: {error}\n\n"))]).await;
        let stand = Stand::of(&oracle).await;
        let answer = stand.ask("/v1/messages", asked).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_cut_after_the_time_its_backend_has() {
    let first = "data: {\"choices\":[]}\n\n";
    let oracle = Oracle::start("openai", "m", [Say::Hang("text/event-stream", vec![first.to_owned()])]).await;
    let stand = Stand::over(&oracle.line("one", ", timeout: 0.2"), "").await;
    let answer = stand.ask(CHAT, r#"{"model":"m","stream":true}"#).await;
    assert!(answer.is_cut && answer.body.contains("\"error\""), "{answer:?}");
    oracle.left(1).await;
}

#[tokio::test]
async fn a_long_answer_passes_whole_and_a_cut_in_it_is_a_cut() {
    let long = format!(r#"{{"x":"{}"}}"#, "y".repeat(5 << 20));
    let (head, tail) = long.split_at(3 << 20);
    let text = "application/json";
    let pieces = vec![head.to_owned(), tail.to_owned()];
    let oracle = Oracle::start(
        "openai",
        "m",
        [Say::Stream(text, pieces), Say::Cut(text, vec![head.to_owned()])],
    )
    .await;
    let stand = Stand::of(&oracle).await;
    let whole = stand.ask(CHAT, r#"{"model":"m"}"#).await;
    assert!(!whole.is_cut && whole.body == long);
    let cut = stand.ask(CHAT, r#"{"model":"m"}"#).await;
    assert!(cut.is_cut && head.starts_with(&cut.body), "{}", cut.body.len());
}
