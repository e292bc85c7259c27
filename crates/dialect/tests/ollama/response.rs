//! Whole answers, both ways, and failures.

use std::time::Duration;

use dialect::chat::{Finish, Part, Timings, Usage};
use dialect::ollama::{Endpoint, error, response};
use dialect::{ChatResponse, Failure, FailureKind, openai};
use serde_json::{Value, json};

use crate::decoding::identity;
use crate::snapshot;

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn fixtures_become_openai_answers() {
    for start in ["response-chat", "response-generate"] {
        for name in snapshot::fixtures("ollama", start) {
            let response = response::parse(&snapshot::fixture(&name), &identity()).expect("a good answer");
            let text = snapshot::pretty(&openai::response::render(&response));
            snapshot::check(&name.replace(".json", ".to-openai"), &text);
        }
    }
}

#[test]
fn answers_survive_the_way_through() {
    for name in snapshot::fixtures("ollama", "response-chat") {
        let first = response::parse(&snapshot::fixture(&name), &identity()).expect("a good answer");
        for endpoint in [Endpoint::Chat, Endpoint::Generate] {
            let again = response::parse(&response::render_for(endpoint, &first), &identity()).expect("a good answer");
            assert_eq!(again, first, "{name} as {endpoint:?}");
        }
    }
}

#[test]
fn an_answer_as_ollama_writes_it() {
    let call = |arguments: &str| Part::ToolCall {
        id: "call_1".to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        signature: None,
    };
    let answer = ChatResponse {
        model: "llama3.2".to_owned(),
        created: identity().created,
        parts: vec![
            Part::Thinking {
                text: "Hm.".to_owned(),
                signature: None,
            },
            Part::text("Hel"),
            Part::text("lo"),
            call("{\"z\": 1,\n\"a\": \"x y\"}"),
            call("not json"),
        ],
        finish: Finish::ToolCalls,
        usage: Usage {
            input: Some(3),
            output: Some(5),
            ..Usage::default()
        },
        timings: Timings {
            total: Some(Duration::from_micros(1_500)),
            ..Timings::default()
        },
        ..ChatResponse::default()
    };
    let bytes = response::render(&answer);
    assert!(!bytes.contains(&b'\n'), "an answer may be a line of a stream");
    assert_eq!(
        value(&bytes),
        json!({"model": "llama3.2", "created_at": "2026-11-22T08:18:54.000000000Z",
            "message": {"role": "assistant", "content": "Hellof(not json)", "thinking": "Hm.", "tool_calls": [
                {"id": "call_1", "function": {"index": 0, "name": "f", "arguments": {"z": 1, "a": "x y"}}},
            ]},
            "done": true, "done_reason": "stop", "total_duration": 1_500_000, "prompt_eval_count": 3, "eval_count": 5})
    );
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(
        text.contains(r#""arguments":{"z":1,"a":"x y"}"#),
        "keys keep their order"
    );

    let generated = value(&response::render_for(Endpoint::Generate, &answer));
    assert_eq!(
        (&generated["response"], &generated["thinking"]),
        (&json!("Hellof(not json)"), &json!("Hm."))
    );
    assert_eq!(generated["context"], json!([]));
    assert!(generated.get("message").is_none());
}

#[test]
fn reasons_and_what_an_answer_must_have() {
    for (finish, reason) in [
        (Finish::Stop, "stop"),
        (Finish::ToolCalls, "stop"),
        (Finish::ContentFilter, "stop"),
        (Finish::Length, "length"),
        (Finish::Error, "error"),
    ] {
        let bytes = response::render(&ChatResponse {
            finish,
            ..ChatResponse::default()
        });
        assert_eq!(value(&bytes)["done_reason"], reason);
    }
    let parse = |answer: Value| response::parse(answer.to_string().as_bytes(), &identity());
    let half = json!({"model": "m", "message": {"role": "assistant", "content": "He"}, "done": false});
    assert_eq!(parse(half).expect_err("not whole").field, "done");
    assert!(parse(json!([])).is_err());
    let old = parse(json!({"model": "m", "message": {"content": "Hi"}, "done": true})).unwrap();
    assert_eq!(
        (old.finish, old.usage, old.created),
        (Finish::Stop, Usage::default(), identity().created)
    );
}

#[test]
fn loading_is_answered_without_counts() {
    for (endpoint, said) in [
        (Endpoint::Chat, json!({"message": {"role": "assistant", "content": ""}})),
        (Endpoint::Generate, json!({"response": ""})),
    ] {
        let mut expected = json!({"model": "m", "created_at": "2026-11-22T08:18:54.000000000Z"});
        let fields = expected.as_object_mut().unwrap();
        fields.extend(said.as_object().unwrap().clone());
        fields.extend(
            json!({"done": true, "done_reason": "load"})
                .as_object()
                .unwrap()
                .clone(),
        );
        assert_eq!(value(&response::loaded(endpoint, "m", identity().created)), expected);
        expected["done_reason"] = json!("unload");
        assert_eq!(value(&response::unloaded(endpoint, "m", identity().created)), expected);
    }
}

#[test]
fn failures_both_ways() {
    let failure = error::parse(404, &snapshot::fixture("ollama/error.json"));
    assert_eq!(failure, Failure::new(FailureKind::NotFound, "model 'nope' not found"));
    assert_eq!(&error::render(&failure)[..], br#"{"error":"model 'nope' not found"}"#);
}
