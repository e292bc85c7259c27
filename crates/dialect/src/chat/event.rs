//! What a stream says, one piece at a time.
//!
//! The order every [`crate::Decoder`] keeps: `Start`, then text, thinking and tool calls as they come, then `Finish`,
//! `Usage` and `Timings` in any order, then `Done`; or `Error` at any point, after which nothing comes.

use super::message::{Part, Signature};
use super::response::{ChatResponse, Finish, Timings, TokenLogprob, Usage};
use crate::error::Failure;

#[derive(Clone, PartialEq)]
pub enum Event {
    /// First, and once. The id and the model are the backend's own.
    Start {
        id: String,
        model: String,
    },
    /// A piece of the answer's text.
    Text(String),
    /// A piece of thinking.
    Thinking(String),
    /// Signs the thinking before it.
    Signature(Signature),
    RedactedThinking(String),
    /// A tool call begins; calls are counted from 0. The id is never empty.
    ToolCallStart {
        index: usize,
        id: String,
        name: String,
        signature: Option<Signature>,
    },
    /// A piece of the arguments of call `index`, JSON text. Calls may be interleaved by index.
    ToolCallArguments {
        index: usize,
        fragment: String,
    },
    Logprobs(Vec<TokenLogprob>),
    Finish {
        finish: Finish,
        stop_sequence: Option<String>,
    },
    /// What is known so far; may come more than once, the last non-null value wins (see [`Usage::update`]).
    Usage(Usage),
    Timings(Timings),
    /// The backend told of a failure in the stream. The stream is over.
    Error(Failure),
    /// The dialect's final event came: the stream is whole.
    Done,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start { id, model } => write!(f, "Start({id}, {model})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Thinking(text) => write!(f, "Thinking({} bytes)", text.len()),
            Self::Signature(signature) => write!(f, "{signature:?}"),
            Self::RedactedThinking(data) => write!(f, "RedactedThinking({} bytes)", data.len()),
            Self::ToolCallStart { index, id, name, .. } => write!(f, "ToolCallStart({index}, {id}, {name})"),
            Self::ToolCallArguments { index, fragment } => {
                write!(f, "ToolCallArguments({index}, {} bytes)", fragment.len())
            }
            Self::Logprobs(list) => write!(f, "Logprobs({})", list.len()),
            Self::Finish { finish, .. } => write!(f, "Finish({finish:?})"),
            Self::Usage(usage) => write!(f, "{usage:?}"),
            Self::Timings(timings) => write!(f, "{timings:?}"),
            Self::Error(failure) => write!(f, "Error({failure:?})"),
            Self::Done => f.write_str("Done"),
        }
    }
}

/// The whole answer that a stream's events spell; `Err` where they tell of a failure or lack their `Done`.
/// Adjacent pieces of the same kind become one part.
pub fn collect(events: &[Event]) -> Result<ChatResponse, Failure> {
    let mut response = ChatResponse::default();
    let mut calls: Vec<(usize, usize)> = Vec::new();
    let mut done = false;
    for event in events {
        match event {
            Event::Start { id, model } => (response.id, response.model) = (id.clone(), model.clone()),
            Event::Text(piece) => match response.parts.last_mut() {
                Some(Part::Text(text)) => text.push_str(piece),
                _ => response.parts.push(Part::text(piece)),
            },
            Event::Thinking(piece) => match response.parts.last_mut() {
                Some(Part::Thinking { text, signature: None }) => text.push_str(piece),
                _ => response.parts.push(Part::Thinking {
                    text: piece.clone(),
                    signature: None,
                }),
            },
            Event::Signature(signed) => match response.parts.last_mut() {
                Some(Part::Thinking { signature, .. }) => *signature = Some(signed.clone()),
                _ => response.parts.push(Part::Thinking {
                    text: String::new(),
                    signature: Some(signed.clone()),
                }),
            },
            Event::RedactedThinking(data) => response.parts.push(Part::RedactedThinking { data: data.clone() }),
            Event::ToolCallStart {
                index,
                id,
                name,
                signature,
            } => {
                calls.push((*index, response.parts.len()));
                let (id, name, signature) = (id.clone(), name.clone(), signature.clone());
                response.parts.push(Part::ToolCall {
                    id,
                    name,
                    arguments: String::new(),
                    signature,
                });
            }
            Event::ToolCallArguments { index, fragment } => {
                let part = calls.iter().find(|(call, _)| call == index).map(|(_, part)| *part);
                if let Some(Part::ToolCall { arguments, .. }) = part.and_then(|part| response.parts.get_mut(part)) {
                    arguments.push_str(fragment);
                }
            }
            Event::Logprobs(list) => response.logprobs.extend(list.iter().cloned()),
            Event::Finish { finish, stop_sequence } => {
                (response.finish, response.stop_sequence) = (*finish, stop_sequence.clone());
            }
            Event::Usage(usage) => response.usage.update(usage),
            Event::Timings(timings) => response.timings = *timings,
            Event::Error(failure) => return Err(failure.clone()),
            Event::Done => done = true,
        }
    }
    if done { Ok(response) } else { Err(Failure::cut()) }
}

/// The parts that a run of events spells, whether or not it is whole.
pub(crate) fn merge(mut events: Vec<Event>) -> Vec<Part> {
    events.push(Event::Done);
    collect(&events).map(|response| response.parts).unwrap_or_default()
}
