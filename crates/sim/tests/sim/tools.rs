//! Tool calls and structured answers, streamed and whole.

use serde_json::{Value, json};
use sim::Sim;

use crate::client::{CHAT, Client, chat, post};

fn tools() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}});
    let tool = |name| json!({"type": "function", "function": {"name": name, "parameters": parameters}});
    json!([tool("get_weather"), tool("get_tides")])
}

#[tokio::test]
async fn a_forced_tool_is_called_with_arguments_of_its_schema() {
    let sim = Sim::builder().start("127.0.0.1:0").await.unwrap();
    let named = json!({"type": "function", "function": {"name": "get_tides"}});
    for (choice, called) in [(json!("required"), "get_weather"), (named, "get_tides")] {
        let fields = json!({"tools": tools(), "tool_choice": choice});
        let (_, body) = post(&sim, CHAT, &chat("weather?", fields)).await;
        let choice = &body["choices"][0];
        assert_eq!(
            (&choice["finish_reason"], &choice["message"]["content"]),
            (&json!("tool_calls"), &json!(""))
        );
        let call = &choice["message"]["tool_calls"][0];
        assert_eq!(
            (&call["type"], &call["function"]["name"]),
            (&json!("function"), &json!(called))
        );
        let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
        assert!(arguments["city"].is_string() && arguments["days"] == 1, "{arguments}");
    }
    for choice in ["auto", "none"] {
        let (_, body) = post(
            &sim,
            CHAT,
            &chat("hi", json!({"tools": tools(), "tool_choice": choice})),
        )
        .await;
        assert!(body["choices"][0]["message"]["tool_calls"].is_null(), "{choice}");
    }
    let (head, _) = post(&sim, CHAT, &chat("hi", json!({"tools": tools(), "tool_choice": "wat"}))).await;
    assert_eq!(head.status, 400);
}

#[tokio::test]
async fn a_streamed_call_names_its_function_once_and_then_only_adds_arguments() {
    let sim = Sim::builder().start("127.0.0.1:0").await.unwrap();
    let fields = json!({"tools": tools(), "tool_choice": "required", "stream": true});
    let mut client = Client::post(&sim, CHAT, &chat("weather?", fields)).await;
    client.head().await;
    let mut events = client.events().await;
    assert_eq!(events.pop().as_deref(), Some("[DONE]"));
    let events: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let calls: Vec<&Value> = events
        .iter()
        .map(|e| &e["choices"][0]["delta"]["tool_calls"][0])
        .collect();
    let calls: Vec<&&Value> = calls.iter().filter(|call| !call.is_null()).collect();
    assert!(calls.len() > 2, "the arguments come in fragments");
    assert_eq!(
        (&calls[0]["type"], &calls[0]["function"]["name"]),
        (&json!("function"), &json!("get_weather"))
    );
    assert!(calls[0]["id"].is_string());
    assert!(
        calls[1..]
            .iter()
            .all(|call| call["id"].is_null() && call["function"]["name"].is_null())
    );
    assert!(calls.iter().all(|call| call["index"] == 0));
    let arguments: String = calls
        .iter()
        .map(|call| call["function"]["arguments"].as_str().unwrap())
        .collect();
    assert!(
        serde_json::from_str::<Value>(&arguments).unwrap()["city"].is_string(),
        "{arguments}"
    );
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn anthropics_tools_become_tool_use() {
    let sim = Sim::builder().start("127.0.0.1:0").await.unwrap();
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let request = json!({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 50,
        "tools": [{"name": "gw", "input_schema": schema}], "tool_choice": {"type": "any"}});
    let (_, body) = post(&sim, "/v1/messages", &request).await;
    assert_eq!(body["stop_reason"], "tool_use");
    let block = &body["content"][0];
    assert_eq!((&block["type"], &block["name"]), (&json!("tool_use"), &json!("gw")));
    assert!(block["input"]["city"].is_string());
}

#[tokio::test]
async fn a_response_format_makes_the_answer_json() {
    let sim = Sim::builder().start("127.0.0.1:0").await.unwrap();
    let schema = json!({"type": "object", "properties": {"score": {"type": "number"}}});
    let cases = [
        (json!({"type": "json_object"}), "simulated"),
        (
            json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}),
            "score",
        ),
    ];
    for (format, field) in cases {
        let (_, body) = post(&sim, CHAT, &chat("hi", json!({"response_format": format}))).await;
        let content = body["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(
            !serde_json::from_str::<Value>(content).unwrap()[field].is_null(),
            "{content}"
        );
    }
    let (head, _) = post(&sim, CHAT, &chat("hi", json!({"response_format": {"type": "wat"}}))).await;
    assert_eq!(head.status, 400);
}
