//! A whole answer: `/api/chat`'s from a backend, either endpoint's to a client.

use std::time::Duration;

use bytes::Bytes;

use super::line::{self, Call, End, Piece};
use super::{Endpoint, time};
use crate::chat::{ChatResponse, Finish, Part, Timings, TokenLogprob, TopLogprob, Usage};
use crate::error::BadResponse;
use crate::json::compact;
use crate::json::read::{Node, Object, Problems};
use crate::json::write;
use crate::stream::Identity;

/// What a backend answered where nothing was streamed; the answer to a `/api/generate` is read as well.
pub fn parse(bytes: &[u8], identity: &Identity) -> Result<ChatResponse, BadResponse> {
    let problems = Problems::lenient();
    let response = Object::root(bytes, &problems).map(|body| read(&body, identity));
    problems.into_response(response)
}

fn read(body: &Object<'_>, identity: &Identity) -> ChatResponse {
    if body.boolean("done") != Some(true) {
        body.problems()
            .note(body.at("done"), "must be true in a whole answer", "no such thing", "");
    }
    let said = read_said(body);
    let mut parts = Vec::new();
    let text = |text: String| (!text.is_empty()).then_some(text);
    parts.extend(
        said.thinking
            .and_then(text)
            .map(|text| Part::Thinking { text, signature: None }),
    );
    parts.extend(said.text.and_then(text).map(Part::Text));
    let called = !said.calls.is_empty();
    parts.extend(said.calls.into_iter().enumerate().map(|(index, call)| {
        let id = if call.id.is_empty() {
            identity.call_id(index)
        } else {
            call.id
        };
        Part::ToolCall {
            id,
            name: call.name,
            arguments: call.arguments,
            signature: None,
        }
    }));
    ChatResponse {
        id: identity.id.clone(),
        model: body.string("model").unwrap_or_default(),
        created: body
            .string("created_at")
            .and_then(|at| time::parse(&at))
            .unwrap_or(identity.created),
        parts,
        finish: read_finish(body, called),
        stop_sequence: None,
        usage: read_usage(body),
        timings: read_timings(body),
        logprobs: read_logprobs(body),
    }
}

/// What one line or answer says.
#[derive(Default)]
pub(super) struct Said {
    pub(super) text: Option<String>,
    pub(super) thinking: Option<String>,
    pub(super) calls: Vec<Call>,
}

pub(super) fn read_said(body: &Object<'_>) -> Said {
    let message = body.object("message");
    let (said, text) = match &message {
        Some(message) => (message, "content"),
        None => (body, "response"),
    };
    Said {
        text: said.string(text),
        thinking: said.string("thinking"),
        calls: said.array("tool_calls").iter().filter_map(read_call).collect(),
    }
}

fn read_call(node: &Node<'_>) -> Option<Call> {
    let call = node.object()?;
    let function = call.require("function")?.object()?;
    Some(Call {
        id: call.string("id").unwrap_or_default(),
        name: function.require("name")?.string()?,
        arguments: arguments(&function)?,
    })
}

/// The text of an object, keys in their order, as compact as the models write it.
fn arguments(function: &Object<'_>) -> Option<String> {
    match function.node("arguments") {
        None => Some("{}".to_owned()),
        Some(node) => node.object().map(|_| compact(node.text())),
    }
}

/// What the end of an answer says of its reason. Old servers name none; a name we do not know is a stop.
pub(super) fn read_finish(body: &Object<'_>, called: bool) -> Finish {
    match body.string("done_reason").as_deref() {
        Some("length") => Finish::Length,
        _ if called => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// Ollama leaves zeros out, so that absent is "not told" here as everywhere.
pub(crate) fn read_usage(body: &Object<'_>) -> Usage {
    Usage {
        input: body.unsigned("prompt_eval_count"),
        output: body.unsigned("eval_count"),
        ..Usage::default()
    }
}

pub(super) fn read_timings(body: &Object<'_>) -> Timings {
    let duration = |field| body.unsigned(field).map(Duration::from_nanos);
    Timings {
        total: duration("total_duration"),
        load: duration("load_duration"),
        prompt: duration("prompt_eval_duration"),
        output: duration("eval_duration"),
    }
}

pub(super) fn read_logprobs(body: &Object<'_>) -> Vec<TokenLogprob> {
    body.array("logprobs").iter().filter_map(read_logprob).collect()
}

fn read_logprob(node: &Node<'_>) -> Option<TokenLogprob> {
    let fields = node.object()?;
    let TopLogprob { token, logprob, bytes } = read_token(&fields)?;
    let top = fields
        .array("top_logprobs")
        .iter()
        .filter_map(|node| read_token(&node.object()?))
        .collect();
    Some(TokenLogprob {
        token,
        logprob,
        bytes,
        top,
    })
}

fn read_token(fields: &Object<'_>) -> Option<TopLogprob> {
    let byte = |node: &Node<'_>| u8::try_from(node.unsigned()?).ok();
    Some(TopLogprob {
        token: fields.require("token")?.string()?,
        logprob: fields.require("logprob")?.number()?,
        bytes: fields
            .node("bytes")
            .and_then(|node| node.array()?.iter().map(byte).collect()),
    })
}

/// The answer to a `/api/chat` that did not stream.
pub fn render(response: &ChatResponse) -> Bytes {
    render_for(Endpoint::Chat, response)
}

/// The answer to either endpoint. Redacted thinking and signatures have no place in it.
pub fn render_for(endpoint: Endpoint, response: &ChatResponse) -> Bytes {
    let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
    for part in &response.parts {
        match part {
            Part::Text(piece) => text.push_str(piece),
            Part::Thinking { text: piece, .. } => thinking.push_str(piece),
            Part::ToolCall {
                id, name, arguments, ..
            } => {
                calls.push(Call {
                    id: id.clone(),
                    name: name.clone(),
                    arguments: arguments.clone(),
                });
            }
            Part::Image(_) | Part::RedactedThinking { .. } | Part::ToolResult { .. } => {}
        }
    }
    text.push_str(&line::unreadable(&calls));
    let reason = line::done_reason(response.finish);
    let end = Some(End {
        reason,
        usage: response.usage,
        timings: response.timings,
    });
    let piece = Piece {
        text: &text,
        thinking: &thinking,
        calls: &calls,
        logprobs: &response.logprobs,
        end,
    };
    let mut out = Vec::with_capacity(256 + text.len());
    line::write(&mut out, endpoint, &response.model, response.created, &piece);
    out.into()
}

/// The answer to an empty request: the model is there, or is let go. `model` as the client called it.
pub fn loaded(endpoint: Endpoint, model: &str, created: u64) -> Bytes {
    empty(endpoint, model, created, "load")
}

/// See [`loaded`].
pub fn unloaded(endpoint: Endpoint, model: &str, created: u64) -> Bytes {
    empty(endpoint, model, created, "unload")
}

/// Like [`line::write`] without counts and context: nothing was generated.
fn empty(endpoint: Endpoint, model: &str, created: u64, reason: &str) -> Bytes {
    write::object(|answer| {
        answer
            .field("model", model)
            .field("created_at", &time::rfc3339(created));
        match endpoint {
            Endpoint::Chat => answer.object("message", |message| {
                message.field("role", "assistant").field("content", "");
            }),
            Endpoint::Generate => answer.field("response", ""),
        };
        answer.field("done", &true).field("done_reason", reason);
    })
    .into()
}
