//! One answer or one piece of it, as a line of JSON: what `/api/chat` and `/api/generate` have in common.

use std::time::Duration;

use serde::Serialize;

use super::{Endpoint, time};
use crate::Json;
use crate::chat::{Finish, Part, Timings, TokenLogprob, TopLogprob, Usage};
use crate::json::compact;
use crate::json::write::{self, Object};

/// What a line may say besides its envelope.
#[derive(Default)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) thinking: &'a str,
    pub(super) calls: &'a [Call],
    pub(super) logprobs: &'a [TokenLogprob],
    /// On the last line alone.
    pub(super) end: Option<End>,
}

/// One tool call, whole.
#[derive(Clone, Default)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) reason: &'static str,
    pub(super) usage: Usage,
    pub(super) timings: Timings,
}

/// Ollama knows two reasons, and a refusal to go on is a stop there; a failure must not read like an end.
pub(super) fn done_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls | Finish::ContentFilter => "stop",
        Finish::Length => "length",
        Finish::Error => "error",
    }
}

pub(super) fn write(out: &mut Vec<u8>, endpoint: Endpoint, model: &str, created: u64, piece: &Piece<'_>) {
    write::object_into(out, |line| {
        line.field("model", model).field("created_at", &time::rfc3339(created));
        match endpoint {
            Endpoint::Chat => {
                line.object("message", |message| {
                    message.field("role", "assistant").field("content", piece.text);
                    write_aside(message, piece);
                });
            }
            Endpoint::Generate => {
                line.field("response", piece.text);
                write_aside(line, piece);
            }
        }
        line.field("done", &piece.end.is_some());
        if let Some(end) = &piece.end {
            write_end(line, endpoint, end);
        }
        if !piece.logprobs.is_empty() {
            line.field("logprobs", &piece.logprobs.iter().map(Logprob::of).collect::<Vec<_>>());
        }
    });
}

fn write_aside(object: &mut Object<'_>, piece: &Piece<'_>) {
    if !piece.thinking.is_empty() {
        object.field("thinking", piece.thinking);
    }
    let whole: Vec<(&Call, Json)> = piece
        .calls
        .iter()
        .filter_map(|call| Some((call, call.object()?)))
        .collect();
    if whole.is_empty() {
        return;
    }
    object.array("tool_calls", |calls| {
        for (index, (call, arguments)) in whole.iter().enumerate() {
            calls.object(|it| {
                it.field("id", &call.id).object("function", |function| {
                    function
                        .field("index", &index)
                        .field("name", &call.name)
                        .field("arguments", arguments);
                });
            });
        }
    });
}

fn write_end(line: &mut Object<'_>, endpoint: Endpoint, end: &End) {
    line.field("done_reason", end.reason);
    if endpoint == Endpoint::Generate {
        // Its tokens are the backend's secret; an empty list, sent back, asks for nothing.
        line.array("context", |_| ());
    }
    line.opt("total_duration", &end.timings.total.map(nanoseconds));
    line.opt("load_duration", &end.timings.load.map(nanoseconds));
    line.opt("prompt_eval_count", &end.usage.input);
    line.opt("prompt_eval_duration", &end.timings.prompt.map(nanoseconds));
    line.opt("eval_count", &end.usage.output);
    line.opt("eval_duration", &end.timings.output.map(nanoseconds));
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Call {
    /// The arguments without a line break in them, for they become part of a line; `None` where they are no object.
    fn object(&self) -> Option<Json> {
        Json::parse(&compact(Part::arguments_object(&self.arguments)?.get()))
    }
}

/// The text of the calls that [`write`] leaves out. A model may be cut off within a call, or write what is no object;
/// Ollama's clients would take whatever we made of that for a call, so that it is text, as it is from Ollama itself.
pub(super) fn unreadable(calls: &[Call]) -> String {
    let broken = calls.iter().filter(|call| call.object().is_none());
    broken
        .map(|call| format!("{}({})", call.name, call.arguments))
        .collect()
}

/// Ollama's spelling of a logprob; `bytes` only where they are known.
#[derive(Serialize)]
struct Logprob<'a> {
    token: &'a str,
    logprob: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<&'a [u8]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_logprobs: Vec<Logprob<'a>>,
}

impl<'a> Logprob<'a> {
    fn of(it: &'a TokenLogprob) -> Self {
        let top = |it: &'a TopLogprob| Self {
            token: &it.token,
            logprob: it.logprob,
            bytes: it.bytes.as_deref(),
            top_logprobs: Vec::new(),
        };
        Self {
            token: &it.token,
            logprob: it.logprob,
            bytes: it.bytes.as_deref(),
            top_logprobs: it.top.iter().map(top).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, unreadable};

    fn call(arguments: &str) -> Call {
        Call {
            arguments: arguments.to_owned(),
            name: "f".to_owned(),
            ..Call::default()
        }
    }

    #[test]
    fn arguments_are_an_object_or_text() {
        for (arguments, object) in [("", "{}"), ("{\"z\": 1,\n \"a\": 1e400}", r#"{"z":1,"a":1e400}"#)] {
            assert_eq!(call(arguments).object().expect("an object").get(), object);
        }
        let calls = [call("{}"), call("[1]"), call("{\"z\": ")];
        assert_eq!(unreadable(&calls), "f([1])f({\"z\": )");
    }
}
