//! Whole answers: each backend's fixture, rendered for each kind of client.

use dialect::chat::{Finish, Part, Signature};
use dialect::{ChatResponse, Dialect, anthropic, ollama, openai};

use crate::decoding::identity;
use crate::{folder, snapshot, snapshot_name};

fn responses() -> Vec<(String, ChatResponse)> {
    let mut responses = Vec::new();
    for dialect in Dialect::ALL {
        for name in snapshot::fixtures(&folder(dialect), "response-") {
            if name.contains("embed") {
                continue;
            }
            if let Ok(response) = dialect.parse_response(&snapshot::fixture(&name), &identity()) {
                responses.push((name, response));
            }
        }
    }
    assert!(responses.len() > 12);
    responses
}

#[test]
fn every_answer_for_every_client() {
    let body = br#"{"model":"m","input":"x","temperature":0.5}"#;
    let (_, echo) = openai::responses::parse(body).expect("a good request");
    for (name, response) in responses() {
        let rendered = [
            ("openai", openai::response::render(&response)),
            ("anthropic", anthropic::response::render(&response)),
            ("completions", openai::completions::render(&response)),
            ("responses", openai::responses::render(&response, &echo, &identity())),
        ];
        for (to, body) in rendered {
            snapshot::check(&snapshot_name(&name, to), &snapshot::pretty(&body));
        }
    }
}

/// Text, thinking, calls and counts come through a dialect unharmed. What a dialect has no place for is named here.
#[test]
fn rendered_and_read_again() {
    for (name, response) in responses() {
        let openai = openai::response::parse(&openai::response::render(&response), &identity()).expect("what we wrote");
        assert_eq!(spoken(&openai), spoken(&response), "{name} through OpenAI");
        assert_eq!(openai.logprobs, response.logprobs, "{name} through OpenAI");
        let anthropic = anthropic::response::parse(&anthropic::response::render(&response), &identity());
        let anthropic = anthropic.expect("what we wrote");
        if !name.contains("broken") {
            assert_eq!(spoken(&anthropic), spoken(&response), "{name} through Anthropic");
        }
        let ollama = ollama::response::parse(&ollama::response::render(&response), &identity()).expect("what we wrote");
        if !name.contains("broken") {
            assert_eq!(spoken(&ollama).0, spoken(&response).0, "{name} through Ollama");
            assert_eq!(spoken(&ollama).1, spoken(&response).1, "{name} through Ollama");
        }
        if let (Some(input), Some(output)) = (response.usage.input, response.usage.output) {
            for again in [&openai, &anthropic, &ollama] {
                assert_eq!(
                    (again.usage.input, again.usage.output),
                    (Some(input), Some(output)),
                    "{name}"
                );
            }
        }
    }
}

/// Text, thinking, and calls with arguments of no particular spacing.
fn spoken(response: &ChatResponse) -> (String, String, Vec<(String, String, serde_json::Value)>) {
    let text = response.parts.iter().filter_map(Part::as_text).collect();
    let thinking = response.parts.iter().filter_map(|part| match part {
        Part::Thinking { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let calls = response.parts.iter().filter_map(|part| match part {
        Part::ToolCall {
            id, name, arguments, ..
        } => {
            let arguments = if arguments.is_empty() { "{}" } else { arguments };
            let value = serde_json::from_str(arguments).unwrap_or_else(|_| arguments.into());
            Some((id.clone(), name.clone(), value))
        }
        _ => None,
    });
    (text, thinking.collect(), calls.collect())
}

#[test]
fn a_call_makes_the_finish_and_gets_an_id() {
    let body = snapshot::fixture("openai/response-tools.json");
    let response = openai::response::parse(&body, &identity()).expect("a good answer");
    assert_eq!(response.finish, Finish::ToolCalls);
    assert!(matches!(&response.parts[2], Part::ToolCall { id, .. } if id == "call_x1_1"));
}

#[test]
fn broken_arguments_stay_what_they_are() {
    let body = snapshot::fixture("openai/response-broken-arguments.json");
    let response = openai::response::parse(&body, &identity()).expect("a good answer");
    let anthropic = String::from_utf8(anthropic::response::render(&response).to_vec()).expect("UTF-8");
    assert!(
        anthropic.contains(r#""input":{"INVALID_JSON":"{\"zone\": "}"#),
        "{anthropic}"
    );
}

#[test]
fn half_a_usage_is_no_usage_to_openai() {
    let mut response = ChatResponse {
        parts: vec![Part::text("x")],
        ..ChatResponse::default()
    };
    response.usage.output = Some(4);
    let body = String::from_utf8(openai::response::render(&response).to_vec()).expect("UTF-8");
    assert!(!body.contains("usage"), "{body}");
}

#[test]
fn no_signature_survives_a_change_of_provider() {
    let foreign = Some(Signature::new(Dialect::Gemini, "Z2Vt"));
    let parts = vec![Part::Thinking {
        text: "Hm.".to_owned(),
        signature: foreign,
    }];
    let response = ChatResponse {
        parts,
        ..ChatResponse::default()
    };
    let body = String::from_utf8(anthropic::response::render(&response).to_vec()).expect("UTF-8");
    assert!(body.contains(r#""signature":"""#) && !body.contains("Z2Vt"), "{body}");
}

#[test]
fn what_is_no_answer_is_the_backend_s_fault() {
    for body in [
        &b""[..],
        b"{}",
        b"[]",
        br#"{"choices":[]}"#,
        br#"{"choices":[{"message":"x"}]}"#,
        br#"{"content":1}"#,
    ] {
        assert!(openai::response::parse(body, &identity()).is_err());
        assert!(anthropic::response::parse(body, &identity()).is_err());
    }
}
