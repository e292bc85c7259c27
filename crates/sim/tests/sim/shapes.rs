//! The fields that clients read, endpoint by endpoint, and the errors with status and type.

use serde_json::{Value, json};
use sim::Sim;

use crate::client::{CHAT, Client, chat, get, post};

async fn sim() -> Sim {
    Sim::builder()
        .model("TinyLlama_Chat")
        .alias("tiny")
        .slots(2)
        .context_tokens(512)
        .start("127.0.0.1:0")
        .await
        .unwrap()
}

#[tokio::test]
async fn a_chat_answer_has_openais_shape_usage_and_timings() {
    let sim = sim().await;
    let request = chat("hi there", json!({"max_tokens": 5}));
    let (head, body) = post(&sim, CHAT, &request).await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(head.header("server"), Some("llama.cpp"));
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["model"], "TinyLlama_Chat");
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(
        body["choices"][0]["message"],
        json!({"role": "assistant", "content": "This is a simulated answer"})
    );
    let prompt = body["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(body["usage"]["completion_tokens"], 5);
    assert_eq!(body["usage"]["total_tokens"], prompt + 5);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(
        (&body["timings"]["prompt_n"], &body["timings"]["predicted_n"]),
        (&json!(prompt), &json!(5))
    );

    // The same question gets the same answer, another one another; both say what they are.
    let whole = |body: Value| body["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let one = whole(post(&sim, CHAT, &chat("hi", json!({}))).await.1);
    assert_eq!(one, whole(post(&sim, CHAT, &chat("hi", json!({}))).await.1));
    assert_ne!(one, whole(post(&sim, CHAT, &chat("ho", json!({}))).await.1));
    assert!(one.contains("simulated answer from TinyLlama_Chat"), "{one}");
}

#[tokio::test]
async fn a_chat_stream_begins_with_a_role_and_ends_with_done() {
    let sim = sim().await;
    for include_usage in [false, true] {
        let options = json!({"max_tokens": 3, "stream": true, "stream_options": {"include_usage": include_usage}});
        let mut client = Client::post(&sim, CHAT, &chat("hi there", options)).await;
        let head = client.head().await;
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        let mut events = client.events().await;
        assert_eq!(events.pop().as_deref(), Some("[DONE]"));
        let events: Vec<Value> = events
            .iter()
            .map(|event| serde_json::from_str(event).unwrap())
            .collect();
        assert_eq!(
            events[0]["choices"][0]["delta"],
            json!({"role": "assistant", "content": null})
        );
        let text: String = events[1..4]
            .iter()
            .map(|e| e["choices"][0]["delta"]["content"].as_str().unwrap())
            .collect();
        assert_eq!(text, "This is a");
        assert!(
            events[..4]
                .iter()
                .all(|e| e["choices"][0]["finish_reason"].is_null() && e["timings"].is_null())
        );
        assert_eq!(
            events[4]["choices"][0],
            json!({"finish_reason": "length", "index": 0, "delta": {}})
        );
        assert!(
            events
                .iter()
                .all(|e| e["id"] == events[0]["id"] && e["object"] == "chat.completion.chunk")
        );
        let with_timings = if include_usage { &events[5] } else { &events[4] };
        assert_eq!(with_timings["timings"]["predicted_n"], 3);
        assert_eq!(events.len(), if include_usage { 6 } else { 5 });
        if include_usage {
            assert_eq!(with_timings["choices"], json!([]));
            assert_eq!(with_timings["usage"]["completion_tokens"], 3);
            assert!(events[4]["timings"].is_null());
        }
    }
}

#[tokio::test]
async fn the_other_generating_endpoints_have_their_own_shapes() {
    let sim = sim().await;
    let (_, openai) = post(&sim, "/v1/completions", &json!({"prompt": "hi there", "max_tokens": 2})).await;
    assert_eq!(openai["object"], "text_completion");
    assert_eq!(openai["choices"][0]["text"], "This is");
    assert_eq!(openai["usage"]["prompt_tokens"], 2);

    let (_, native) = post(&sim, "/completion", &json!({"prompt": "hi there", "n_predict": 2})).await;
    assert_eq!(
        (&native["content"], &native["stop_type"]),
        (&json!("This is"), &json!("limit"))
    );
    assert_eq!(
        (&native["tokens_evaluated"], &native["tokens_predicted"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(native["generation_settings"]["n_predict"], 2);

    let messages =
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "max_tokens": 2});
    let (_, anthropic) = post(&sim, "/v1/messages", &messages).await;
    assert_eq!(anthropic["content"], json!([{"type": "text", "text": "This is"}]));
    assert_eq!(
        (&anthropic["stop_reason"], &anthropic["usage"]["output_tokens"]),
        (&json!("max_tokens"), &json!(2))
    );
    let (_, counted) = post(&sim, "/v1/messages/count_tokens", &messages).await;
    assert_eq!(counted["input_tokens"], anthropic["usage"]["input_tokens"]);

    let mut streamed = messages.clone();
    streamed["stream"] = json!(true);
    let mut client = Client::post(&sim, "/v1/messages", &streamed).await;
    client.head().await;
    let types: Vec<Value> = client
        .events()
        .await
        .iter()
        .map(|e| serde_json::from_str::<Value>(e).unwrap()["type"].clone())
        .collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(types, expected);
}

#[tokio::test]
async fn a_server_tells_about_itself() {
    let sim = sim().await;
    for path in ["/v1/models", "/models"] {
        let (_, models) = get(&sim, path).await;
        assert_eq!(models["object"], "list");
        assert_eq!(models["models"][0]["name"], "TinyLlama_Chat");
        let entry = &models["data"][0];
        assert_eq!(
            (&entry["id"], &entry["owned_by"]),
            (&json!("TinyLlama_Chat"), &json!("llamacpp"))
        );
        assert_eq!(entry["aliases"], json!(["TinyLlama_Chat", "tiny"]));
        assert_eq!(entry["meta"]["n_ctx"], 512);
    }
    let (_, props) = get(&sim, "/props").await;
    assert_eq!(
        (&props["total_slots"], &props["default_generation_settings"]["n_ctx"]),
        (&json!(2), &json!(512))
    );
    let (_, slots) = get(&sim, "/slots").await;
    assert_eq!(
        slots[1],
        json!({"id": 1, "n_ctx": 512, "speculative": false, "is_processing": false})
    );
    assert_eq!(get(&sim, "/lora-adapters").await.1, json!([]));
    assert_eq!(get(&sim, "/v1/health").await.1, json!({"status": "ok"}));

    let (_, tokens) = post(&sim, "/tokenize", &json!({"content": "hello simulated world"})).await;
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 3);
    assert_eq!(
        post(&sim, "/detokenize", &tokens).await.1,
        json!({"content": "hello simulated world"})
    );

    let mut client = Client::connect(&sim).await;
    client.send("GET", "/metrics", &[("Connection", "close")], b"").await;
    let text = String::from_utf8(client.rest().await).unwrap();
    for name in [
        "requests_processing",
        "requests_deferred",
        "prompt_tokens_cached_total",
        "tokens_predicted_total",
    ] {
        assert!(text.contains(&format!("\nllamacpp:{name} 0\n")), "{name} in {text}");
    }
}

#[tokio::test]
async fn embeddings_are_vectors_or_their_bytes_and_off_by_default() {
    let (head, body) = post(&sim().await, "/v1/embeddings", &json!({"input": "x"})).await;
    assert_eq!(
        (head.status, &body["error"]["type"]),
        (501, &json!("not_supported_error"))
    );

    let sim = Sim::builder().embeddings(8).start("127.0.0.1:0").await.unwrap();
    let (_, body) = post(&sim, "/v1/embeddings", &json!({"input": ["x", "y z"], "model": "m"})).await;
    assert_eq!(
        (&body["object"], &body["usage"]["prompt_tokens"]),
        (&json!("list"), &json!(3))
    );
    assert_eq!(body["data"][1]["index"], 1);
    assert_eq!(body["data"][0]["embedding"].as_array().unwrap().len(), 8);
    let (_, body) = post(
        &sim,
        "/v1/embeddings",
        &json!({"input": "x", "encoding_format": "base64"}),
    )
    .await;
    assert_eq!(
        body["data"][0]["embedding"].as_str().unwrap().len(),
        44,
        "8 floats of 4 bytes in base64"
    );
    let (_, body) = post(&sim, "/embedding", &json!({"content": "x"})).await;
    assert_eq!(body[0]["embedding"][0].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn what_is_wrong_gets_its_status_and_type_and_the_connection_ends() {
    let sim = sim().await;
    let long = chat(&"word ".repeat(600), json!({})).to_string();
    let cases: [(&str, &str, &str, u16, &str); 13] = [
        ("GET", "/nope", "", 404, "not_found_error"),
        ("GET", "/v1/models/x", "", 404, "not_found_error"),
        ("GET", CHAT, "", 404, "not_found_error"),
        ("DELETE", "/v1/models", "", 404, "not_found_error"),
        ("POST", CHAT, "{bad", 400, "invalid_request_error"),
        ("POST", CHAT, "", 400, "invalid_request_error"),
        ("POST", CHAT, "{}", 400, "invalid_request_error"),
        (
            "POST",
            CHAT,
            r#"{"messages":[{"role":"user"}]}"#,
            400,
            "invalid_request_error",
        ),
        (
            "POST",
            CHAT,
            r#"{"messages":[],"max_tokens":"x"}"#,
            400,
            "invalid_request_error",
        ),
        ("POST", CHAT, &long, 400, "exceed_context_size_error"),
        ("POST", "/v1/completions", "{}", 400, "invalid_request_error"),
        (
            "POST",
            "/v1/completions",
            r#"{"prompt":["a","b"]}"#,
            501,
            "not_supported_error",
        ),
        ("POST", "/v1/messages", "{}", 500, "server_error"),
    ];
    for (method, path, body, status, kind) in cases {
        let mut client = Client::connect(&sim).await;
        client.send(method, path, &[], body.as_bytes()).await;
        let (head, answer) = client.answer().await;
        assert_eq!(head.status, status, "{method} {path} {answer}");
        assert_eq!(
            (&answer["error"]["type"], &answer["error"]["code"]),
            (&json!(kind), &json!(status)),
            "{path}"
        );
        assert_eq!(head.header("connection"), Some("close"));
        assert!(client.rest().await.is_empty());
    }
    let (_, error) = post(&sim, CHAT, &serde_json::from_str(&long).unwrap()).await;
    assert_eq!(error["error"]["n_ctx"], 512);
    assert!(error["error"]["n_prompt_tokens"].as_u64().unwrap() > 600);
    assert_eq!(sim.stats().requests(CHAT), 8);
    assert_eq!(
        sim.stats().requests("/anything/else"),
        2,
        "unknown paths count together"
    );
    assert_eq!(sim.stats().generations_started, 0);
}

#[tokio::test]
async fn the_bounds_of_an_answer_are_those_asked_for() {
    let sim = sim().await;
    let cases = [
        (json!({"max_tokens": 7}), 7, "length"),
        (json!({"max_completion_tokens": 6, "max_tokens": 9}), 6, "length"),
        (
            json!({"n_predict": 4, "max_completion_tokens": 6, "max_tokens": 9}),
            4,
            "length",
        ),
        (json!({"max_tokens": 0}), 1, "length"),
        (json!({"max_tokens": null, "stop": " answer"}), 4, "stop"),
        (json!({"ignore_eos": true, "max_tokens": 300}), 300, "length"),
        (json!({"ignore_eos": true}), 504, "length"),
    ];
    for (fields, tokens, finish) in cases {
        let (_, body) = post(&sim, CHAT, &chat("", fields.clone())).await;
        assert_eq!(body["usage"]["completion_tokens"], tokens, "{fields}");
        assert_eq!(body["choices"][0]["finish_reason"], finish, "{fields}");
    }
    let fixed = Sim::builder().answer_tokens(40).start("127.0.0.1:0").await.unwrap();
    let (_, body) = post(&fixed, CHAT, &chat("hi", json!({}))).await;
    assert_eq!(
        (
            &body["usage"]["completion_tokens"],
            &body["choices"][0]["finish_reason"]
        ),
        (&json!(40), &json!("stop"))
    );
}

#[tokio::test]
async fn a_benchmark_gets_answers_of_an_exact_size() {
    let sim = Sim::builder().answer_bytes(600).start("127.0.0.1:0").await.unwrap();
    let (head, body) = post(&sim, CHAT, &chat("hi", json!({"stream": true}))).await;
    assert_eq!(head.header("content-length"), Some("600"));
    assert_eq!(body["object"], "chat.completion");
    let plain = Sim::builder().start("127.0.0.1:0").await.unwrap();
    let (head, _) = post(&plain, CHAT, &chat("hi", json!({"answer_bytes": 1000}))).await;
    assert_eq!(head.header("content-length"), Some("1000"));
    assert_eq!(plain.stats().generations_started, 0);
}
