//! Message events → events.
//!
//! Clean is only a stream that ended with `message_stop`. `ping` and events nobody knows are read over, as the API's
//! versioning asks of clients.

use crate::Dialect;
use crate::anthropic::response;
use crate::anthropic::usage::Counts;
use crate::chat::{Event, Signature};
use crate::error::{FailureKind, StreamError};
use crate::failure;
use crate::json::read::{Object, Problems};
use crate::sse::{Frame, Frames};
use crate::stream::{CALLS_MAX, Driver, Identity, Reader};

/// A backend's stream → events.
pub type Decoder = Driver<Messages>;

/// What the events of one answer say.
#[derive(Default)]
pub struct Messages {
    counts: Counts,
    calls: usize,
    /// The tool call whose block is open: its wire index, ours, and whether it has arguments yet.
    call: Option<(u64, usize, bool)>,
}

impl Reader for Messages {
    type Framer = Frames;

    /// Anthropic gives every id itself.
    fn new(_: Identity) -> Self {
        Self::default()
    }

    fn read(&mut self, frame: &Frame<'_>, events: &mut Vec<Event>) -> Result<(), StreamError> {
        let problems = Problems::lenient();
        let read = Object::root(frame.data, &problems).and_then(|root| {
            let kind = root.string("type").unwrap_or_else(|| frame.event.to_owned());
            if kind == "error" {
                events.push(Event::Error(failure::parse_in_stream(frame.data, FailureKind::Api)));
                return Some(());
            }
            self.event(&kind, &root, events)
        });
        Ok(problems.into_response(read)?)
    }
}

impl Messages {
    fn event(&mut self, kind: &str, root: &Object<'_>, events: &mut Vec<Event>) -> Option<()> {
        match kind {
            "message_start" => {
                let message = root.require("message")?.object()?;
                let text = |name| message.string(name).unwrap_or_default();
                events.push(Event::Start {
                    id: text("id"),
                    model: text("model"),
                });
                self.usage(&message, events);
            }
            "content_block_start" => {
                self.block_start(
                    root.unsigned("index")?,
                    &root.require("content_block")?.object()?,
                    events,
                )?;
            }
            "content_block_delta" => {
                self.delta(root.unsigned("index")?, &root.require("delta")?.object()?, events)?;
            }
            "content_block_stop" => self.block_stop(events),
            "message_delta" => {
                self.usage(root, events);
                let delta = root.require("delta")?.object()?;
                if let Some(reason) = delta.string("stop_reason") {
                    let finish = response::read_finish(&reason);
                    events.push(Event::Finish {
                        finish,
                        stop_sequence: delta.string("stop_sequence"),
                    });
                }
            }
            "message_stop" => events.push(Event::Done),
            _ => {}
        }
        Some(())
    }

    /// Counts come in pieces: the input's at the start, the output's at the end, and each may be told again.
    fn usage(&mut self, within: &Object<'_>, events: &mut Vec<Event>) {
        if let Some(told) = within.object("usage") {
            self.counts.update(&told);
            events.push(Event::Usage(self.counts.usage()));
        }
    }

    fn block_start(&mut self, wire: u64, block: &Object<'_>, events: &mut Vec<Event>) -> Option<()> {
        match block.require("type")?.string()?.as_str() {
            "text" => events.extend(block.string("text").filter(|text| !text.is_empty()).map(Event::Text)),
            "thinking" => {
                events.extend(
                    block
                        .string("thinking")
                        .filter(|text| !text.is_empty())
                        .map(Event::Thinking),
                );
                events.extend(response::read_signature(block).map(Event::Signature));
            }
            "redacted_thinking" => events.push(Event::RedactedThinking(block.require("data")?.string()?)),
            "tool_use" => {
                let index = self.calls;
                if index >= CALLS_MAX {
                    block
                        .problems()
                        .note(block.at("type"), "more tool calls than can be kept apart", "", "");
                    return None;
                }
                self.calls += 1;
                let (id, name) = (block.require("id")?.string()?, block.require("name")?.string()?);
                events.push(Event::ToolCallStart {
                    index,
                    id,
                    name,
                    signature: None,
                });
                // Usually `{}`, and the input comes in deltas; some servers send it here, whole.
                let whole = block
                    .json("input")
                    .filter(|input| input.is_object() && input.get() != "{}");
                self.call = Some((wire, index, whole.is_some()));
                let whole = whole.map(|input| Event::ToolCallArguments {
                    index,
                    fragment: input.get().to_owned(),
                });
                events.extend(whole);
            }
            _ => {}
        }
        Some(())
    }

    fn delta(&mut self, wire: u64, delta: &Object<'_>, events: &mut Vec<Event>) -> Option<()> {
        match delta.require("type")?.string()?.as_str() {
            "text_delta" => events.extend(delta.string("text").filter(|text| !text.is_empty()).map(Event::Text)),
            "thinking_delta" => {
                events.extend(
                    delta
                        .string("thinking")
                        .filter(|text| !text.is_empty())
                        .map(Event::Thinking),
                );
            }
            "signature_delta" => {
                let value = delta.string("signature").filter(|value| !value.is_empty());
                events.extend(value.map(|value| Event::Signature(Signature::new(Dialect::Anthropic, value))));
            }
            "input_json_delta" => {
                let fragment = delta.string("partial_json").filter(|fragment| !fragment.is_empty());
                if let (Some((open, index, has)), Some(fragment)) = (&mut self.call, fragment)
                    && *open == wire
                {
                    *has = true;
                    events.push(Event::ToolCallArguments {
                        index: *index,
                        fragment,
                    });
                }
            }
            _ => {}
        }
        Some(())
    }

    fn block_stop(&mut self, events: &mut Vec<Event>) {
        if let Some((_, index, false)) = self.call.take() {
            events.push(Event::ToolCallArguments {
                index,
                fragment: "{}".to_owned(),
            });
        }
    }
}
