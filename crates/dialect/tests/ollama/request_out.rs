//! What an Ollama backend is sent for what clients of other dialects ask.

use dialect::Dialect::Ollama;
use dialect::chat::{Message, Part, RenderOptions, Role};
use dialect::{ChatRequest, ollama};
use serde_json::{Value, json};

use crate::{backend, snapshot};

fn body(fields: Value) -> Value {
    backend::body("m", fields)
}

fn with(fields: Value) -> Result<Value, String> {
    backend::render(Ollama, &body(fields), &RenderOptions::default())
}

#[test]
fn a_conversation_with_everything_in_it() {
    backend::check_conversation(Ollama);
}

#[test]
fn ollamas_own_requests_survive_the_way_through() {
    for name in [
        "request-chat-full.json",
        "request-chat-ids.json",
        "request-chat-minimal.json",
    ] {
        let read = |bytes: &[u8]| ollama::request::parse(bytes).expect("a good request");
        let first = read(&snapshot::fixture(&format!("ollama/{name}")));
        let bytes = ollama::request::render(&first, &RenderOptions::default()).expect("expressible");
        assert_eq!(read(&bytes), first, "{name}");
    }
}

#[test]
fn fields_are_renamed_and_left_out_where_they_were() {
    assert_eq!(with(json!({})).unwrap()["options"], json!({}));
    for (asked, options) in [
        (json!({"max_tokens": 5}), json!({"num_predict": 5})),
        (
            json!({"max_tokens": 5, "max_completion_tokens": 7}),
            json!({"num_predict": 7}),
        ),
        (json!({"stop": "END"}), json!({"stop": ["END"]})),
        (json!({"stop": ["a", "b"]}), json!({"stop": ["a", "b"]})),
        (
            json!({"temperature": 0, "seed": 1}),
            json!({"temperature": 0.0, "seed": 1}),
        ),
        (
            json!({"presence_penalty": 0.5, "top_k": 3}),
            json!({"top_k": 3, "presence_penalty": 0.5}),
        ),
    ] {
        assert_eq!(with(asked).unwrap()["options"], options);
    }
    for (effort, think) in [
        ("none", json!(false)),
        ("minimal", json!("low")),
        ("low", json!("low")),
        ("medium", json!("medium")),
        ("high", json!("high")),
        ("xhigh", json!("max")),
        ("max", json!("max")),
    ] {
        assert_eq!(
            with(json!({"reasoning_effort": effort})).unwrap()["think"],
            think,
            "{effort}"
        );
    }
    assert_eq!(
        with(json!({"response_format": {"type": "json_object"}})).unwrap()["format"],
        "json"
    );
    let schema = json!({"z": 1, "a": {"type": "string"}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": schema}});
    assert_eq!(
        with(json!({"response_format": format})).unwrap()["format"].to_string(),
        schema.to_string()
    );
    assert_eq!(with(json!({"stream": true})).unwrap()["stream"], true);
    assert_eq!(
        with(json!({})).unwrap()["stream"],
        false,
        "Ollama's default is not OpenAI's"
    );
    let logprobs = with(json!({"logprobs": true, "top_logprobs": 2})).unwrap();
    assert_eq!(
        (&logprobs["logprobs"], &logprobs["top_logprobs"]),
        (&json!(true), &json!(2))
    );
}

#[test]
fn tools_are_dropped_where_the_client_forbade_them() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let offered = with(json!({"tools": tools})).unwrap();
    assert_eq!(
        offered["tools"][0]["function"]["parameters"],
        json!({"type": "object", "properties": {}})
    );
    assert!(
        with(json!({"tools": tools, "tool_choice": "auto"}))
            .unwrap()
            .get("tools")
            .is_some()
    );
    assert!(
        with(json!({"tools": tools, "tool_choice": "none"}))
            .unwrap()
            .get("tools")
            .is_none()
    );
}

#[test]
fn what_ollama_cannot_be_told_is_refused_by_name() {
    let tools = json!([{"type": "function", "function": {"name": "f", "strict": true}}]);
    let image = |url: &str| json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]);
    let call = json!([{"role": "assistant", "content": null,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "[1"}}]}]);
    for (asked, field) in [
        (json!({"n": 2}), "n"),
        (json!({"tools": tools, "tool_choice": "required"}), "tool_choice"),
        (
            json!({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "f"}}}),
            "tool_choice",
        ),
        (
            json!({"messages": image("https://host/a.png")}),
            "messages[0].content[0]",
        ),
        (
            json!({"messages": call}),
            "messages[0].tool_calls[0].function.arguments",
        ),
    ] {
        backend::check_refused(Ollama, &body(asked), field, false);
    }
    for (asked, field) in [
        (json!({"logit_bias": {"1": 5}}), "logit_bias"),
        (json!({"tools": tools}), "tools[0].function.strict"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}], "parallel_tool_calls": false}),
            "parallel_tool_calls",
        ),
        (json!({"verbosity": "low"}), "verbosity"),
    ] {
        backend::check_refused(Ollama, &body(asked), field, true);
    }
    assert!(with(json!({"n": 1, "user": "u", "logit_bias": {}})).is_ok());
}

/// Anthropic's results name their call only.
#[test]
fn a_results_tool_is_found_by_walking_back() {
    let call = |id: &str, name: &str| Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: String::new(),
        signature: None,
    };
    let result = |id: &str| Part::ToolResult {
        id: id.to_owned(),
        name: String::new(),
        content: vec![Part::text("x")],
        is_error: false,
    };
    let turns = [
        (Role::Assistant, vec![call("1", "first"), call("2", "second")]),
        (Role::Assistant, vec![call("1", "again")]),
        (
            Role::User,
            vec![result("1"), result("2"), result("3"), Part::text("So?")],
        ),
        (Role::Assistant, vec![call("1", "later")]),
    ];
    let message = |(role, parts)| Message::new(role, parts, "messages[0]");
    let request = ChatRequest {
        messages: turns.into_iter().map(message).collect(),
        ..ChatRequest::default()
    };
    let bytes = ollama::request::render(&request, &RenderOptions::default()).expect("expressible");
    let body: Value = serde_json::from_slice(&bytes).expect("JSON");
    let told: Vec<_> = (2..6)
        .map(|index| (&body["messages"][index]["role"], &body["messages"][index]["tool_name"]))
        .collect();
    let (tool, user, none) = (json!("tool"), json!("user"), Value::Null);
    let (again, second) = (json!("again"), json!("second"));
    assert_eq!(
        told,
        [(&tool, &again), (&tool, &second), (&tool, &none), (&user, &none)]
    );
}

#[test]
fn the_backends_own_name_of_the_model_is_sent() {
    let options = RenderOptions {
        model: Some("qwen3:8b".to_owned()),
        ..RenderOptions::default()
    };
    assert_eq!(
        backend::render(Ollama, &body(json!({})), &options).unwrap()["model"],
        "qwen3:8b"
    );
}
