//! `streamGenerateContent?alt=sse`: each event is a `GenerateContentResponse` that continues the one before.
//!
//! Nothing says "over": the answer is whole once an event with a `finishReason` (or a `blockReason`) has come, and more
//! may follow it, a signature or the last counts. So [`Event::Finish`] and what comes after it are yielded when the bytes
//! end, and bytes that end before such an event are a cut.

use super::candidate::{self, End};
use crate::chat::{Event, Finish, Part, Usage};
use crate::error::{Failure, FailureKind, StreamError};
use crate::failure;
use crate::json::read::{Object, Problems};
use crate::sse::{Frame, Frames};
use crate::stream::{Driver, Identity, Reader};

/// A backend's stream → events.
pub type Decoder = Driver<Pieces>;

/// What the pieces of one answer say.
pub struct Pieces {
    identity: Identity,
    started: bool,
    /// The answer is whole, should the bytes end here.
    whole: Option<Finish>,
    calls: usize,
    usage: Usage,
}

impl Reader for Pieces {
    type Framer = Frames;

    fn new(identity: Identity) -> Self {
        Self {
            identity,
            started: false,
            whole: None,
            calls: 0,
            usage: Usage::default(),
        }
    }

    fn read(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), StreamError> {
        // What some that stand in for Gemini end with. It says nothing that the bytes' end would not.
        if frame.data == b"[DONE]" {
            return Ok(());
        }
        let problems = Problems::lenient();
        let piece = Object::root(frame.data, &problems).map(|body| match body.node("error") {
            Some(_) => vec![Event::Error(failure::parse_in_stream(frame.data, FailureKind::Api))],
            None => self.piece(&body),
        });
        events.extend(problems.into_response(piece)?);
        Ok(())
    }

    fn end(&mut self, frames: &Frames, events: &mut Vec<Event>) {
        // Gemini ends its lines with CRLF, so that a CR at the end of the bytes was cut off from its LF.
        if frames.is_torn() || frames.ends_in_cr() {
            return;
        }
        if let Some(finish) = self.whole {
            events.push(Event::Finish {
                finish,
                stop_sequence: None,
            });
            events.extend((!self.usage.is_empty()).then_some(Event::Usage(self.usage)));
            events.push(Event::Done);
        }
    }
}

impl Pieces {
    fn piece(&mut self, body: &Object<'_>) -> Vec<Event> {
        let mut events = Vec::with_capacity(2);
        self.usage.update(&candidate::usage(body));
        if !std::mem::replace(&mut self.started, true) {
            self.start(body, &mut events);
        }
        for part in candidate::parts(body) {
            self.part(part, &mut events);
        }
        let logprobs = candidate::logprobs(body);
        if !logprobs.is_empty() {
            events.push(Event::Logprobs(logprobs));
        }
        match candidate::end(body, self.calls > 0) {
            Some(End::Finish(finish)) => self.whole = Some(finish),
            Some(End::Failed(why)) => events.push(Event::Error(Failure::new(FailureKind::Api, why))),
            None => {}
        }
        events
    }

    /// The prompt is counted already, which some dialects tell first.
    fn start(&mut self, body: &Object<'_>, events: &mut Vec<Event>) {
        let id = body.string("responseId").unwrap_or_else(|| self.identity.id.clone());
        events.push(Event::Start {
            id,
            model: body.string("modelVersion").unwrap_or_default(),
        });
        events.extend((!self.usage.is_empty()).then_some(Event::Usage(self.usage)));
    }

    fn part(&mut self, part: Part, events: &mut Vec<Event>) {
        match part {
            Part::Text(text) => events.push(Event::Text(text)),
            Part::Thinking { text, signature } => {
                events.extend((!text.is_empty()).then_some(Event::Thinking(text)));
                events.extend(signature.map(Event::Signature));
            }
            Part::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                events.extend(self.identity.whole_call(self.calls, id, name, signature, arguments));
                self.calls += 1;
            }
            Part::Image(_) | Part::RedactedThinking { .. } | Part::ToolResult { .. } => {}
        }
    }
}
