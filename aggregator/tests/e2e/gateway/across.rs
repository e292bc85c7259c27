//! Every kind of backend for a client of every dialect: thinking, text, a tool call and the usage arrive, whole and
//! streamed.

use serde_json::{Value, json};

use super::{Answer, Stand};
use crate::oracle::{Oracle, Say};

const KINDS: [&str; 4] = ["openai", "ollama", "anthropic", "gemini"];

/// What a backend of this kind says: `Hm.` in thought, `Hi` aloud, then a call of `f`; 3 tokens in, 4 out.
fn whole(kind: &str) -> Say {
    let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#;
    Say::json(match kind {
        "openai" => format!(
            r#"{{"id":"a","object":"chat.completion","model":"m","choices":[{{"index":0,"message":{{"role":"assistant",
            "reasoning_content":"Hm.","content":"Hi","tool_calls":[{{"id":"c1","type":"function",
            "function":{{"name":"f","arguments":"{{\"x\":1}}"}}}}]}},"finish_reason":"tool_calls"}}],{usage}}}"#
        ),
        "ollama" => r#"{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","thinking":"Hm.",
            "content":"Hi","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]},"done":true,
            "done_reason":"stop","prompt_eval_count":3,"eval_count":4}"#
            .to_owned(),
        "anthropic" => r#"{"id":"a","type":"message","role":"assistant","model":"m","content":[
            {"type":"thinking","thinking":"Hm.","signature":"c2ln"},{"type":"text","text":"Hi"},
            {"type":"tool_use","id":"c1","name":"f","input":{"x":1}}],"stop_reason":"tool_use","stop_sequence":null,
            "usage":{"input_tokens":3,"output_tokens":4}}"#
            .to_owned(),
        _ => r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hm.","thought":true},{"text":"Hi"},
            {"functionCall":{"id":"c1","name":"f","args":{"x":1}},"thoughtSignature":"Z2Vt"}]},"finishReason":"STOP"}],
            "usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"totalTokenCount":7},"modelVersion":"m"}"#
            .to_owned(),
    })
}

fn streamed(kind: &str) -> Say {
    let events: &[&str] = match kind {
        "openai" => &[
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hm."}}]}"#,
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"H"}}]}"#,
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"i"}}]}"#,
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\""}}]}}]}"#,
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}"#,
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            r#"{"id":"a","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#,
            "[DONE]",
        ],
        "ollama" => &[
            r#"{"model":"m","message":{"role":"assistant","content":"","thinking":"Hm."},"done":false}"#,
            r#"{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}"#,
            r#"{"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]},"done":false}"#,
            r#"{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":4}"#,
        ],
        "anthropic" => &[
            r#"{"type":"message_start","message":{"id":"a","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"c1","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"x\":1}"}}"#,
            r#"{"type":"content_block_stop","index":2}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":4}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        _ => &[
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hm.","thought":true}]}}],"modelVersion":"m"}"#,
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"}]}}]}"#,
            r#"{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{"x":1}},"thoughtSignature":"Z2Vt"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"totalTokenCount":7}}"#,
        ],
    };
    let frame = |event: &&str| match kind {
        "ollama" => format!("{event}\n"),
        "anthropic" => {
            let name = serde_json::from_str::<Value>(event).unwrap()["type"]
                .as_str()
                .unwrap()
                .to_owned();
            format!("event: {name}\ndata: {event}\n\n")
        }
        "gemini" => format!("data: {event}\r\n\r\n"),
        _ => format!("data: {event}\n\n"),
    };
    let content_type = match kind {
        "ollama" => "application/x-ndjson",
        _ => "text/event-stream",
    };
    Say::Stream(content_type, events.iter().map(frame).collect())
}

/// What a client made of it.
#[derive(Debug, Default, PartialEq)]
struct Understood {
    thinking: String,
    text: String,
    call: String,
    arguments: String,
    usage: (u64, u64),
    is_over: bool,
}

impl Understood {
    fn expected() -> Self {
        Self {
            thinking: "Hm.".to_owned(),
            text: "Hi".to_owned(),
            call: "f".to_owned(),
            arguments: r#"{"x":1}"#.to_owned(),
            usage: (3, 4),
            is_over: true,
        }
    }

    fn add(&mut self, field: fn(&mut Self) -> &mut String, value: &Value) {
        field(self).push_str(value.as_str().unwrap_or_default());
    }

    fn count(&mut self, input: &Value, output: &Value) {
        self.usage.0 = input.as_u64().unwrap_or(self.usage.0);
        self.usage.1 = output.as_u64().unwrap_or(self.usage.1);
    }

    fn openai(documents: &[Value], last: &str) -> Self {
        let mut it = Self {
            is_over: last == "[DONE]",
            ..Self::default()
        };
        for document in documents {
            let choice = &document["choices"][0];
            let message = if choice["delta"].is_object() {
                &choice["delta"]
            } else {
                &choice["message"]
            };
            it.add(|it| &mut it.thinking, &message["reasoning_content"]);
            it.add(|it| &mut it.text, &message["content"]);
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                it.add(|it| &mut it.call, &call["function"]["name"]);
                it.add(|it| &mut it.arguments, &call["function"]["arguments"]);
            }
            it.count(
                &document["usage"]["prompt_tokens"],
                &document["usage"]["completion_tokens"],
            );
            it.is_over |= choice["message"].is_object() && choice["finish_reason"] == "tool_calls";
        }
        it
    }

    fn anthropic(documents: &[Value]) -> Self {
        let mut it = Self::default();
        for document in documents {
            let started = document["content_block"].clone();
            let blocks = document["content"].as_array().cloned().unwrap_or(vec![started]);
            for block in blocks {
                it.add(|it| &mut it.thinking, &block["thinking"]);
                it.add(|it| &mut it.text, &block["text"]);
                if block["type"] == "tool_use" {
                    it.add(|it| &mut it.call, &block["name"]);
                    let input = &block["input"];
                    if input.as_object().is_some_and(|input| !input.is_empty()) {
                        it.arguments.push_str(&input.to_string());
                    }
                }
            }
            let delta = &document["delta"];
            it.add(|it| &mut it.thinking, &delta["thinking"]);
            it.add(|it| &mut it.text, &delta["text"]);
            it.add(|it| &mut it.arguments, &delta["partial_json"]);
            for usage in [&document["message"]["usage"], &document["usage"]] {
                it.count(&usage["input_tokens"], &usage["output_tokens"]);
            }
            it.is_over |= document["type"] == "message_stop" || document["stop_reason"] == "tool_use";
        }
        it
    }

    fn ollama(documents: &[Value]) -> Self {
        let mut it = Self::default();
        for document in documents {
            let message = &document["message"];
            it.add(|it| &mut it.thinking, &message["thinking"]);
            it.add(|it| &mut it.text, &message["content"]);
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                it.add(|it| &mut it.call, &call["function"]["name"]);
                it.arguments.push_str(&call["function"]["arguments"].to_string());
            }
            it.count(&document["prompt_eval_count"], &document["eval_count"]);
            it.is_over |= document["done"] == true;
        }
        it
    }

    fn responses(documents: &[Value]) -> Self {
        let mut it = Self::default();
        let last = documents.last().unwrap();
        let response = if last["response"].is_object() {
            &last["response"]
        } else {
            last
        };
        for item in response["output"].as_array().unwrap() {
            it.add(
                |it| &mut it.thinking,
                &item["content"][0]["text"].clone().take_if(item["type"] == "reasoning"),
            );
            it.add(
                |it| &mut it.text,
                &item["content"][0]["text"].clone().take_if(item["type"] == "message"),
            );
            it.add(|it| &mut it.call, &item["name"]);
            it.add(|it| &mut it.arguments, &item["arguments"]);
        }
        it.count(&response["usage"]["input_tokens"], &response["usage"]["output_tokens"]);
        it.is_over = response["status"] == "completed";
        it
    }
}

trait TakeIf {
    fn take_if(self, condition: bool) -> Self;
}

impl TakeIf for Value {
    fn take_if(self, condition: bool) -> Self {
        if condition { self } else { Value::Null }
    }
}

/// The documents of an answer, and the last frame's text.
fn documents(answer: &Answer) -> (Vec<Value>, String) {
    let lines: Vec<&str> = match answer.header("content-type") {
        Some("text/event-stream") => answer
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .collect(),
        Some("application/x-ndjson") => answer.body.lines().collect(),
        _ => vec![&answer.body],
    };
    let parsed = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    (parsed, (*lines.last().unwrap()).to_owned())
}

fn asked(client: &str, stream: bool) -> (&'static str, Value) {
    let messages = json!([{"role": "user", "content": "x"}]);
    let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}});
    match client {
        "openai" => (
            "/v1/chat/completions",
            json!({"model": "m", "stream": stream, "stream_options": {"include_usage": true}, "messages": messages,
                "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}),
        ),
        "responses" => (
            "/v1/responses",
            json!({"model": "m", "stream": stream, "input": "x",
                "tools": [{"type": "function", "name": "f", "parameters": schema}]}),
        ),
        "anthropic" => (
            "/v1/messages",
            json!({"model": "m", "stream": stream, "max_tokens": 9, "messages": messages,
                "tools": [{"name": "f", "input_schema": schema}]}),
        ),
        _ => (
            "/api/chat",
            json!({"model": "m", "stream": stream, "messages": messages,
                "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}),
        ),
    }
}

#[tokio::test]
async fn every_client_understands_every_backend() {
    for kind in KINDS {
        for stream in [false, true] {
            let say = if stream { streamed(kind) } else { whole(kind) };
            for client in ["openai", "responses", "anthropic", "ollama"] {
                let says = match (client, kind) {
                    // The younger API is not everywhere: what has it not is asked for a chat.
                    ("responses", "openai") => vec![Say::Whole(404, "text/plain", "no".to_owned()), say.clone()],
                    _ => vec![say.clone()],
                };
                let oracle = Oracle::start(kind, "m", says).await;
                let stand = Stand::of(&oracle).await;
                let (path, body) = asked(client, stream);
                let answer = stand.ask(path, body.to_string()).await;
                assert_eq!(answer.status, 200, "{client} {kind} {stream} {answer:?}");
                assert!(!answer.is_cut, "{client} {kind} {stream} {answer:?}");
                let (documents, last) = documents(&answer);
                let mut understood = match client {
                    "openai" => Understood::openai(&documents, &last),
                    "responses" => Understood::responses(&documents),
                    "anthropic" => Understood::anthropic(&documents),
                    _ => Understood::ollama(&documents),
                };
                understood.arguments.retain(|c| c != ' ');
                assert_eq!(
                    understood,
                    Understood::expected(),
                    "{client} over {kind}, stream {stream}: {answer:?}"
                );
                let heard = oracle.last();
                assert_eq!(heard.method, "POST");
                assert!(
                    heard
                        .headers
                        .values()
                        .any(|value| value.to_str().is_ok_and(|it| it.contains("sk-canary-backend")))
                );
                assert!(!heard.target.contains("canary"));
            }
        }
    }
}

#[tokio::test]
async fn a_failure_in_mid_stream_is_the_client_s_dialect_s_error_event_and_a_cut() {
    for kind in KINDS {
        let Say::Stream(content_type, mut pieces) = streamed(kind) else {
            unreachable!()
        };
        pieces.truncate(pieces.len() - 1);
        let oracle = Oracle::start(kind, "m", [Say::Cut(content_type, pieces)]).await;
        let stand = Stand::of(&oracle).await;
        for (client, mark) in [
            ("openai", "data: {\"error\":"),
            ("anthropic", "event: error\n"),
            ("ollama", "{\"error\":"),
        ] {
            let (path, body) = asked(client, true);
            let answer = stand.ask(path, body.to_string()).await;
            assert!(answer.is_cut, "{client} {kind} {answer:?}");
            assert!(answer.body.contains("H"), "what had come by then was passed on");
            assert!(answer.body.contains(mark), "{client} {kind} {answer:?}");
            for end in ["[DONE]", "message_stop", "\"done\":true"] {
                assert!(!answer.body.contains(end), "{client} {kind} {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_backend_cannot_express_goes_to_one_that_can_or_is_refused_by_name() {
    let body = r#"{"model":"m","n":2,"messages":[{"role":"user","content":"x"}]}"#;
    let claude = Oracle::start("anthropic", "m", [whole("anthropic")]).await;
    let alone = Stand::of(&claude).await;
    let answer = alone.ask("/v1/chat/completions", body).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.json()["error"]["param"], "n");
    let llama = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let lines = format!(
        "{}{}",
        claude.line("a", ", priority: 1"),
        llama.line("b", ", priority: 2")
    );
    let both = Stand::over(&lines, "").await;
    let answer = both.ask("/v1/chat/completions", body).await;
    assert_eq!((answer.status, answer.header("x-conclave-backend")), (200, Some("b")));
    assert!(claude.heard().is_empty());

    // An address is nobody's to fetch: who needs the image itself refuses it.
    let ollama = Oracle::start("ollama", "m", [whole("ollama")]).await;
    let stand = Stand::of(&ollama).await;
    let image = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://169.254.169.254/"}}]}]}"#;
    let answer = stand.ask("/v1/chat/completions", image).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(
        answer.json()["error"]["param"]
            .as_str()
            .is_some_and(|field| field.starts_with("messages[0]")),
        "{answer:?}"
    );
    assert!(ollama.heard().is_empty());
}

#[tokio::test]
async fn a_path_that_a_backend_lacks_is_asked_for_once() {
    let oracle = Oracle::start(
        "openai",
        "m",
        [Say::Whole(404, "text/plain", "no".to_owned()), whole("openai")],
    )
    .await;
    let stand = Stand::of(&oracle).await;
    let (path, body) = asked("responses", false);
    for _ in 0..2 {
        assert_eq!(stand.ask(path, body.to_string()).await.json()["status"], "completed");
    }
    let targets: Vec<String> = oracle.heard().into_iter().map(|heard| heard.target).collect();
    assert_eq!(
        targets,
        ["/v1/responses", "/v1/chat/completions", "/v1/chat/completions"]
    );
}

#[tokio::test]
async fn signatures_come_back_to_whoever_made_them() {
    for kind in ["anthropic", "gemini"] {
        for stream in [false, true] {
            let say = if stream { streamed(kind) } else { whole(kind) };
            let oracle = Oracle::start(kind, "m", [say]).await;
            let stand = Stand::of(&oracle).await;
            let (path, body) = asked("openai", stream);
            stand.ask(path, body.to_string()).await;
            // The client kept nothing but the call.
            let replay = json!({"model": "m", "messages": [{"role": "user", "content": "x"},
                {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "y"}]});
            stand.ask(path, replay.to_string()).await;
            let heard = String::from_utf8(oracle.last().body.to_vec()).unwrap();
            let signature = if kind == "gemini" { "Z2Vt" } else { "c2ln" };
            assert!(heard.contains(signature), "{kind} {stream} {heard}");
        }
    }
}

#[tokio::test]
async fn embeddings_cross_dialects() {
    let says = [
        (
            "openai",
            r#"{"data":[{"index":0,"embedding":[0.5,1.0]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#,
        ),
        (
            "ollama",
            r#"{"model":"m","embeddings":[[0.5,1.0]],"prompt_eval_count":3}"#,
        ),
        ("gemini", r#"{"embeddings":[{"values":[0.5,1.0]}]}"#),
    ];
    for (kind, said) in says {
        let oracle = Oracle::start(kind, "m", [Say::json(said)]).await;
        let stand = Stand::of(&oracle).await;
        for (path, body, pointer) in [
            ("/v1/embeddings", r#"{"model":"m","input":"x"}"#, "/data/0/embedding/0"),
            ("/api/embed", r#"{"model":"m","input":"x"}"#, "/embeddings/0/0"),
        ] {
            let answer = stand.ask(path, body).await;
            assert_eq!(
                answer.json().pointer(pointer),
                Some(&json!(0.5)),
                "{kind} {path} {answer:?}"
            );
        }
        if kind != "ollama" {
            let answer = stand.ask("/api/embeddings", r#"{"model":"m","prompt":"x"}"#).await;
            assert_eq!(answer.json()["embedding"], json!([0.5, 1.0]), "{kind} {answer:?}");
        }
    }
    let claude = Oracle::start("anthropic", "m", [Say::json("{}")]).await;
    let answer = Stand::of(&claude)
        .await
        .ask("/v1/embeddings", r#"{"model":"m","input":"x"}"#)
        .await;
    assert_eq!(
        (answer.status, answer.json()["error"]["param"].as_str()),
        (400, Some("input"))
    );
}

#[tokio::test]
async fn ollama_s_empty_requests_are_answered_where_no_ollama_is() {
    let oracle = Oracle::start("openai", "m", [Say::json("{}")]).await;
    let stand = Stand::of(&oracle).await;
    for (path, body, reason) in [
        ("/api/chat", r#"{"model":"m"}"#, "load"),
        ("/api/generate", r#"{"model":"m","keep_alive":0}"#, "unload"),
    ] {
        let answer = stand.ask(path, body).await;
        assert_eq!(
            (answer.status, &answer.json()["done_reason"]),
            (200, &json!(reason)),
            "{answer:?}"
        );
    }
    assert!(oracle.heard().is_empty());
}
