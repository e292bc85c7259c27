//! Text completions, whole or as a stream: OpenAI's `choices[0].text`, and llama.cpp's own `content`. The dialect crate
//! writes them and does not read them: to a backend of another dialect they are a chat.

use dialect::chat::{Event, Finish, Timings};
use dialect::json::read::{Object, Problems};
use dialect::sse::{Frame, Frames};
use dialect::stream::Reader;
use dialect::{Failure, FailureKind, Identity, StreamError, failure};

use std::time::Duration;

#[derive(Default)]
pub(super) struct Pieces {
    started: bool,
}

impl Reader for Pieces {
    type Framer = Frames;

    fn new(_: Identity) -> Self {
        Self::default()
    }

    fn read(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), StreamError> {
        if frame.data.trim_ascii() == b"[DONE]" {
            events.push(Event::Done);
            return Ok(());
        }
        let problems = Problems::lenient();
        let Some(root) = Object::root(frame.data, &problems) else {
            return Ok(());
        };
        if frame.event == "error" || root.node("error").is_some() {
            events.push(Event::Error(failure::parse_in_stream(frame.data, FailureKind::Api)));
            return Ok(());
        }
        self.piece(&root, events);
        Ok(())
    }
}

impl Pieces {
    fn piece(&mut self, root: &Object<'_>, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            let (id, model) = (
                root.string("id").unwrap_or_default(),
                root.string("model").unwrap_or_default(),
            );
            events.push(Event::Start { id, model });
        }
        if let Some(timings) = root.object("timings") {
            let millis = |name| Duration::try_from_secs_f64(timings.number(name)? / 1_000.0).ok();
            events.push(Event::Timings(Timings {
                prompt: millis("prompt_ms"),
                output: millis("predicted_ms"),
                ..Timings::default()
            }));
        }
        let first = root.array("choices").into_iter().find_map(|choice| {
            let choice = choice.object()?;
            (choice.unsigned("index").unwrap_or(0) == 0).then_some(choice)
        });
        let (text, finish) = match &first {
            Some(choice) => (
                choice.string("text"),
                choice.string("finish_reason").map(|reason| finish_of(&reason)),
            ),
            None => (root.string("content"), native_finish(root)),
        };
        events.extend(text.filter(|text| !text.is_empty()).map(Event::Text));
        if finish == Some(Finish::Error) {
            let why = "the model broke off with an error";
            events.push(Event::Error(Failure::new(FailureKind::Api, why)));
        } else if let Some(finish) = finish {
            events.push(Event::Finish {
                finish,
                stop_sequence: None,
            });
        }
    }
}

/// llama.cpp says `"stop":true` and why: `limit`, `eos` or `word`.
fn native_finish(root: &Object<'_>) -> Option<Finish> {
    let has_stopped = root.boolean("stop").unwrap_or(false);
    has_stopped.then(|| match root.string("stop_type").as_deref() {
        Some("limit") => Finish::Length,
        _ => Finish::Stop,
    })
}

fn finish_of(reason: &str) -> Finish {
    match reason {
        "length" => Finish::Length,
        "content_filter" => Finish::ContentFilter,
        "error" => Finish::Error,
        _ => Finish::Stop,
    }
}
