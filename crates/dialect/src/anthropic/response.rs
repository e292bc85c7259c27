//! Messages, whole.

use bytes::Bytes;

use crate::Dialect;
use crate::chat::{ChatResponse, Finish, Part, Signature};
use crate::error::BadResponse;
use crate::json::Json;
use crate::json::read::{Node, Object, Problems};
use crate::json::write::{self, Array};
use crate::stream::Identity;

use super::usage;

/// # Errors
/// Where the body is no message.
pub fn parse(body: &[u8], identity: &Identity) -> Result<ChatResponse, BadResponse> {
    let problems = Problems::lenient();
    let response = Object::root(body, &problems).and_then(|root| read(&root, identity));
    problems.into_response(response)
}

fn read(root: &Object<'_>, identity: &Identity) -> Option<ChatResponse> {
    Some(ChatResponse {
        id: root.string("id").unwrap_or_default(),
        model: root.string("model").unwrap_or_default(),
        created: identity.created,
        parts: root
            .require("content")?
            .array()?
            .iter()
            .filter_map(read_block)
            .collect(),
        finish: root
            .string("stop_reason")
            .map_or(Finish::Stop, |reason| read_finish(&reason)),
        stop_sequence: root.string("stop_sequence"),
        usage: root.object("usage").map(|told| usage::read(&told)).unwrap_or_default(),
        ..ChatResponse::default()
    })
}

fn read_block(node: &Node<'_>) -> Option<Part> {
    let block = node.object()?;
    match block.require("type")?.string()?.as_str() {
        "text" => block.string("text").filter(|text| !text.is_empty()).map(Part::Text),
        "thinking" => Some(Part::Thinking {
            text: block.string("thinking").unwrap_or_default(),
            signature: read_signature(&block),
        }),
        "redacted_thinking" => Some(Part::RedactedThinking {
            data: block.require("data")?.string()?,
        }),
        "tool_use" => {
            let (id, name) = (block.require("id")?.string()?, block.require("name")?.string()?);
            let arguments = block.node("input").map_or("{}", |input| input.text()).to_owned();
            Some(Part::ToolCall {
                id,
                name,
                arguments,
                signature: None,
            })
        }
        // Blocks of Anthropic's own tools: none was offered.
        _ => None,
    }
}

pub(super) fn read_signature(block: &Object<'_>) -> Option<Signature> {
    let value = block.string("signature").filter(|value| !value.is_empty());
    value.map(|value| Signature::new(Dialect::Anthropic, value))
}

pub(super) fn read_finish(reason: &str) -> Finish {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::ContentFilter,
        // "end_turn", "stop_sequence", "pause_turn".
        _ => Finish::Stop,
    }
}

pub(super) fn finish_name(finish: Finish, stop_sequence: &Option<String>) -> &'static str {
    match finish {
        Finish::Stop if stop_sequence.is_some() => "stop_sequence",
        // An answer that failed is told as an error, before it comes to this.
        Finish::Stop | Finish::Error => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter => "refusal",
    }
}

/// The message object.
pub fn render(response: &ChatResponse) -> Bytes {
    let body = write::object(|to| {
        to.field("id", &response.id)
            .field("type", "message")
            .field("role", "assistant");
        to.field("model", &response.model);
        to.array("content", |to| {
            response.parts.iter().for_each(|part| write_block(part, to))
        });
        to.field("stop_reason", finish_name(response.finish, &response.stop_sequence));
        to.field("stop_sequence", &response.stop_sequence);
        to.object("usage", |to| usage::write(&response.usage, to));
    });
    body.into()
}

/// The answer of `/v1/messages/count_tokens`.
pub fn render_count(input_tokens: u64) -> Bytes {
    write::object(|to| to.field("input_tokens", &input_tokens).end()).into()
}

fn write_block(part: &Part, to: &mut Array<'_>) {
    match part {
        Part::Text(text) => to.object(|to| to.field("type", "text").field("text", text).end()).end(),
        Part::Thinking { text, signature } => {
            // Clients expect a signature on every thinking; whose was not Anthropic's has an empty one.
            let signature = Signature::of(signature, Dialect::Anthropic).unwrap_or_default();
            if !text.is_empty() || !signature.is_empty() {
                write_thinking(text, signature, to);
            }
        }
        Part::RedactedThinking { data } => write_redacted_thinking(data, to),
        Part::ToolCall {
            id, name, arguments, ..
        } => {
            to.object(|to| {
                to.field("type", "tool_use")
                    .field("id", id)
                    .field("name", name)
                    .field("input", &input(arguments));
            });
        }
        // A model neither shows images nor answers its own calls.
        Part::Image(_) | Part::ToolResult { .. } => {}
    }
}

pub(super) fn write_thinking(text: &str, signature: &str, to: &mut Array<'_>) {
    to.object(|to| {
        to.field("type", "thinking")
            .field("thinking", text)
            .field("signature", signature);
    });
}

pub(super) fn write_redacted_thinking(data: &str, to: &mut Array<'_>) {
    to.object(|to| to.field("type", "redacted_thinking").field("data", data).end());
}

/// A call's arguments as the object this dialect demands. What a model wrote that is none is kept under a name that
/// says so: Anthropic's own advice for handing broken arguments on.
pub(super) fn input(arguments: &str) -> Json {
    let wrapped = || Json::from(&serde_json::json!({ "INVALID_JSON": arguments }));
    Part::arguments_object(arguments).unwrap_or_else(wrapped)
}
