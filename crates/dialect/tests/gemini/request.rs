//! What a Gemini backend is sent for what clients of other dialects ask.

use dialect::Dialect::Gemini;
use dialect::chat::{Message, Part, RenderOptions, Role, Signature};
use dialect::gemini::request::{Method, path};
use dialect::{ChatRequest, Dialect, gemini};
use serde_json::{Value, json};

use crate::backend;

fn body(fields: Value) -> Value {
    backend::body("gemini-2.5-flash", fields)
}

fn with(fields: Value) -> Result<Value, String> {
    backend::render(Gemini, &body(fields), &RenderOptions::default())
}

fn config(fields: Value) -> Value {
    with(fields).unwrap()["generationConfig"].clone()
}

fn said(parts: Vec<(Role, Vec<Part>)>) -> Value {
    let message = |(index, (role, parts))| Message::new(role, parts, format!("messages[{index}]"));
    let messages = parts.into_iter().enumerate().map(message).collect();
    let request = ChatRequest {
        model: "gemini-3-pro".to_owned(),
        messages,
        ..ChatRequest::default()
    };
    let bytes = gemini::request::render(&request, &RenderOptions::default()).expect("expressible");
    serde_json::from_slice::<Value>(&bytes).expect("JSON")["contents"].clone()
}

fn call(id: &str, name: &str, signature: Option<Signature>) -> Part {
    Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: "{\"z\":1,\"a\":2}".to_owned(),
        signature,
    }
}

fn result(id: &str, text: &str, is_error: bool) -> Part {
    Part::ToolResult {
        id: id.to_owned(),
        name: String::new(),
        content: vec![Part::text(text)],
        is_error,
    }
}

#[test]
fn a_conversation_with_everything_in_it() {
    backend::check_conversation(Gemini);
}

#[test]
fn a_model_stays_one_segment_of_the_path() {
    for (model, method, expected) in [
        (
            "gemini-3-pro",
            Method::Generate,
            "/v1beta/models/gemini-3-pro:generateContent",
        ),
        (
            "models/gemini-3-pro",
            Method::Stream,
            "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse",
        ),
        (
            "tunedModels/mine",
            Method::Generate,
            "/v1beta/tunedModels/mine:generateContent",
        ),
        (
            "a/../b?key=x#y%",
            Method::BatchEmbed,
            "/v1beta/models/a%2F..%2Fb%3Fkey%3Dx%23y%25:batchEmbedContents",
        ),
        ("", Method::Generate, "/v1beta/models/:generateContent"),
    ] {
        assert_eq!(path(model, method), expected);
    }
}

#[test]
fn system_messages_are_gathered_and_neighbours_merged() {
    let user = |text: &str| json!({"role": "user", "content": text});
    let rendered = with(json!({"messages": [
        {"role": "system", "content": "A"}, user("1"), user("2"), {"role": "assistant", "content": "3"},
        {"role": "developer", "content": "B"}, {"role": "assistant", "content": "4"}, user("5"),
    ]}))
    .unwrap();
    assert_eq!(
        rendered["systemInstruction"],
        json!({"parts": [{"text": "A"}, {"text": "B"}]})
    );
    assert_eq!(
        rendered["contents"],
        json!([
            {"role": "user", "parts": [{"text": "1"}, {"text": "2"}]},
            {"role": "model", "parts": [{"text": "3"}, {"text": "4"}]},
            {"role": "user", "parts": [{"text": "5"}]},
        ])
    );
    assert!(with(json!({})).unwrap().get("systemInstruction").is_none());
}

#[test]
fn tool_results_are_objects_in_one_turn_of_the_users() {
    let contents = said(vec![
        (
            Role::Assistant,
            vec![call("1", "f", None), call("2", "g", None), call("3", "h", None)],
        ),
        (Role::Tool, vec![result("2", "{\"ok\":true}", false)]),
        (Role::Tool, vec![result("1", "[1]", false)]),
        (Role::Tool, vec![result("3", "{\"no\":1}", true)]),
        (Role::User, vec![Part::text("So?")]),
    ]);
    assert_eq!(
        contents[1],
        json!({"role": "user", "parts": [
            {"functionResponse": {"id": "2", "name": "g", "response": {"ok": true}}},
            {"functionResponse": {"id": "1", "name": "f", "response": {"result": "[1]"}}},
            {"functionResponse": {"id": "3", "name": "h", "response": {"error": "{\"no\":1}"}}},
            {"text": "So?"},
        ]})
    );
    assert_eq!(contents.as_array().map(Vec::len), Some(2));
}

#[test]
fn calls_are_signed_by_gemini_or_excused() {
    let signature = |dialect| Some(Signature::new(dialect, "c2ln"));
    let signatures = |parts: Vec<Part>| {
        let contents = said(vec![(Role::User, vec![Part::text("?")]), (Role::Assistant, parts)]);
        let of = |part: &Value| part["thoughtSignature"].as_str().unwrap_or("-").to_owned();
        contents[1]["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(of)
            .collect::<Vec<_>>()
    };
    let skip = "skip_thought_signature_validator";
    let (own, foreign) = (signature(Dialect::Gemini), signature(Dialect::Anthropic));
    assert_eq!(
        signatures(vec![call("1", "f", own.clone()), call("2", "g", None)]),
        ["c2ln", "-"]
    );
    assert_eq!(
        signatures(vec![call("1", "f", None), call("2", "g", None)]),
        [skip, "-"]
    );
    assert_eq!(
        signatures(vec![call("1", "f", foreign.clone()), call("2", "g", foreign.clone())]),
        [skip, "-"]
    );
    // A signature that hangs on the second call is enough; an excuse beside it would be one too many.
    assert_eq!(
        signatures(vec![call("1", "f", None), call("2", "g", own.clone())]),
        ["-", "c2ln"]
    );

    let thought = |text: &str, signature| Part::Thinking {
        text: text.to_owned(),
        signature,
    };
    let contents = said(vec![
        (Role::User, vec![Part::text("?")]),
        (
            Role::Assistant,
            vec![
                thought("theirs", foreign),
                thought("unsigned", None),
                thought("own", own.clone()),
                Part::text("Fine."),
                thought("", own),
                Part::RedactedThinking { data: "x".to_owned() },
            ],
        ),
    ]);
    assert_eq!(
        contents[1]["parts"],
        json!([
            {"text": "own", "thought": true, "thoughtSignature": "c2ln"},
            {"text": "Fine."},
            {"text": "", "thoughtSignature": "c2ln"},
        ])
    );
    let text = said(vec![(Role::Assistant, vec![call("1", "f", None)])]).to_string();
    assert!(
        text.contains(r#""args":{"z":1,"a":2}"#),
        "keys keep their order: {text}"
    );
}

#[test]
fn tools_and_the_choice_among_them() {
    let parameters = json!({"type": "object", "properties": {"z": {}, "a": {}}, "additionalProperties": false});
    let tool = |strict: bool| {
        json!([{"type": "function", "function":
            {"name": "f", "description": "d", "parameters": parameters, "strict": strict}}])
    };
    let rendered = with(json!({"tools": tool(false)})).unwrap();
    let declaration = json!({"name": "f", "description": "d", "parametersJsonSchema": parameters});
    assert_eq!(
        rendered["tools"].to_string(),
        json!([{"functionDeclarations": [declaration]}]).to_string()
    );
    assert!(rendered.get("toolConfig").is_none());
    let named = json!({"type": "function", "function": {"name": "f"}});
    for (choice, strict, expected) in [
        (json!("auto"), false, json!({"mode": "AUTO"})),
        (json!("auto"), true, json!({"mode": "VALIDATED"})),
        (json!(null), true, json!({"mode": "VALIDATED"})),
        (json!("none"), false, json!({"mode": "NONE"})),
        (json!("required"), true, json!({"mode": "ANY"})),
        (named, false, json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
    ] {
        let rendered = with(json!({"tools": tool(strict), "tool_choice": choice})).unwrap();
        assert_eq!(rendered["toolConfig"]["functionCallingConfig"], expected);
        assert!(rendered.get("tools").is_some(), "the history may hold calls");
    }
}

#[test]
fn what_tunes_the_answer() {
    for (asked, expected) in [
        (json!({}), json!({})),
        (
            json!({"max_tokens": 5, "stop": "END"}),
            json!({"maxOutputTokens": 5, "stopSequences": ["END"]}),
        ),
        (
            json!({"temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 7}),
            json!({"temperature": 0.5, "topP": 0.9, "topK": 3, "seed": 7}),
        ),
        (
            json!({"presence_penalty": 0.1, "frequency_penalty": 0.2}),
            json!({"presencePenalty": 0.1, "frequencyPenalty": 0.2}),
        ),
        (
            json!({"logprobs": true, "top_logprobs": 2}),
            json!({"responseLogprobs": true, "logprobs": 2}),
        ),
        (json!({"response_format": {"type": "text"}}), json!({})),
        (
            json!({"response_format": {"type": "json_object"}}),
            json!({"responseMimeType": "application/json"}),
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}}),
            json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}),
        ),
    ] {
        assert_eq!(config(asked), expected);
    }
}

#[test]
fn thinking_has_levels_or_a_budget() {
    for (model, effort, expected) in [
        ("gemini-2.5-flash", "none", json!({"thinkingBudget": 0})),
        (
            "gemini-2.5-flash",
            "low",
            json!({"includeThoughts": true, "thinkingBudget": 1024}),
        ),
        (
            "gemini-2.5-flash",
            "high",
            json!({"includeThoughts": true, "thinkingBudget": 16384}),
        ),
        (
            "gemini-flash-latest",
            "medium",
            json!({"includeThoughts": true, "thinkingBudget": 4096}),
        ),
        ("gemini-3-pro", "none", json!({"thinkingLevel": "LOW"})),
        ("gemini-3-flash", "none", json!({"thinkingLevel": "MINIMAL"})),
        (
            "gemini-3-pro",
            "minimal",
            json!({"includeThoughts": true, "thinkingLevel": "LOW"}),
        ),
        (
            "gemini-3.5-flash",
            "minimal",
            json!({"includeThoughts": true, "thinkingLevel": "MINIMAL"}),
        ),
        (
            "models/gemini-3.5-flash",
            "low",
            json!({"includeThoughts": true, "thinkingLevel": "LOW"}),
        ),
        (
            "gemini-10",
            "medium",
            json!({"includeThoughts": true, "thinkingLevel": "MEDIUM"}),
        ),
        (
            "gemini-3-pro",
            "max",
            json!({"includeThoughts": true, "thinkingLevel": "HIGH"}),
        ),
    ] {
        let thinking = config(json!({"model": model, "reasoning_effort": effort}))["thinkingConfig"].clone();
        assert_eq!(thinking, expected, "{model} {effort}");
    }
    for (model, expected) in [
        ("gemini-2.5-pro", json!({"includeThoughts": true, "thinkingBudget": -1})),
        ("gemini-3-pro", json!({"includeThoughts": true})),
    ] {
        let adaptive = config(json!({"model": model, "reasoning": {"enabled": true}}));
        assert_eq!(adaptive["thinkingConfig"], expected, "{model}");
    }
}

#[test]
fn what_gemini_cannot_be_told_is_refused_by_name() {
    let image = |role: &str, url: &str| json!([{"role": role, "content": [{"type": "image_url", "image_url": {"url": url}}]}, {"role": "user", "content": "?"}]);
    let call = json!([{"role": "assistant", "content": null,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "nonsense"}}]}]);
    for (asked, field) in [
        (json!({"n": 2}), "n"),
        (
            json!({"messages": image("user", "https://host/a.png")}),
            "messages[0].content[0]",
        ),
        (
            json!({"messages": image("system", "data:image/png;base64,iVBORw0K")}),
            "messages[0].content[0]",
        ),
        (
            json!({"messages": call}),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            json!({"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}),
            "messages[0].content[0]",
        ),
        (
            json!({"messages": [{"role": "system", "content": "alone"}]}),
            "messages",
        ),
    ] {
        backend::check_refused(Gemini, &body(asked), field, false);
    }
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    for (asked, field) in [
        (json!({"logit_bias": {"1": 5}}), "logit_bias"),
        (json!({"min_p": 0.1}), "min_p"),
        (json!({"repeat_penalty": 1.1}), "repeat_penalty"),
        (
            json!({"tools": tools, "parallel_tool_calls": false}),
            "parallel_tool_calls",
        ),
        (json!({"verbosity": "low"}), "verbosity"),
    ] {
        backend::check_refused(Gemini, &body(asked), field, true);
    }
}
