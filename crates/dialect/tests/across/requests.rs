//! Requests: each client's fixture, rendered for each kind of backend or refused by name.

use dialect::chat::{Policy, RenderOptions};
use dialect::{ChatRequest, Dialect, anthropic, openai};

use crate::snapshot;
use crate::snapshot_name;

fn requests() -> Vec<(String, ChatRequest)> {
    let mut requests = Vec::new();
    for name in snapshot::fixtures("openai", "request-") {
        let request = openai::request::parse(&snapshot::fixture(&name)).unwrap_or_else(|bad| panic!("{name}: {bad}"));
        requests.push((name, request));
    }
    for name in snapshot::fixtures("anthropic", "request-") {
        let request =
            anthropic::request::parse(&snapshot::fixture(&name)).unwrap_or_else(|bad| panic!("{name}: {bad}"));
        requests.push((name, request));
    }
    let name = "openai/responses-request.json";
    let (request, _) = openai::responses::parse(&snapshot::fixture(name)).unwrap_or_else(|bad| panic!("{name}: {bad}"));
    requests.push((name.to_owned(), request));
    requests
}

#[test]
fn every_request_for_every_backend() {
    let options = RenderOptions {
        model: Some("backend-model".to_owned()),
        ..RenderOptions::default()
    };
    for (name, request) in requests() {
        for dialect in Dialect::ALL {
            let text = match dialect.render_request(&request, &options) {
                Ok(body) => snapshot::pretty(&body),
                Err(refusal) => format!("refused: {refusal}\n"),
            };
            snapshot::check(&snapshot_name(&name, &crate::folder(dialect)), &text);
        }
    }
}

#[test]
fn what_only_tunes_goes_by_policy_and_content_never() {
    let lenient = RenderOptions {
        policy: Policy::Drop,
        ..RenderOptions::default()
    };
    for (name, request) in requests() {
        let strict = anthropic::request::render(&request, &RenderOptions::default());
        let dropped = anthropic::request::render(&request, &lenient);
        let tunes_only = name.ends_with("request-tuned.json") || name.ends_with("request-unknown.json");
        assert_eq!(strict.is_err() && dropped.is_ok(), tunes_only, "{name}");
    }
}

/// What a dialect renders and then reads again is the same conversation.
#[test]
fn rendered_and_read_again() {
    for (name, request) in requests() {
        let options = RenderOptions::default();
        if let Ok(body) = openai::request::render(&request, &options) {
            let again = openai::request::parse(&body).unwrap_or_else(|bad| panic!("{name}: {bad}"));
            let body_again = openai::request::render(&again, &options).expect("what was rendered once");
            assert_eq!(body_again, body, "{name}");
        }
        if let Ok(body) = anthropic::request::render(&request, &options) {
            let again = anthropic::request::parse(&body).unwrap_or_else(|bad| panic!("{name}: {bad}"));
            let body_again = anthropic::request::render(&again, &options).expect("what was rendered once");
            assert_eq!(body_again, body, "{name}");
        }
    }
}

#[test]
fn a_tool_s_arguments_keep_their_order_and_their_digits() {
    let request = openai::request::parse(&snapshot::fixture("openai/request-agent.json")).expect("a good request");
    for dialect in [Dialect::Anthropic, Dialect::Ollama, Dialect::Gemini] {
        let body = dialect.render_request(
            &request,
            &RenderOptions {
                policy: Policy::Drop,
                ..RenderOptions::default()
            },
        );
        let body = String::from_utf8(body.expect("expressible").to_vec()).expect("UTF-8");
        let compact = body.replace(": ", ":").replace(", ", ",");
        assert!(
            compact.contains(r#"{"zone":1,"at":"Köln","big":123456789012345678901}"#),
            "{dialect:?}: {body}"
        );
    }
}

#[test]
fn tokens_can_be_counted_without_a_bound() {
    let body = br#"{"model":"claude-x","messages":[{"role":"user","content":"Hi"}]}"#;
    assert!(anthropic::request::parse(body).is_err());
    assert_eq!(
        anthropic::request::parse_count_tokens(body).map(|request| request.messages.len()),
        Ok(1)
    );
}
