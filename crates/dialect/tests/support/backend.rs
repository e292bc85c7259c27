//! What is asked of a backend's dialect, and of what it answers, whichever it is.

use dialect::chat::{Policy, RenderOptions};
use dialect::{Dialect, Event, openai};
use serde_json::{Value, json};

use crate::decoding::decode;
use crate::snapshot;

/// A short request in OpenAI's dialect, with `fields` added.
pub(crate) fn body(model: &str, fields: Value) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    body
}

/// What the backend is sent for a request in OpenAI's dialect, or the field it cannot be told.
pub(crate) fn render(backend: Dialect, body: &Value, options: &RenderOptions) -> Result<Value, String> {
    let request = openai::request::parse(body.to_string().as_bytes()).expect("a good request");
    let bytes = backend
        .render_request(&request, options)
        .map_err(|refusal| refusal.field)?;
    Ok(serde_json::from_slice(&bytes).expect("JSON"))
}

/// Content is refused under every policy; what only tunes is left out where the policy says so.
pub(crate) fn check_refused(backend: Dialect, body: &Value, field: &str, only_tunes: bool) {
    let dropping = RenderOptions {
        policy: Policy::Drop,
        ..RenderOptions::default()
    };
    let refused = render(backend, body, &RenderOptions::default());
    assert_eq!(refused.expect_err("refused"), field);
    let dropped = render(backend, body, &dropping);
    assert_eq!(dropped.err(), (!only_tunes).then(|| field.to_owned()));
}

pub(crate) fn check_conversation(backend: Dialect) {
    let folder = backend.name().to_ascii_lowercase();
    let request = openai::request::parse(&snapshot::fixture("openai-conversation.json")).expect("a good request");
    let bytes = backend
        .render_request(&request, &RenderOptions::default())
        .expect("expressible");
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.contains("12345678901234567890123"),
        "numbers keep all their digits"
    );
    snapshot::check(
        &format!("{folder}/openai-conversation.to-{folder}"),
        &snapshot::pretty(&bytes),
    );
}

/// Every fixture of a stream becomes the events of its snapshot.
pub(crate) fn check_events(backend: Dialect) {
    for name in snapshot::fixtures(&backend.name().to_ascii_lowercase(), "stream-") {
        let (events, outcome) = decode(backend, &snapshot::fixture(&name));
        let (stem, _) = name.rsplit_once('.').expect("a file's ending");
        snapshot::check(&format!("{stem}.events"), &format!("{}{outcome:?}\n", spell(&events)));
    }
}

/// Events with their text, which `Debug` hides.
fn spell(events: &[Event]) -> String {
    let line = |event: &Event| match event {
        Event::Text(text) => format!("Text {text:?}\n"),
        Event::Thinking(text) => format!("Thinking {text:?}\n"),
        Event::ToolCallStart {
            index,
            id,
            name,
            signature,
        } => {
            format!("ToolCallStart {index} {id} {name} {signature:?}\n")
        }
        Event::ToolCallArguments { index, fragment } => format!("ToolCallArguments {index} {fragment}\n"),
        Event::Error(failure) => format!("Error {:?} {:?}\n", failure.kind, failure.message),
        other => format!("{other:?}\n"),
    };
    events.iter().map(line).collect()
}
