//! A backend's lines → events.

use crate::chat::Event;
use crate::error::{FailureKind, StreamError};
use crate::failure;
use crate::json::read::{Object, Problems};
use crate::ndjson::Lines;
use crate::ollama::line::Call;
use crate::ollama::response;
use crate::stream::Identity;

/// A backend's `/api/chat` (or `/api/generate`) stream → events.
pub struct Decoder {
    identity: Identity,
    lines: Lines,
    state: State,
    /// Tool calls so far. Their own `index` starts anew in each line of some servers.
    calls: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Running,
    Done,
    Failed,
}

impl Decoder {
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            lines: Lines::new(),
            state: State::Fresh,
            calls: 0,
        }
    }

    fn line(&mut self, line: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        if matches!(self.state, State::Done | State::Failed) {
            return Ok(());
        }
        let problems = Problems::lenient();
        let piece = Object::root(line, &problems).map(|body| match body.node("error") {
            Some(_) => self.fail(line),
            None => self.piece(&body),
        });
        events.extend(problems.into_response(piece)?);
        Ok(())
    }

    fn fail(&mut self, line: &[u8]) -> Vec<Event> {
        self.state = State::Failed;
        vec![Event::Error(failure::parse_in_stream(line, FailureKind::Api))]
    }

    fn piece(&mut self, body: &Object<'_>) -> Vec<Event> {
        let mut events = Vec::with_capacity(2);
        if self.state == State::Fresh {
            self.state = State::Running;
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
            self.call(call, &mut events);
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

    /// Calls arrive whole.
    fn call(&mut self, call: Call, events: &mut Vec<Event>) {
        let index = self.calls;
        self.calls += 1;
        let id = if call.id.is_empty() {
            self.identity.call_id(index)
        } else {
            call.id
        };
        events.push(Event::ToolCallStart {
            index,
            id,
            name: call.name,
            signature: None,
        });
        events.push(Event::ToolCallArguments {
            index,
            fragment: call.arguments,
        });
    }

    fn end(&mut self, body: &Object<'_>, events: &mut Vec<Event>) {
        self.state = State::Done;
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

impl crate::stream::Decoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        if matches!(self.state, State::Done | State::Failed) {
            return Ok(());
        }
        let mut lines = std::mem::take(&mut self.lines);
        let outcome = lines.push(bytes, |line| self.line(line, events));
        self.lines = lines;
        if outcome.is_err() {
            self.state = State::Failed;
        }
        outcome
    }

    fn finish(&mut self, _events: &mut Vec<Event>) -> Result<(), StreamError> {
        match self.state {
            State::Done => Ok(()),
            State::Failed => Err(StreamError::Failed),
            State::Fresh | State::Running => Err(StreamError::Cut),
        }
    }
}
