//! Chunks → events.
//!
//! Clean is only a stream that ended with `[DONE]`. Tool calls are told apart by `index`, or, where a server leaves it
//! out, by `id`; a call begins once its name is known.

use crate::chat::{Event, Finish, Usage};
use crate::error::{BadResponse, Failure, FailureKind, StreamError};
use crate::json::read::{Node, Object, Problems};
use crate::openai::{response, usage};
use crate::sse::{Frame, Frames};
use crate::stream::{CALLS_MAX, Driver, Identity, Reader};
use crate::{failure, stream};

/// A backend's stream → events.
pub type Decoder = Driver<Chunks>;

/// What the chunks of one answer say.
pub struct Chunks {
    identity: Identity,
    started: bool,
    calls: Vec<Call>,
    /// Counted by llama.cpp's timings; told only where no usage comes.
    counted: Usage,
    usage_told: bool,
}

/// One tool call, by its wire index.
struct Call {
    index: Option<u64>,
    id: String,
    /// Arguments that came before the name; `None` once the call has begun.
    waiting: Option<String>,
}

impl Reader for Chunks {
    type Framer = Frames;

    fn new(identity: Identity) -> Self {
        Self {
            identity,
            started: false,
            calls: Vec::new(),
            counted: Usage::default(),
            usage_told: false,
        }
    }

    fn read(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), StreamError> {
        if frame.data.trim_ascii() == b"[DONE]" {
            if !self.usage_told && !self.counted.is_empty() {
                events.push(Event::Usage(self.counted));
            }
            events.push(Event::Done);
            return Ok(());
        }
        let problems = Problems::lenient();
        let root = Object::root(frame.data, &problems);
        if frame.event == "error" || root.as_ref().is_some_and(|root| root.node("error").is_some()) {
            events.push(Event::Error(failure::parse_in_stream(frame.data, FailureKind::Api)));
            return Ok(());
        }
        let read = root.map(|root| self.chunk(&root, events));
        Ok(problems.into_response(read).and_then(|outcome| outcome)?)
    }
}

impl Chunks {
    fn chunk(&mut self, root: &Object<'_>, events: &mut Vec<Event>) -> Result<(), BadResponse> {
        if !std::mem::replace(&mut self.started, true) {
            let (id, model) = (
                root.string("id").unwrap_or_default(),
                root.string("model").unwrap_or_default(),
            );
            events.push(Event::Start { id, model });
        }
        if let Some(choice) = root.array("choices").first().and_then(Node::object) {
            self.choice(&choice, events)?;
        }
        if let Some(timings) = root.object("timings") {
            let (counted, timings) = usage::read_timings(&timings);
            self.counted.update(&counted);
            events.push(Event::Timings(timings));
        }
        if let Some(told) = root
            .object("usage")
            .map(|told| usage::read(&told))
            .filter(|told| !told.is_empty())
        {
            self.usage_told = true;
            events.push(Event::Usage(told));
        }
        Ok(())
    }

    fn choice(&mut self, choice: &Object<'_>, events: &mut Vec<Event>) -> Result<(), BadResponse> {
        let logprobs = choice
            .object("logprobs")
            .map(|logprobs| logprobs.array("content"))
            .unwrap_or_default();
        let logprobs: Vec<_> = logprobs.iter().filter_map(response::read_logprob).collect();
        if !logprobs.is_empty() {
            events.push(Event::Logprobs(logprobs));
        }
        if let Some(delta) = choice.object("delta") {
            let thinking = response::read_thinking(&delta).filter(|text| !text.is_empty());
            events.extend(thinking.map(Event::Thinking));
            let texts = [delta.string("content"), delta.string("refusal")];
            events.extend(
                texts
                    .into_iter()
                    .flatten()
                    .filter(|text| !text.is_empty())
                    .map(Event::Text),
            );
            for call in delta.array("tool_calls") {
                if let Some(call) = call.object() {
                    self.call(&call, events)?;
                }
            }
        }
        if let Some(reason) = choice.string("finish_reason") {
            let nameless = self.calls.iter().any(|call| call.waiting.is_some());
            if nameless {
                return Err(BadResponse::new(
                    choice.at("delta.tool_calls"),
                    "a tool call must have a name",
                ));
            }
            let finish = response::read_finish(&reason).with_calls(!self.calls.is_empty());
            if finish == Finish::Error {
                events.push(Event::Error(Failure::broke_off()));
                return Ok(());
            }
            events.push(Event::Finish {
                finish,
                stop_sequence: None,
            });
        }
        Ok(())
    }

    fn call(&mut self, delta: &Object<'_>, events: &mut Vec<Event>) -> Result<(), BadResponse> {
        let id = delta.string("id").filter(|id| !id.is_empty());
        let index = self.find(delta.unsigned("index"), id)?;
        let Some(function) = delta.object("function") else {
            return Ok(());
        };
        let fragment = function
            .node("arguments")
            .and_then(|node| response::read_arguments(&node))
            .unwrap_or_default();
        let call = &mut self.calls[index];
        let mut fragment = match call.waiting.take() {
            None => fragment,
            Some(mut waiting) => {
                waiting.push_str(&fragment);
                let Some(name) = function.string("name").filter(|name| !name.is_empty()) else {
                    if waiting.len() > stream::FRAME_BYTES_MAX {
                        return Err(BadResponse::new(
                            function.at("name"),
                            "must come before 8 MiB of arguments",
                        ));
                    }
                    call.waiting = Some(waiting);
                    return Ok(());
                };
                let signature = response::read_signature(delta);
                events.push(Event::ToolCallStart {
                    index,
                    id: call.id.clone(),
                    name,
                    signature,
                });
                waiting
            }
        };
        if !fragment.is_empty() {
            events.push(Event::ToolCallArguments {
                index,
                fragment: std::mem::take(&mut fragment),
            });
        }
        Ok(())
    }

    /// The place of the call that a delta belongs to; a new one where it is none of those known.
    fn find(&mut self, wire: Option<u64>, id: Option<String>) -> Result<usize, BadResponse> {
        let known = match (wire, &id) {
            (Some(wire), _) => self.calls.iter().position(|call| call.index == Some(wire)),
            (None, Some(id)) => self.calls.iter().position(|call| call.id == *id),
            (None, None) => self.calls.len().checked_sub(1),
        };
        if let Some(index) = known {
            return Ok(index);
        }
        let index = self.calls.len();
        if index >= CALLS_MAX {
            return Err(BadResponse::new(
                "choices[0].delta.tool_calls",
                "more tool calls than can be kept apart",
            ));
        }
        let id = id.unwrap_or_else(|| self.identity.call_id(index));
        self.calls.push(Call {
            index: wire,
            id,
            waiting: Some(String::new()),
        });
        Ok(index)
    }
}
