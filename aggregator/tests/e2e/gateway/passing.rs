//! Same dialect in and out: bytes as they came, on the way there and back.

use std::time::Duration;

use super::{Answer, Stand};
use crate::oracle::{Oracle, Say};

const SSE: &str = ": hi\n\ndata: {\"id\":\"x\", \"choices\":[{\"delta\":{\"content\":\"H\\u00e9\"}}]}\r\n\r\n\
                   data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";

#[tokio::test]
async fn bytes_are_untouched_both_ways_in_every_dialect() {
    let openai = [
        (
            "/v1/chat/completions",
            r#"{ "model":"m",  "messages":[ {"role":"user","content":"\u00e9"} ], "x":1.50 }"#,
        ),
        ("/v1/completions", r#"{"model":"m","prompt" :"a"}"#),
        ("/v1/embeddings", r#"{"model":"m","input" :[1,2]}"#),
        ("/v1/responses", r#"{"model":"m","input" :"a"}"#),
    ];
    let anthropic = [
        (
            "/v1/messages",
            r#"{"model":"m","max_tokens":5, "messages":[{"role":"user","content":"a"}]}"#,
        ),
        (
            "/v1/messages/count_tokens",
            r#"{"model":"m", "messages":[{"role":"user","content":"a"}]}"#,
        ),
    ];
    let ollama = [
        ("/api/chat", r#"{"model":"m","stream":false, "messages":[]}"#),
        (
            "/api/generate",
            r#"{"model":"m","stream":false, "prompt":"a","raw":true}"#,
        ),
        ("/api/embed", r#"{"model":"m", "input":"a"}"#),
        ("/api/embeddings", r#"{"model":"m", "prompt":"a"}"#),
    ];
    for (kind, cases) in [("openai", &openai[..]), ("anthropic", &anthropic), ("ollama", &ollama)] {
        let said = r#"{ "anything" : [1.0e3,"\u00e9"] }"#;
        let oracle = Oracle::start(kind, "m", [Say::json(said)]).await;
        let stand = Stand::of(&oracle).await;
        for (path, body) in cases {
            let answer = stand.ask(path, *body).await;
            assert_eq!((answer.status, &*answer.body), (200, said), "{path}");
            assert_eq!(answer.header("x-conclave-backend"), Some("one"));
            assert_eq!(answer.header("x-fallback-model"), None);
            let heard = oracle.last();
            assert_eq!((&*heard.target, &heard.body[..]), (*path, body.as_bytes()));
        }
    }
}

#[tokio::test]
async fn a_stream_passes_untouched_and_its_usage_is_asked_for_and_hidden() {
    let whole = format!(
        "{}{USAGE}data: [DONE]\n\n",
        SSE.strip_suffix("data: [DONE]\n\n").unwrap()
    );
    let pieces: Vec<String> = whole
        .as_bytes()
        .chunks(7)
        .map(|piece| String::from_utf8_lossy(piece).into_owned())
        .collect();
    let oracle = Oracle::start("openai", "m", [Say::Stream("text/event-stream", pieces)]).await;
    let stand = Stand::of(&oracle).await;

    let answer = stand
        .ask("/v1/chat/completions", r#"{"model":"m","stream":true}"#)
        .await;
    assert!(!answer.is_cut);
    assert_eq!(answer.body, SSE);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    assert_eq!(
        oracle.last().body,
        r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#
    );

    let asking = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let answer = stand.ask("/v1/chat/completions", asking).await;
    assert_eq!(answer.body, whole);
    assert_eq!(oracle.last().body, asking);
}

#[tokio::test]
async fn who_asks_right_after_the_start_waits_until_the_backends_are_known() {
    for model in ["m", "one/m"] {
        let oracle = Oracle::start("openai", "m", [Say::json("{}")]).await;
        let stand = Stand::of(&oracle).await;
        let body = format!(r#"{{"model":"{model}"}}"#);
        let answer = stand.ask("/v1/chat/completions", body).await;
        assert_eq!(answer.status, 200, "{model}: {answer:?}");
    }
}

#[tokio::test]
async fn only_the_model_changes_where_the_backend_knows_it_by_another_name() {
    let oracle = Oracle::start("openai", "org/m", [Say::json("{}")]).await;
    let stand = Stand::of(&oracle).await;
    let answer = stand
        .ask("/v1/chat/completions", r#"{ "model" : "one/org/m" , "n":1 }"#)
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(oracle.last().body, r#"{ "model" : "org/m" , "n":1 }"#);
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_in_an_error_event_and_a_cut() {
    for (kind, path, content_type, event, error) in [
        (
            "openai",
            "/v1/chat/completions",
            "text/event-stream",
            "data: {\"choices\":[]}\n\n",
            "data: {\"error\":",
        ),
        (
            "anthropic",
            "/v1/messages",
            "text/event-stream",
            "event: ping\ndata: {}\n\n",
            "event: error\ndata: {\"type\":\"error\",",
        ),
        (
            "ollama",
            "/api/chat",
            "application/x-ndjson",
            "{\"done\":false}\n",
            "{\"error\":",
        ),
    ] {
        let torn = format!("{event}{}", &event[..5]);
        // Cut, or ended cleanly without the final event: to the client it is the same.
        for say in [
            Say::Cut(content_type, vec![torn.clone()]),
            Say::Stream(content_type, vec![torn]),
        ] {
            let oracle = Oracle::start(kind, "m", [say]).await;
            let stand = Stand::of(&oracle).await;
            let answer = stand
                .ask(
                    path,
                    r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
                )
                .await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let rest = answer
                .body
                .strip_prefix(event)
                .unwrap_or_else(|| panic!("{kind} {answer:?}"));
            assert!(rest.trim_start_matches('\n').starts_with(error), "{answer:?}");
            assert!(answer.is_cut, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn when_the_client_goes_the_backend_s_connection_goes() {
    let first = "data: {\"choices\":[]}\n\n".to_owned();
    let oracle = Oracle::start("openai", "m", [Say::Hang("text/event-stream", vec![first]), Say::Never]).await;
    let stand = Stand::of(&oracle).await;
    let request = stand.post(
        "/v1/chat/completions",
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
    );
    let mut response = request.send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    oracle.left(1).await;
    stand
        .becomes("nothing in flight", |list| list[0]["in_flight"] == 0)
        .await;

    // Before the first byte, too.
    let request = stand
        .post("/v1/chat/completions", r#"{"model":"m"}"#)
        .timeout(Duration::from_millis(300));
    assert!(request.send().await.is_err());
    oracle.left(2).await;
    stand
        .becomes("nothing in flight", |list| list[0]["in_flight"] == 0)
        .await;
}

#[tokio::test]
async fn a_request_has_a_name_that_is_echoed_and_told_to_the_backend() {
    let oracle = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let stand = Stand::of(&oracle).await;
    let request = stand.post("/v1/chat/completions", r#"{"model":"m"}"#);
    let answer = Answer::of(request.header("x-request-id", "abc").bearer_auth("sk-canary-client")).await;
    assert_eq!(answer.header("x-request-id"), Some("abc"));
    let heard = oracle.last();
    assert_eq!(heard.headers["x-request-id"], "abc");
    assert_eq!(heard.headers["authorization"], "Bearer sk-canary-backend");
    let answer = stand.ask("/v1/chat/completions", r#"{"model":"m"}"#).await;
    assert_eq!(answer.header("x-request-id").map(str::len), Some(32));
}

#[tokio::test]
async fn a_stop_lets_a_model_finish_what_it_says() {
    let mut pieces = vec!["data: {\"choices\":[]}\n\n".to_owned(); 12];
    pieces.push("data: [DONE]\n\n".to_owned());
    let whole = pieces.concat();
    let slow = Say::Slow("text/event-stream", pieces, Duration::from_millis(120));
    let oracle = Oracle::start("openai", "m", [slow]).await;
    let stand = Stand::of(&oracle).await;
    let asking = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let answer = tokio::spawn(Answer::of(stand.post("/v1/chat/completions", asking)));
    oracle.heard_times(1).await;
    let took = stand.service.stop().await;
    let answer = answer.await.unwrap();
    assert!(!answer.is_cut && answer.body == whole, "{answer:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}
