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
use crate::sse::Frames;
use crate::stream::Identity;

/// A backend's stream → events.
pub struct Decoder {
    identity: Identity,
    frames: Frames,
    state: State,
    calls: usize,
    usage: Usage,
    /// Gemini ends its lines with CRLF, so that a CR at the end of the bytes was cut off from its LF.
    ends_in_cr: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Running,
    /// Whole, should the bytes end here.
    Whole(Finish),
    Done,
    Failed,
}

impl Decoder {
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            frames: Frames::new(),
            state: State::Fresh,
            calls: 0,
            usage: Usage::default(),
            ends_in_cr: false,
        }
    }

    fn frame(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        // What some that stand in for Gemini end with. It says nothing that the bytes' end would not.
        if self.is_over() || data == b"[DONE]" {
            return Ok(());
        }
        let problems = Problems::lenient();
        let piece = Object::root(data, &problems).map(|body| match body.node("error") {
            Some(_) => vec![self.fail(failure::parse_in_stream(data, FailureKind::Api))],
            None => self.piece(&body),
        });
        events.extend(problems.into_response(piece)?);
        Ok(())
    }

    fn piece(&mut self, body: &Object<'_>) -> Vec<Event> {
        let mut events = Vec::with_capacity(2);
        self.usage.update(&candidate::usage(body));
        if self.state == State::Fresh {
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
            Some(End::Finish(finish)) => self.state = State::Whole(finish),
            Some(End::Failed(why)) => events.push(self.fail(Failure::new(FailureKind::Api, why))),
            None => {}
        }
        events
    }

    /// The prompt is counted already, which some dialects tell first.
    fn start(&mut self, body: &Object<'_>, events: &mut Vec<Event>) {
        self.state = State::Running;
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
                let index = self.calls;
                self.calls += 1;
                let id = if id.is_empty() {
                    self.identity.call_id(index)
                } else {
                    id
                };
                events.push(Event::ToolCallStart {
                    index,
                    id,
                    name,
                    signature,
                });
                events.push(Event::ToolCallArguments {
                    index,
                    fragment: arguments,
                });
            }
            Part::Image(_) | Part::RedactedThinking { .. } | Part::ToolResult { .. } => {}
        }
    }

    fn fail(&mut self, failure: Failure) -> Event {
        self.state = State::Failed;
        Event::Error(failure)
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed)
    }
}

impl crate::stream::Decoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), StreamError> {
        if self.is_over() || bytes.is_empty() {
            return Ok(());
        }
        self.ends_in_cr = bytes.ends_with(b"\r");
        let mut frames = std::mem::take(&mut self.frames);
        let outcome = frames.push(bytes, |frame| self.frame(frame.data, events));
        self.frames = frames;
        if outcome.is_err() {
            self.state = State::Failed;
        }
        outcome
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), StreamError> {
        match self.state {
            State::Whole(finish) if !self.frames.is_torn() && !self.ends_in_cr => {
                self.state = State::Done;
                events.push(Event::Finish {
                    finish,
                    stop_sequence: None,
                });
                events.extend((!self.usage.is_empty()).then_some(Event::Usage(self.usage)));
                events.push(Event::Done);
                Ok(())
            }
            State::Done => Ok(()),
            State::Failed => Err(StreamError::Failed),
            State::Fresh | State::Running | State::Whole(_) => Err(StreamError::Cut),
        }
    }
}
