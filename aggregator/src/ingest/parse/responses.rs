//! The Responses API's answers, whole or as a stream. The dialect crate writes them and does not read them: backends of
//! this part of OpenAI's API get their requests as they are.

use dialect::chat::{Event, Finish};
use dialect::json::read::{Object, Problems};
use dialect::sse::{Frame, Frames};
use dialect::stream::{CALLS_MAX, Reader};
use dialect::{FailureKind, Identity, StreamError, failure};

#[derive(Default)]
pub(super) struct Pieces {
    calls: Vec<Call>,
}

/// A call that has begun: the output item that it is, and whether its arguments have come.
struct Call {
    output: u64,
    has_arguments: bool,
}

impl Reader for Pieces {
    type Framer = Frames;

    fn new(_: Identity) -> Self {
        Self::default()
    }

    fn read(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let problems = Problems::lenient();
        let Some(root) = Object::root(frame.data, &problems) else {
            return Ok(());
        };
        let named = root.string("type");
        match named.as_deref().unwrap_or(frame.event) {
            "response.created" => self.start(&root, events),
            "response.output_text.delta" | "response.refusal.delta" => push(&root, "delta", Event::Text, events),
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                push(&root, "delta", Event::Thinking, events);
            }
            "response.output_item.added" => self.item(&root, false, events),
            "response.output_item.done" => self.item(&root, true, events),
            "response.function_call_arguments.delta" => self.arguments(&root, events),
            "response.completed" | "response.incomplete" | "response.failed" => {
                if let Some(response) = root.object("response") {
                    end(&response, !self.calls.is_empty(), events);
                }
            }
            "error" => events.push(Event::Error(failure::parse_in_stream(frame.data, FailureKind::Api))),
            _ => {}
        }
        Ok(())
    }
}

impl Pieces {
    /// A whole response object, as it answers a request that asked for no stream.
    pub(super) fn whole(&mut self, root: &Object<'_>, events: &mut Vec<Event>) {
        start(root, events);
        for (index, item) in root.array("output").iter().enumerate() {
            let Some(item) = item.object() else { continue };
            match item.string("type").as_deref() {
                Some("message") => append(&item, "content", Event::Text, events),
                Some("reasoning") => {
                    let place = if item.array("content").is_empty() {
                        "summary"
                    } else {
                        "content"
                    };
                    append(&item, place, Event::Thinking, events);
                }
                Some("function_call") => self.call(index as u64, &item, true, events),
                _ => {}
            }
        }
        end(root, !self.calls.is_empty(), events);
    }

    fn start(&self, root: &Object<'_>, events: &mut Vec<Event>) {
        if let Some(response) = root.object("response") {
            start(&response, events);
        }
    }

    fn item(&mut self, root: &Object<'_>, is_done: bool, events: &mut Vec<Event>) {
        let Some(item) = root.object("item") else { return };
        if item.string("type").as_deref() == Some("function_call") {
            self.call(root.unsigned("output_index").unwrap_or(0), &item, is_done, events);
        }
    }

    fn call(&mut self, output: u64, item: &Object<'_>, is_done: bool, events: &mut Vec<Event>) {
        let known = self.calls.iter().position(|call| call.output == output);
        let index = known.unwrap_or(self.calls.len());
        if known.is_none() {
            if index >= CALLS_MAX {
                return;
            }
            self.calls.push(Call {
                output,
                has_arguments: false,
            });
            events.push(Event::ToolCallStart {
                index,
                id: item.string("call_id").unwrap_or_default(),
                name: item.string("name").unwrap_or_default(),
                signature: None,
            });
        }
        // Said again, whole, at the end.
        let call = &mut self.calls[index];
        if is_done && !std::mem::replace(&mut call.has_arguments, true) {
            let whole = item.string("arguments").filter(|arguments| !arguments.is_empty());
            events.extend(whole.map(|fragment| Event::ToolCallArguments { index, fragment }));
        }
    }

    fn arguments(&mut self, root: &Object<'_>, events: &mut Vec<Event>) {
        let output = root.unsigned("output_index").unwrap_or(0);
        let Some(index) = self.calls.iter().position(|call| call.output == output) else {
            return;
        };
        if let Some(fragment) = root.string("delta") {
            self.calls[index].has_arguments = true;
            events.push(Event::ToolCallArguments { index, fragment });
        }
    }
}

fn start(response: &Object<'_>, events: &mut Vec<Event>) {
    let (id, model) = (
        response.string("id").unwrap_or_default(),
        response.string("model").unwrap_or_default(),
    );
    events.push(Event::Start { id, model });
}

fn push(root: &Object<'_>, name: &str, make: fn(String) -> Event, events: &mut Vec<Event>) {
    events.extend(root.string(name).filter(|text| !text.is_empty()).map(make));
}

/// The texts of an item's parts.
fn append(item: &Object<'_>, place: &str, make: fn(String) -> Event, events: &mut Vec<Event>) {
    for part in item.array(place) {
        let text = part
            .object()
            .and_then(|part| part.string("text").or_else(|| part.string("refusal")));
        events.extend(text.filter(|text| !text.is_empty()).map(make));
    }
}

fn end(response: &Object<'_>, has_calls: bool, events: &mut Vec<Event>) {
    let why = response
        .object("incomplete_details")
        .and_then(|details| details.string("reason"));
    let finish = match (response.string("status").as_deref(), why.as_deref()) {
        (Some("completed"), _) if has_calls => Finish::ToolCalls,
        (Some("completed"), _) => Finish::Stop,
        (Some("incomplete"), Some("content_filter")) => Finish::ContentFilter,
        (Some("incomplete"), _) => Finish::Length,
        (Some("failed"), _) => {
            let error = response.json("error");
            let body = format!("{{\"error\":{}}}", error.as_ref().map_or("null", |error| error.get()));
            events.push(Event::Error(failure::parse_in_stream(
                body.as_bytes(),
                FailureKind::Api,
            )));
            return;
        }
        _ => return,
    };
    events.push(Event::Finish {
        finish,
        stop_sequence: None,
    });
    events.push(Event::Done);
}
