//! Chat completions, whole.

use bytes::Bytes;

use crate::Dialect;
use crate::chat::{ChatResponse, Finish, Part, Signature, TokenLogprob, TopLogprob};
use crate::error::{BadResponse, Failure};
use crate::json::read::{Kind, Node, Object, Problems};
use crate::json::write;
use crate::stream::Identity;

use super::request::write_assistant;
use super::usage;

/// # Errors
/// Where the body is no chat completion.
pub fn parse(body: &[u8], identity: &Identity) -> Result<ChatResponse, BadResponse> {
    let problems = Problems::lenient();
    let response = Object::root(body, &problems).and_then(|root| read(&root, identity));
    problems.into_response(response)
}

fn read(root: &Object<'_>, identity: &Identity) -> Option<ChatResponse> {
    let mut response = ChatResponse {
        id: root.string("id").unwrap_or_default(),
        model: root.string("model").unwrap_or_default(),
        created: root.unsigned("created").unwrap_or(identity.created),
        ..ChatResponse::default()
    };
    if let Some(timings) = root.object("timings") {
        (response.usage, response.timings) = usage::read_timings(&timings);
    }
    if let Some(told) = root.object("usage") {
        response.usage.update(&usage::read(&told));
    }
    // More than one choice was never asked for where answers are translated.
    let choice = root.require("choices")?.array()?.into_iter().next();
    let Some(choice) = choice else {
        root.problems()
            .note("choices", "must not be empty", "an empty array", "");
        return None;
    };
    let choice = choice.object()?;
    let message = choice.require("message")?.object()?;
    response.parts = read_message(&message, identity);
    response.finish = choice
        .string("finish_reason")
        .map_or(Finish::Stop, |reason| read_finish(&reason));
    let has_calls = response.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    response.finish = response.finish.with_calls(has_calls);
    // vLLM tells which stop sequence was met.
    response.stop_sequence = choice
        .node("stop_reason")
        .filter(|node| node.kind() == Kind::String)
        .and_then(|node| node.string());
    let logprobs = choice.object("logprobs").map(|logprobs| logprobs.array("content"));
    response.logprobs = logprobs.unwrap_or_default().iter().filter_map(read_logprob).collect();
    Some(response)
}

fn read_message(message: &Object<'_>, identity: &Identity) -> Vec<Part> {
    let mut parts = Vec::new();
    let thinking = read_thinking(message).filter(|text| !text.is_empty());
    parts.extend(thinking.map(|text| Part::Thinking { text, signature: None }));
    match message.node("content") {
        Some(node) if node.kind() == Kind::Array => {
            parts.extend(node.array().unwrap_or_default().iter().filter_map(text_part))
        }
        Some(node) => parts.extend(node.string().filter(|text| !text.is_empty()).map(Part::Text)),
        None => {}
    }
    parts.extend(message.string("refusal").map(Part::Text));
    for (index, call) in message.array("tool_calls").iter().enumerate() {
        parts.extend(call.object().and_then(|call| read_call(&call, index, identity)));
    }
    parts
}

fn text_part(node: &Node<'_>) -> Option<Part> {
    node.object()?.string("text").map(Part::Text)
}

pub(super) fn read_thinking(message: &Object<'_>) -> Option<String> {
    message
        .string("reasoning_content")
        .or_else(|| message.string("reasoning"))
}

fn read_call(call: &Object<'_>, index: usize, identity: &Identity) -> Option<Part> {
    let id = call
        .string("id")
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| identity.call_id(index));
    let function = call.require("function")?.object()?;
    let name = function.require("name")?.string()?;
    let arguments = function
        .node("arguments")
        .and_then(|node| read_arguments(&node))
        .unwrap_or_default();
    Some(Part::ToolCall {
        id,
        name,
        arguments,
        signature: read_signature(call),
    })
}

/// A string of JSON; some servers send the object itself.
pub(super) fn read_arguments(node: &Node<'_>) -> Option<String> {
    if node.kind() == Kind::Object {
        Some(node.text().to_owned())
    } else {
        node.string()
    }
}

pub(super) fn read_signature(call: &Object<'_>) -> Option<Signature> {
    let value = call
        .object("extra_content")?
        .object("google")?
        .string("thought_signature")?;
    Some(Signature::new(Dialect::Gemini, value))
}

pub(super) fn read_finish(reason: &str) -> Finish {
    match reason {
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        "error" => Finish::Error,
        // "stop", and what servers invent ("eos", "stop_sequence").
        _ => Finish::Stop,
    }
}

pub(super) fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
        // OpenRouter's word; OpenAI itself has none.
        Finish::Error => "error",
    }
}

pub(super) fn read_logprob(node: &Node<'_>) -> Option<TokenLogprob> {
    let entry = node.object()?;
    let top = entry.array("top_logprobs");
    let top = top.iter().filter_map(|node| {
        let entry = node.object()?;
        Some(TopLogprob {
            token: entry.string("token")?,
            logprob: entry.number("logprob")?,
            bytes: read_bytes(&entry),
        })
    });
    let top = top.collect();
    Some(TokenLogprob {
        token: entry.string("token")?,
        logprob: entry.number("logprob")?,
        bytes: read_bytes(&entry),
        top,
    })
}

fn read_bytes(entry: &Object<'_>) -> Option<Vec<u8>> {
    let byte = |node: &Node<'_>| node.unsigned().and_then(|byte| u8::try_from(byte).ok());
    entry.node("bytes")?.array()?.iter().map(byte).collect()
}

pub(super) fn write_logprobs(logprobs: &[TokenLogprob], to: &mut write::Object<'_>) {
    to.object("logprobs", |to| {
        to.array("content", |to| {
            for entry in logprobs {
                to.object(|to| {
                    to.field("token", &entry.token)
                        .field("logprob", &entry.logprob)
                        .field("bytes", &entry.bytes);
                    to.array("top_logprobs", |to| {
                        for top in &entry.top {
                            to.object(|to| {
                                to.field("token", &top.token)
                                    .field("logprob", &top.logprob)
                                    .field("bytes", &top.bytes);
                            });
                        }
                    });
                });
            }
        });
    });
}

/// The chat completion object. What failed after all ([`Finish::Error`]) should be answered with [`failure`] instead.
pub fn render(response: &ChatResponse) -> Bytes {
    let body = write::object(|to| {
        to.field("id", &response.id)
            .field("object", "chat.completion")
            .field("created", &response.created);
        to.field("model", &response.model);
        to.array("choices", |to| {
            to.object(|to| {
                to.field("index", &0);
                to.object("message", |to| {
                    to.field("role", "assistant");
                    write_assistant(&response.parts, to);
                });
                if response.logprobs.is_empty() {
                    to.null("logprobs");
                } else {
                    write_logprobs(&response.logprobs, to);
                }
                to.field("finish_reason", finish_name(response.finish));
            });
        });
        if usage::complete(&response.usage) {
            to.object("usage", |to| usage::write(&response.usage, to));
        }
    });
    body.into()
}

/// The failure that an answer with [`Finish::Error`] is.
pub fn failure(response: &ChatResponse) -> Option<Failure> {
    let failed = response.finish == Finish::Error;
    failed.then(Failure::broke_off)
}
