//! Whole answers and failures.

use dialect::chat::{Finish, Part, Signature, Usage};
use dialect::gemini::{error, response};
use dialect::{ChatResponse, Dialect, Failure, FailureKind, openai};
use serde_json::{Value, json};

use crate::decoding::identity;
use crate::snapshot;

fn parse(answer: &Value) -> Result<ChatResponse, String> {
    response::parse(answer.to_string().as_bytes(), &identity()).map_err(|bad| bad.to_string())
}

#[test]
fn fixtures_become_openai_answers() {
    for name in snapshot::fixtures("gemini", "response-")
        .into_iter()
        .filter(|name| !name.contains("embed"))
    {
        let text = match response::parse(&snapshot::fixture(&name), &identity()) {
            Ok(answer) => snapshot::pretty(&openai::response::render(&answer)),
            Err(bad) => format!("{bad}\n"),
        };
        snapshot::check(&name.replace(".json", ".to-openai"), &text);
    }
}

#[test]
fn reasons() {
    let with = |reason: Value, parts: Value| {
        parse(&json!({"candidates": [{"content": {"parts": parts}, "finishReason": reason}]})).map(|it| it.finish)
    };
    let call = json!([{"functionCall": {"name": "f"}}]);
    for (reason, finish) in [
        ("STOP", Finish::Stop),
        ("MAX_TOKENS", Finish::Length),
        ("SAFETY", Finish::ContentFilter),
        ("RECITATION", Finish::ContentFilter),
        ("BLOCKLIST", Finish::ContentFilter),
        ("PROHIBITED_CONTENT", Finish::ContentFilter),
        ("SPII", Finish::ContentFilter),
        ("IMAGE_SAFETY", Finish::ContentFilter),
        ("IMAGE_OTHER", Finish::ContentFilter),
        ("MODEL_ARMOR", Finish::ContentFilter),
    ] {
        assert_eq!(with(json!(reason), json!([{"text": "x"}])), Ok(finish), "{reason}");
    }
    assert_eq!(with(json!("STOP"), call.clone()), Ok(Finish::ToolCalls));
    assert_eq!(with(json!("FUNCTION_CALL"), call.clone()), Ok(Finish::ToolCalls));
    assert_eq!(with(json!("MAX_TOKENS"), call), Ok(Finish::Length));
    for reason in [
        "MALFORMED_FUNCTION_CALL",
        "OTHER",
        "LANGUAGE",
        "UNEXPECTED_TOOL_CALL",
        "MISSING_THOUGHT_SIGNATURE",
        "?",
    ] {
        assert!(with(json!(reason), json!([])).is_err(), "{reason}");
    }
    for unfinished in [json!(null), json!("FINISH_REASON_UNSPECIFIED")] {
        assert!(with(unfinished, json!([{"text": "x"}])).is_err());
    }
    let blocked = parse(&json!({"promptFeedback": {"blockReason": "SAFETY"}})).expect("an answer");
    assert_eq!((blocked.finish, blocked.parts), (Finish::ContentFilter, vec![]));
    assert!(parse(&json!({})).is_err());
    assert!(parse(&json!({"candidates": []})).is_err());
}

#[test]
fn signatures_are_kept_and_ids_made_up() {
    let answer = response::parse(&snapshot::fixture("gemini/response-thinking-tools.json"), &identity()).expect("good");
    let own = |part: &Part| match part {
        Part::ToolCall { id, signature, .. } => Some((id.clone(), signature.is_some())),
        _ => None,
    };
    let calls: Vec<_> = answer.parts.iter().filter_map(own).collect();
    assert_eq!(calls, [("fc_1".to_owned(), true), ("call_x1_1".to_owned(), false)]);

    let signed = response::parse(&snapshot::fixture("gemini/response-text-signature.json"), &identity()).expect("good");
    let Some(Part::Thinking {
        text,
        signature: Some(signature),
    }) = signed.parts.last()
    else {
        panic!("{signed:?}")
    };
    assert_eq!((text.as_str(), signature.dialect), ("", Dialect::Gemini));
    assert!(Signature::of(&Some(signature.clone()), Dialect::Anthropic).is_none());
}

#[test]
fn thoughts_count_as_output() {
    let usage = |usage: Value| {
        let answer = json!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage});
        parse(&answer).expect("an answer").usage
    };
    let told = usage(
        json!({"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 20,
        "cachedContentTokenCount": 4}),
    );
    let expected = Usage {
        input: Some(9),
        output: Some(25),
        cached: Some(4),
        cache_creation: None,
        reasoning: Some(20),
        cost: None,
    };
    assert_eq!(told, expected);
    assert_eq!(
        usage(json!({"promptTokenCount": 9})).output,
        None,
        "not told is not zero"
    );
    assert_eq!(usage(json!({"thoughtsTokenCount": 20})).output, Some(20));
}

#[test]
fn parts_that_no_client_could_be_told_are_errors() {
    let with = |part: Value| parse(&json!({"candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}]}));
    assert!(with(json!({"inlineData": {"mimeType": "image/png", "data": ""}})).is_err());
    assert!(with(json!({"executableCode": {"code": "1"}})).is_err());
    assert!(with(json!({"functionCall": {"args": {}}})).is_err());
    assert!(with(json!({})).is_ok());
    assert!(with(json!({"text": ""})).is_ok());
}

#[test]
fn failures_both_ways() {
    let failure = error::parse(400, &snapshot::fixture("gemini/error-400.json"));
    let message = "API key not valid. Please pass a valid API key.";
    assert_eq!(failure, Failure::new(FailureKind::InvalidRequest, message));
    let failure = error::parse(429, &snapshot::fixture("gemini/error-429-array.json"));
    assert_eq!(
        failure,
        Failure::new(FailureKind::RateLimit, "You exceeded your current quota.")
    );
    let body: Value = serde_json::from_slice(&error::render(&failure)).expect("JSON");
    assert_eq!(
        body["error"],
        json!({"code": 429, "message": failure.message, "status": "RESOURCE_EXHAUSTED"})
    );
}
