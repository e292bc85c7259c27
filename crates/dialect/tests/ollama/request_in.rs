//! What Ollama's clients ask, and what of it is refused.

use dialect::chat::{Effort, Part, Reasoning, RenderOptions, ResponseFormat, Role};
use dialect::ollama::Endpoint::{self, Chat, Generate};
use dialect::ollama::request::{self, Asked};
use dialect::{ChatRequest, openai};
use serde_json::{Value, json};

use crate::backend::body;
use crate::snapshot;

fn read(endpoint: Endpoint, body: &Value) -> ChatRequest {
    match request::read(endpoint, body.to_string().as_bytes()) {
        Ok(Asked::Chat(request)) => *request,
        other => panic!("{body} gave {other:?}"),
    }
}

fn chat(fields: Value) -> ChatRequest {
    read(Chat, &body("m", fields))
}

fn problem(endpoint: Endpoint, body: &Value) -> String {
    let refusal = request::read(endpoint, body.to_string().as_bytes()).expect_err("a bad request");
    refusal
        .problems
        .into_iter()
        .map(|problem| problem.field)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn fixtures_become_openai_requests() {
    for (start, endpoint) in [("request-chat", Chat), ("request-generate", Generate)] {
        for name in snapshot::fixtures("ollama", start) {
            let asked = request::read(endpoint, &snapshot::fixture(&name)).expect("a good request");
            let text = match &asked {
                Asked::Chat(request) => {
                    snapshot::pretty(&openai::request::render(request, &RenderOptions::default()).expect("expressible"))
                }
                other => format!("{other:?}\n"),
            };
            snapshot::check(&name.replace(".json", ".to-openai"), &text);
        }
    }
}

#[test]
fn streaming_is_the_default_and_tells_its_usage() {
    assert!(chat(json!({})).stream);
    assert!(chat(json!({})).stream_usage);
    assert!(!chat(json!({"stream": false})).stream);
}

#[test]
fn empty_requests_load_and_unload() {
    let load = |keep: Option<Value>| Asked::Load {
        model: "m".into(),
        keep_alive: keep.map(|it| (&it).into()),
    };
    let unload = Asked::Unload { model: "m".into() };
    for endpoint in [Chat, Generate] {
        for (fields, expected) in [
            (json!({}), load(None)),
            (json!({"messages": [], "prompt": ""}), load(None)),
            (json!({"keep_alive": "5m"}), load(Some(json!("5m")))),
            (json!({"keep_alive": -1}), load(Some(json!(-1)))),
            (json!({"keep_alive": "10s"}), load(Some(json!("10s")))),
            (json!({"keep_alive": 0}), unload.clone()),
            (json!({"keep_alive": "0"}), unload.clone()),
            (json!({"keep_alive": "0s"}), unload.clone()),
        ] {
            let mut body = json!({"model": "m"});
            body.as_object_mut()
                .unwrap()
                .extend(fields.as_object().unwrap().clone());
            assert_eq!(
                request::read(endpoint, body.to_string().as_bytes()).unwrap(),
                expected,
                "{body}"
            );
        }
    }
    assert!(request::parse(br#"{"model":"m","messages":[]}"#).is_err());
}

#[test]
fn options_mean_what_ollama_means() {
    let with = |options: Value| chat(json!({"options": options}));
    assert_eq!(with(json!({"stop": "END"})).sampling.stop, ["END"]);
    assert_eq!(with(json!({"stop": ["a", "b"]})).sampling.stop, ["a", "b"]);
    assert_eq!(with(json!({"num_predict": 256.0})).max_tokens, Some(256));
    assert_eq!(with(json!({"top_k": 40.0})).sampling.top_k, Some(40));
    for endless in [-1, -2, 0] {
        assert_eq!(with(json!({"num_predict": endless})).max_tokens, None, "{endless}");
    }
    assert_eq!(with(json!({"top_k": -1})).sampling.top_k, Some(0));
    assert_eq!(with(json!({"seed": -1})).sampling.seed, None);
    let loading = with(json!({"num_ctx": 8192, "num_gpu": 99, "num_thread": 4, "use_mmap": true, "num_keep": 5}));
    assert!(
        loading.extra.is_empty(),
        "how a model is loaded is no backend's business: {:?}",
        loading.extra
    );
    let odd = with(json!({"mirostat": 2, "typical_p": 0.7}));
    let fields: Vec<_> = odd.extra.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["options.mirostat", "options.typical_p"]);
}

#[test]
fn think_levels_and_formats() {
    for (think, expected) in [
        (json!(null), None),
        (json!(true), Some(Reasoning::Adaptive)),
        (json!(false), Some(Reasoning::Off)),
        (json!("low"), Some(Reasoning::Effort(Effort::Low))),
        (json!("medium"), Some(Reasoning::Effort(Effort::Medium))),
        (json!("high"), Some(Reasoning::Effort(Effort::High))),
        (json!("max"), Some(Reasoning::Effort(Effort::Max))),
    ] {
        assert_eq!(chat(json!({"think": think})).reasoning, expected);
    }
    assert_eq!(
        chat(json!({"format": "json"})).response_format,
        Some(ResponseFormat::JsonObject)
    );
    assert_eq!(chat(json!({"format": ""})).response_format, None);
    let schema = json!({"type": "object"});
    let expected = ResponseFormat::JsonSchema {
        name: None,
        schema: (&schema).into(),
        strict: None,
    };
    assert_eq!(chat(json!({"format": schema})).response_format, Some(expected));
}

#[test]
fn what_is_wrong_is_named() {
    let message = json!([{"role": "user", "content": "Hi"}]);
    for (body, fields) in [
        (json!({"messages": message}), "model"),
        (json!({"model": "", "messages": message}), "model"),
        (json!({"model": "m", "messages": message, "think": "ultra"}), "think"),
        (json!({"model": "m", "messages": message, "think": 3}), "think"),
        (json!({"model": "m", "messages": message, "format": "xml"}), "format"),
        (
            json!({"model": "m", "messages": message, "top_logprobs": 21}),
            "top_logprobs",
        ),
        (
            json!({"model": "m", "messages": message, "keep_alive": {}}),
            "keep_alive",
        ),
        (
            json!({"model": "m", "messages": message, "options": {"temperature": "hot"}}),
            "options.temperature",
        ),
        (
            json!({"model": "m", "messages": [{"role": "king", "content": "Hi"}]}),
            "messages[0].role",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": 3}]}),
            "messages[0].content",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "images": ["https://host/a.png"]}]}),
            "messages[0].images[0]",
        ),
        (
            json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]}),
            "messages[0].tool_calls[0].function.arguments",
        ),
    ] {
        assert_eq!(problem(Chat, &body), fields, "{body}");
    }
    assert_eq!(problem(Chat, &json!([])), "");
    assert!(
        request::read(Chat, b"{\"model\":\"m\",\"model\":\"n\"}").is_err(),
        "a name given twice"
    );
}

#[test]
fn what_only_the_models_own_server_can_do_is_refused_by_name() {
    for (field, value, empty) in [
        ("template", json!("{{ .Prompt }}"), json!("")),
        ("raw", json!(true), json!(false)),
        ("context", json!([1, 2]), json!([])),
        ("suffix", json!("return"), json!("")),
        ("width", json!(64), json!(0)),
    ] {
        let request = read(Generate, &json!({"model": "m", "prompt": "Hi", field: value}));
        assert_eq!(request.expressible().expect_err("refused").field, field);
        let request = read(Generate, &json!({"model": "m", "prompt": "Hi", field: empty}));
        assert_eq!(request.expressible(), Ok(()), "{field} that asks for nothing");
        assert!(request.extra.is_empty());
    }
    let debug = chat(json!({"_debug_render_only": true}));
    assert_eq!(debug.expressible().expect_err("refused").field, "_debug_render_only");
    for field in ["truncate", "shift"] {
        let request = chat(json!({field: true}));
        assert_eq!(request.extra[0].0, field);
        assert!(
            chat(json!({field: false})).extra.is_empty(),
            "refusing what is too long is what the others do"
        );
    }
}

#[test]
fn a_tools_result_finds_its_call() {
    let call = |name: &str| json!({"function": {"name": name, "arguments": {}}});
    let turns = |results: Value| {
        let mut messages = vec![json!({"role": "assistant", "tool_calls": [call("a"), call("b"), call("a")]})];
        messages.extend(results.as_array().unwrap().iter().cloned());
        read(Chat, &json!({"model": "m", "messages": messages}))
    };
    let ids = |request: &ChatRequest| -> Vec<(String, String)> {
        let results = request.messages.iter().filter(|message| message.role == Role::Tool);
        let part = |part: &Part| match part {
            Part::ToolResult { id, name, .. } => (id.clone(), name.clone()),
            other => panic!("{other:?}"),
        };
        results.flat_map(|message| message.parts.iter().map(part)).collect()
    };
    let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
    let tool = |name: &str| json!({"role": "tool", "content": "x", "tool_name": name});

    let named = turns(json!([tool("a"), tool("a"), tool("b")]));
    assert_eq!(
        ids(&named),
        [pair("call_0_0", "a"), pair("call_0_2", "a"), pair("call_0_1", "b")]
    );
    let bare = json!({"role": "tool", "content": "x"});
    assert_eq!(
        ids(&turns(json!([bare, bare]))),
        [pair("call_0_0", "a"), pair("call_0_1", "b")]
    );
    let by_id = json!({"role": "tool", "content": "x", "tool_call_id": "call_0_2"});
    assert_eq!(ids(&turns(json!([by_id]))), [pair("call_0_2", "a")]);
    let cut_off = json!({"role": "tool", "content": "x", "tool_call_id": "older", "tool_name": "z"});
    assert_eq!(ids(&turns(json!([cut_off]))), [pair("older", "z")]);

    let orphan = turns(json!([tool("unknown")]));
    assert_eq!(
        orphan.expressible().expect_err("refused").field,
        "messages[1].tool_name"
    );
}

#[test]
fn images_lose_their_prefix_and_keep_their_type() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "?",
        "images": ["/9j/4AAQ", "data:image/webp;base64,UklGRg==", "iVBORw0K"]}]});
    let request = read(Chat, &body);
    let url = |part: &Part| match part {
        Part::Image(image) => Some(image.to_url()),
        _ => None,
    };
    let urls: Vec<_> = request.messages[0].parts.iter().filter_map(url).collect();
    let expected = [
        "data:image/jpeg;base64,/9j/4AAQ",
        "data:image/webp;base64,UklGRg==",
        "data:image/png;base64,iVBORw0K",
    ];
    assert_eq!(urls, expected);
}
