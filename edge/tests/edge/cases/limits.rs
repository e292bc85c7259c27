//! What a key may use: refusals, their headers, and what a refused request has cost (nothing).

use std::io::Write as _;

use crate::harness::http::Answer;
use crate::harness::limited::{Counter, get, keyed, limited, post, streaming};
use crate::harness::origin::{Origin, until_closed};
use crate::harness::world::{Terms, World, wait_for};

fn status(world: &World) -> u16 {
    world.send(&get("sk")).status
}

fn number(answer: &Answer, name: &str) -> u64 {
    let value = answer.header(name).unwrap_or_else(|| panic!("{name} in {answer:?}"));
    value.parse().unwrap_or_else(|_| panic!("{name} is a number: {value}"))
}

#[test]
fn requests_over_the_rate_are_told_when_to_come_again_and_reach_no_server() {
    let counter = Counter::default();
    let origin = counter.origin();
    let world = World::start(&[(
        "a.yml",
        &limited(&origin.url, &[("rateLimit", "{ average: 2, period: 1h, burst: 3 }")]),
    )]);
    for remaining in [2, 1, 0] {
        let answer = world.send(&get("sk"));
        assert_eq!(answer.status, 200);
        assert_eq!(number(&answer, "x-ratelimit-limit-requests"), 3);
        assert_eq!(number(&answer, "x-ratelimit-remaining-requests"), remaining);
        assert!(answer.header("retry-after").is_none());
    }
    let refused = world.send(&get("sk"));
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limit_exceeded"));
    assert_eq!(
        (number(&refused, "retry-after"), number(&refused, "retry-after-ms")),
        (60, 60_000)
    );
    assert_eq!(
        refused.header("x-should-retry"),
        Some("false"),
        "half an hour is too long to wait for"
    );
    assert_eq!(number(&refused, "x-ratelimit-remaining-requests"), 0);
    assert!(
        refused
            .header("x-ratelimit-reset-requests")
            .is_some_and(|reset| reset.starts_with("1h29m"))
    );
    assert_eq!(counter.requests(), 3);
    wait_for("the refusal to be counted", || {
        let metrics = world.admin_get("/metrics").text();
        metrics.contains("conclave_edge_refusals_total{reason=\"rate_limit_exceeded\"} 1")
    });
}

#[test]
fn who_waits_as_told_is_served() {
    let origin = Origin::answering("ok");
    let world = World::start(&[(
        "a.yml",
        &limited(&origin.url, &[("rateLimit", "{ average: 20, burst: 1 }")]),
    )]);
    assert_eq!(status(&world), 200);
    for _ in 0..5 {
        let answer = world.send(&get("sk"));
        // On a busy machine a twentieth of a second may have passed.
        if answer.status == 429 {
            let wait = number(&answer, "retry-after-ms");
            assert!(wait <= 50, "{wait}");
            std::thread::sleep(std::time::Duration::from_millis(wait));
            assert_eq!(status(&world), 200);
        }
    }
}

#[test]
fn a_refused_request_has_used_nothing() {
    let (gone, origin) = (Origin::raw(|_| {}), Origin::answering("ok"));
    let limits = [
        ("inFlightReq", "{ amount: 1 }"),
        ("rateLimit", "{ average: 2, period: 1h, burst: 2 }"),
    ];
    // A server that gives no answer: what the edge answers in its place is not counted.
    let world = World::start(&[("a.yml", &limited(&gone.url, &limits))]);
    for _ in 0..5 {
        assert_eq!(status(&world), 502);
    }
    world.change(|folder| {
        std::fs::write(folder.join("a.yml"), limited(&origin.url, &limits)).expect("written");
    });
    assert_eq!([status(&world), status(&world), status(&world)], [200, 200, 429]);
    // What one limit refuses, the one before it has not counted.
    let both = [
        ("rateLimit", "{ average: 9, period: 1h, burst: 9 }"),
        ("tokenLimit", "{ amount: 1, count: input }"),
    ];
    let world = World::start(&[("a.yml", &limited(&origin.url, &both))]);
    let first = world.send(&post("/v1/embeddings", r#"{"input":"some text"}"#));
    assert_eq!(
        (first.status, number(&first, "x-ratelimit-remaining-requests")),
        (200, 8)
    );
    for _ in 0..3 {
        let refused = world.send(&post("/v1/embeddings", "{}"));
        assert_eq!((refused.status, refused.code().as_str()), (429, "insufficient_quota"));
    }
    world.change(|folder| {
        std::fs::write(folder.join("a.yml"), limited(&origin.url, &both[..1])).expect("written");
    });
    assert_eq!(number(&world.send(&get("sk")), "x-ratelimit-remaining-requests"), 7);
}

#[test]
fn a_reload_keeps_what_was_used_also_under_another_limit() {
    let origin = Origin::answering("ok");
    let with = |average: u32, burst: u32| {
        let settings = format!("{{ average: {average}, period: 1h, burst: {burst} }}");
        limited(&origin.url, &[("rateLimit", settings.as_str())])
    };
    let world = World::start(&[("a.yml", &with(1, 4))]);
    assert_eq!([status(&world), status(&world), status(&world)], [200; 3]);
    let remaining = |files: &str| {
        world.change(|folder| std::fs::write(folder.join("a.yml"), files).expect("written"));
        number(&world.send(&get("sk")), "x-ratelimit-remaining-requests")
    };
    assert_eq!(remaining(&(with(1, 4) + "# the same, saved again\n")), 0);
    assert_eq!(remaining(&with(2, 10)), 5, "four of ten were used, and one more");
    world.change(|folder| std::fs::remove_file(folder.join("a.yml")).expect("removed"));
    assert_eq!(status(&world), 401);
    assert_eq!(
        remaining(&with(2, 10)),
        4,
        "a file that comes back finds what its key had used"
    );
}

#[test]
fn a_key_is_refused_before_and_after_its_validity() {
    let origin = Origin::answering("ok");
    let files = [
        ("early.yml", "{ notBefore: 2100-01-01 }"),
        ("late.yml", "{ notAfter: 2020-01-01 }"),
        ("now.yml", "{ notBefore: 2020-01-01, notAfter: 2100-01-01 }"),
    ]
    .map(|(name, validity)| {
        let key = name.trim_end_matches(".yml");
        (name, keyed(key, key, &origin.url, &[("validity", validity)]))
    });
    let world = World::start(&files.each_ref().map(|(name, text)| (*name, text.as_str())));
    for (key, status) in [("early", 401), ("late", 401), ("now", 200)] {
        let answer = world.send(&get(key));
        assert_eq!(answer.status, status, "{key}");
        if status == 401 {
            assert_eq!(answer.code(), "key_expired");
        }
    }
}

#[test]
fn models_are_allowed_and_renamed_and_nothing_else_of_the_body_changes() {
    let origin = Origin::answering("ok");
    let models = "{ allow: [small, large], alias: { gpt-4o: large, no: secret } }";
    let world = World::start(&[("a.yml", &limited(&origin.url, &[("models", models)]))]);
    for (body, forwarded) in [
        (
            r#"{ "model" : "small" , "n":1.50}"#,
            Some(r#"{ "model" : "small" , "n":1.50}"#),
        ),
        (
            "{\"messages\":[{\"model\":\"x\"}],\t\"model\":\"gpt-4o\",\"n\":1e0}",
            Some("{\"messages\":[{\"model\":\"x\"}],\t\"model\":\"large\",\"n\":1e0}"),
        ),
        (r#"{"model":"other"}"#, None),
        (r#"{"model":"no"}"#, None),
        (r#"{"model":7}"#, None),
        (r#"{"messages":[]}"#, None),
        ("model=small", None),
    ] {
        let before = origin.seen().len();
        let answer = world.send(&post("/v1/chat/completions", body));
        match forwarded {
            Some(forwarded) => {
                assert_eq!(answer.status, 200, "{body}");
                let seen = origin.seen();
                let last = seen.last().expect("forwarded");
                assert_eq!(String::from_utf8_lossy(&last.body), forwarded);
                assert_eq!(
                    last.header("content-length"),
                    Some(forwarded.len().to_string().as_str())
                );
            }
            None => {
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (403, "model_not_allowed"),
                    "{body}"
                );
                assert_eq!(origin.seen().len(), before);
            }
        }
    }
    assert_eq!(
        world
            .send(&post("/v1/x", r#"{"model":"small","model":"secret"}"#))
            .status,
        400
    );
    assert_eq!(status(&world), 200, "what has no body names no model");
    let upgrade = get("sk").replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(world.send(&upgrade).code(), "upgrade_not_counted");
    // A large alias body, and one in chunks.
    let prompt = "p".repeat(200_000);
    let body = format!(r#"{{"prompt":"{prompt}","model":"gpt-4o"}}"#);
    assert_eq!(world.send(&post("/v1/chat/completions", &body)).status, 200);
    assert_eq!(
        origin.seen().last().expect("forwarded").body.len(),
        body.len() - "gpt-4o".len() + "large".len()
    );
    let chunked = "POST /v1/x HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n{\"model\":\"gpt-4o\"}\r\n0\r\n\r\n";
    assert_eq!(world.send(chunked).status, 200);
    assert_eq!(origin.seen().last().expect("forwarded").body, br#"{"model":"large"}"#);
}

const TOKEN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":20}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const ASKS_STREAM: &str = r#"{"stream":true,"messages":[]}"#;

#[test]
fn a_stream_may_finish_and_the_next_request_is_refused() {
    let origin = streaming(&[TOKEN, TOKEN, USAGE, DONE]);
    let limit = [("tokenLimit", "{ amount: 60, period: 24h }")];
    let world = World::start(&[("a.yml", &limited(&origin.url, &limit))]);
    let shown = format!("{TOKEN}{TOKEN}{DONE}");
    for remaining in [60, 10] {
        let answer = world.send(&post("/v1/chat/completions", ASKS_STREAM));
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, shown.as_str()),
            "usage was not asked for"
        );
        assert_eq!(number(&answer, "x-ratelimit-remaining-tokens"), remaining);
        assert_eq!(number(&answer, "x-ratelimit-limit-tokens"), 60);
    }
    let refused = world.send(&post("/v1/chat/completions", ASKS_STREAM));
    assert_eq!((refused.status, refused.code().as_str()), (429, "insufficient_quota"));
    assert!(number(&refused, "retry-after") <= 60);
    let seen = origin.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        String::from_utf8_lossy(&seen[0].body),
        r#"{"stream_options":{"include_usage":true},"stream":true,"messages":[]}"#
    );
    assert_eq!(
        seen[0].header("accept-encoding"),
        Some("identity"),
        "so that it can be read"
    );
}

#[test]
fn who_asks_for_usage_gets_it() {
    let origin = streaming(&[TOKEN, USAGE, DONE]);
    let world = World::start(&[("a.yml", &limited(&origin.url, &[("tokenLimit", "{ amount: 60 }")]))]);
    let body = r#"{"stream":true,"stream_options":{"include_usage":true}}"#;
    let answer = world.send(&post("/v1/chat/completions", body));
    assert_eq!(answer.text(), format!("{TOKEN}{USAGE}{DONE}"));
    assert_eq!(String::from_utf8_lossy(&origin.only().body), body);
}

#[test]
fn every_dialect_s_tokens_are_counted_before_the_client_sees_the_end() {
    const JSON: &str = "application/json";
    const SSE: &str = "text/event-stream";
    let anthropic = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":4}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let responses = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n";
    let cases: [(&str, &str, &str, u64); 8] = [
        (
            "/v1/chat/completions",
            JSON,
            r#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            7,
        ),
        (
            "/completion",
            JSON,
            r#"{"content":"x","timings":{"prompt_n":2,"cache_n":1,"predicted_n":4}}"#,
            7,
        ),
        (
            "/v1/embeddings",
            JSON,
            r#"{"data":[],"usage":{"prompt_tokens":7,"total_tokens":7}}"#,
            7,
        ),
        (
            "/v1/messages",
            JSON,
            r#"{"usage":{"input_tokens":3,"output_tokens":4}}"#,
            7,
        ),
        ("/v1/messages", SSE, anthropic, 7),
        ("/v1/responses", SSE, responses, 7),
        (
            "/api/chat",
            "application/x-ndjson",
            "{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"done\":true,\"prompt_eval_count\":3,\"eval_count\":4}\n",
            7,
        ),
        // Nobody tells: an event is a token, four bytes of the prompt are.
        ("/v1/chat/completions", SSE, TOKEN, 2),
    ];
    for (path, content_type, answer, tokens) in cases {
        let origin = Origin::scripted(move |_, stream| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all(head.as_bytes()).is_ok() && stream.write_all(answer.as_bytes()).is_ok()
        });
        let world = World::start(&[("a.yml", &limited(&origin.url, &[("tokenLimit", "{ amount: 100 }")]))]);
        let first = world.send(&post(path, "{ }"));
        assert_eq!((first.status, first.text().as_str()), (200, answer), "{path}");
        let second = world.send(&post(path, "{ }"));
        assert_eq!(
            number(&second, "x-ratelimit-remaining-tokens"),
            100 - tokens,
            "{path} {content_type}"
        );
    }
}

#[test]
fn what_fails_counts_no_tokens() {
    let origin = Origin::scripted(|_, stream| {
        let answer =
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"error\":{}}";
        stream.write_all(answer).is_ok()
    });
    let world = World::start(&[("a.yml", &limited(&origin.url, &[("tokenLimit", "{ amount: 100 }")]))]);
    for _ in 0..3 {
        let answer = world.send(&post("/v1/chat/completions", ASKS_STREAM));
        assert_eq!(
            (answer.status, number(&answer, "x-ratelimit-remaining-tokens")),
            (400, 100)
        );
    }
}

#[test]
fn a_cut_stream_has_cost_what_came_of_it() {
    let origin = Origin::scripted(|_, stream| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head);
        for _ in 0..5 {
            let _ = write!(stream, "{:x}\r\n{TOKEN}\r\n", TOKEN.len());
        }
        until_closed(stream);
        false
    });
    let limit = [
        ("tokenLimit", "{ amount: 100, count: output }"),
        ("inFlightReq", "{ amount: 1 }"),
    ];
    let world = World::start(&[("a.yml", &limited(&origin.url, &limit))]);
    let mut client = world.connect();
    client.write(post("/v1/chat/completions", ASKS_STREAM).as_bytes());
    client.read_until("\"a\"");
    assert_eq!(world.send(&get("sk")).status, 429, "its slot is taken");
    client.close();
    origin.wait_for_close(0);
    wait_for("the slot", || {
        let mut other = world.connect();
        other.write(get("sk").as_bytes());
        let head = other.read_until("\r\n\r\n");
        head.starts_with("HTTP/1.1 200") && head.contains("x-ratelimit-remaining-tokens: 95\r\n")
    });
}

#[test]
fn budgets_outlive_their_edge() {
    let (origin, state) = (streaming(&[TOKEN, USAGE, DONE]), tempfile::tempdir().expect("a folder"));
    let file = limited(&origin.url, &[("tokenLimit", "{ amount: 100, period: 720h }")]);
    let start = || {
        let terms = Terms {
            state: Some(edge::StateFolder {
                path: state.path().join("edge"),
                required: true,
            }),
            ..Terms::default()
        };
        World::on(terms, &[("a.yml", &file)])
    };
    for remaining in [100, 50] {
        let mut world = start();
        let answer = world.send(&post("/v1/chat/completions", ASKS_STREAM));
        assert_eq!(
            (answer.status, number(&answer, "x-ratelimit-remaining-tokens")),
            (200, remaining)
        );
        world.stop();
    }
    assert_eq!(
        start().send(&post("/v1/chat/completions", ASKS_STREAM)).code(),
        "insufficient_quota"
    );
    let uses = edge::state::last_uses(&state.path().join("edge")).expect("readable");
    assert!(
        uses["alice"].elapsed().is_ok_and(|since| since.as_secs() < 60),
        "{uses:?}"
    );
}
