use std::time::Instant;

use super::*;
use crate::{Capacity, Index};

/// What the one server is known to hold before each of these bodies is sent to it.
fn held(volatile: &VolatileLines, bodies: &[String]) -> Vec<u64> {
    let index = Index::new(Capacity::default(), Instant::now());
    let server = index.enrol();
    let one = |body: &String| {
        let parts = Parts::of(body.as_bytes());
        let model = parts.as_ref().and_then(Parts::model).unwrap_or_default();
        let mut trail = index.trail(&[model.as_bytes()]);
        if let Some(parts) = parts {
            parts.walk(&mut trail, volatile);
        }
        let now = Instant::now();
        let held = index.known(&trail, now).of(&server).bytes;
        index.note(&trail, &server, now);
        held
    };
    bodies.iter().map(one).collect()
}

fn long() -> String {
    "x".repeat(600)
}

#[test]
fn a_longer_conversation_begins_as_the_shorter_did_in_every_dialect() {
    for (first, second) in [
        (
            r#"{"messages":[{"role":"user","content":"LONG"}],"model":"m"}"#,
            r#"{"model":"m","messages":[{"role":"user","content":"LONG"},{"role":"assistant","content":"a"}]}"#,
        ),
        (
            r#"{"model":"m","system":[{"type":"text","text":"LONG"}],"messages":[{"role":"user","content":"a"}]}"#,
            r#"{"model":"m","system":[{"type":"text","text":"LONG"}],"messages":[{"role":"user","content":"b"}]}"#,
        ),
        (r#"{"prompt":"LONG"}"#, r#"{"prompt":"LONG and more"}"#),
        (
            r#"{"instructions":"LONG","input":"a"}"#,
            r#"{"instructions":"LONG","input":[{"a":1}]}"#,
        ),
        (
            r#"{"contents":[{"role":"user","parts":[{"text":"LONG"}]}]}"#,
            r#"{"contents":[{"role":"user","parts":[{"text":"LONG"}]},{"role":"model","parts":[]}]}"#,
        ),
    ] {
        let bodies = [first, second].map(|body| body.replace("LONG", &long()));
        let held = held(&VolatileLines::default(), &bodies);
        assert!(held[0] == 0 && held[1] > 500, "{first}: {held:?}");
    }
}

#[test]
fn what_is_no_conversation_is_nobodys() {
    let bodies = ["no json", "[]", "", r#"{"model":"m"}"#].map(|body| body.to_owned());
    assert_eq!(held(&VolatileLines::default(), &bodies), [0, 0, 0, 0]);
}

#[test]
fn another_model_is_another_cache() {
    let body = |model| format!(r#"{{"model":"{model}","prompt":"{}"}}"#, long());
    assert_eq!(held(&VolatileLines::default(), &[body("a"), body("b")])[1], 0);
}

#[test]
fn a_first_line_that_changes_is_left_out_where_that_is_configured() {
    let chat = |line| {
        format!(
            r#"{{"messages":[{{"role":"system","content":"x-billing: {line}\n{}"}}]}}"#,
            long()
        )
    };
    let anthropic = |line| {
        format!(
            r#"{{"system":[{{"type":"text","text":"x-billing: {line}\n{}"}}]}}"#,
            long()
        )
    };
    let volatile = VolatileLines::new(0, &["^x-billing:"]).expect("a pattern");
    for bodies in [[chat("1"), chat("22")], [anthropic("1"), anthropic("22")]] {
        assert!(held(&volatile, &bodies)[1] > 500);
        assert!(held(&VolatileLines::default(), &bodies)[1] < 100);
    }
}

#[test]
fn a_session_is_the_first_header_that_says_anything() {
    let find = |headers: &[(&str, &'static str)]| {
        session(|name| {
            headers
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| *value)
        })
    };
    for name in SESSION_HEADERS {
        assert_eq!(find(&[(name, "chat-7")]), Some("chat-7"), "{name}");
    }
    assert_eq!(find(&[("x-session-id", ""), ("x-openwebui-chat-id", "b")]), Some("b"));
    assert_eq!(find(&[("x-conversation-id", "a")]), None);
    let novel: &'static str = "n".repeat(SESSION_BYTES_MAX + 1).leak();
    assert_eq!(find(&[("x-session-id", novel)]), None);
}
