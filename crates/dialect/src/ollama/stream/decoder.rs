//! A backend's lines → events.

use crate::chat::Event;
use crate::error::{FailureKind, StreamError};
use crate::failure;
use crate::json::read::{Object, Problems};
use crate::ndjson::Lines;
use crate::ollama::line::Call;
use crate::ollama::response;
use crate::sse::Frame;
use crate::stream::{Driver, Identity, Reader};

/// A backend's `/api/chat` (or `/api/generate`) stream → events.
pub type Decoder = Driver<Pieces>;

/// What the lines of one answer say.
pub struct Pieces {
    identity: Identity,
    started: bool,
    /// Tool calls so far. Their own `index` starts anew in each line of some servers.
    calls: usize,
}

impl Reader for Pieces {
    type Framer = Lines;

    fn new(identity: Identity) -> Self {
        Self {
            identity,
            started: false,
            calls: 0,
        }
    }

    fn read(&mut self, line: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let problems = Problems::lenient();
        let piece = Object::root(line.data, &problems).map(|body| match body.node("error") {
            Some(_) => vec![Event::Error(failure::parse_in_stream(line.data, FailureKind::Api))],
            None => self.piece(&body),
        });
        events.extend(problems.into_response(piece)?);
        Ok(())
    }
}

impl Pieces {
    fn piece(&mut self, body: &Object<'_>) -> Vec<Event> {
        let mut events = Vec::with_capacity(2);
        if !std::mem::replace(&mut self.started, true) {
            let model = body.string("model").unwrap_or_default();
            events.push(Event::Start {
                id: self.identity.id.clone(),
                model,
            });
        }
        let said = response::read_said(body);
        let text = |text: &String| !text.is_empty();
        events.extend(said.thinking.filter(text).map(Event::Thinking));
        events.extend(said.text.filter(text).map(Event::Text));
        for call in said.calls {
            let Call { id, name, arguments } = call;
            events.extend(self.identity.whole_call(self.calls, id, name, None, arguments));
            self.calls += 1;
        }
        let logprobs = response::read_logprobs(body);
        if !logprobs.is_empty() {
            events.push(Event::Logprobs(logprobs));
        }
        if body.boolean("done") == Some(true) {
            self.end(body, &mut events);
        }
        events
    }

    fn end(&mut self, body: &Object<'_>, events: &mut Vec<Event>) {
        let finish = response::read_finish(body, self.calls > 0);
        events.push(Event::Finish {
            finish,
            stop_sequence: None,
        });
        let (usage, timings) = (response::read_usage(body), response::read_timings(body));
        events.extend((!usage.is_empty()).then_some(Event::Usage(usage)));
        events.extend((!timings.is_empty()).then_some(Event::Timings(timings)));
        events.push(Event::Done);
    }
}
