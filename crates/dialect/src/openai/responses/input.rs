//! `input`: a text, or items. Runs of an assistant's items (thinking, words, calls) become one message.

use super::item;
use crate::chat::{ChatRequest, Message, Part, Role};
use crate::error::Unsupported;
use crate::json::read::{Kind, Node, Object};
use crate::openai::request::read_image_url;

pub(super) fn read(input: &Node<'_>, request: &mut ChatRequest) {
    if input.kind() == Kind::String {
        let parts = input.string().map(Part::Text).into_iter().collect();
        request.messages.push(Message::new(Role::User, parts, "input"));
        return;
    }
    let items = input.array().unwrap_or_default();
    if items.is_empty() {
        input.wrong("must be a text or a non-empty array of items", "send at least one item");
    }
    for node in items {
        if let Some(item) = node.object() {
            read_item(&item, request);
        }
    }
    request.name_results();
}

fn read_item(item: &Object<'_>, request: &mut ChatRequest) -> Option<()> {
    item.ignore(&["id", "status", "phase"]);
    let kind = item.string("type").unwrap_or_else(|| "message".to_owned());
    match kind.as_str() {
        "message" => read_message(item, request)?,
        "function_call" => {
            let (id, name) = (item.require("call_id")?.string()?, item.require("name")?.string()?);
            let arguments = item.string("arguments").unwrap_or_default();
            append(
                Role::Assistant,
                vec![Part::ToolCall {
                    id,
                    name,
                    arguments,
                    signature: None,
                }],
                item,
                request,
            );
        }
        "function_call_output" => {
            let id = item.require("call_id")?.string()?;
            let content = read_content(&item.require("output")?, request);
            append(
                Role::Tool,
                vec![Part::ToolResult {
                    id,
                    // Named once all calls are known.
                    name: String::new(),
                    content,
                    is_error: false,
                }],
                item,
                request,
            );
        }
        "reasoning" => {
            let part = read_reasoning(item);
            append(Role::Assistant, part.into_iter().collect(), item, request);
        }
        "item_reference" => {
            let fix = "send the item itself";
            item.problems().note(
                item.at("type"),
                "refers to what was stored, and nothing is stored here",
                "a reference",
                fix,
            );
        }
        _ => {
            let rule = "is an item of OpenAI's own tools, which cannot be translated";
            request
                .inexpressible
                .push(Unsupported::new(item.at("type"), rule, "leave the item out"));
            return None;
        }
    }
    request.extra.extend(item.rest());
    Some(())
}

/// Adjacent items of an assistant are one message, and so are adjacent results.
fn append(role: Role, parts: Vec<Part>, item: &Object<'_>, request: &mut ChatRequest) {
    match request.messages.last_mut() {
        Some(last) if last.role == role => last.parts.extend(parts),
        _ if parts.is_empty() => {}
        _ => request.messages.push(Message::new(role, parts, item.path.clone())),
    }
}

fn read_message(item: &Object<'_>, request: &mut ChatRequest) -> Option<()> {
    let node = item.require("role")?;
    let role = match node.string()?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" | "developer" => Role::System,
        _ => {
            node.wrong("must be user, assistant, system or developer", "choose one of these");
            return None;
        }
    };
    let parts = read_content(&item.require("content")?, request);
    if role == Role::Assistant {
        append(role, parts, item, request);
    } else {
        request.messages.push(Message::new(role, parts, item.path.clone()));
    }
    Some(())
}

fn read_content(node: &Node<'_>, request: &mut ChatRequest) -> Vec<Part> {
    match node.kind() {
        Kind::String => node.string().map(Part::Text).into_iter().collect(),
        _ => node
            .array()
            .unwrap_or_default()
            .iter()
            .filter_map(|part| read_part(part, request))
            .collect(),
    }
}

fn read_part(node: &Node<'_>, request: &mut ChatRequest) -> Option<Part> {
    let part = node.object()?;
    part.ignore(&["annotations", "logprobs", "detail"]);
    let kind = part.require("type")?;
    let read = match kind.string()?.as_str() {
        "input_text" | "output_text" | "text" => part.require("text")?.string().map(Part::Text),
        "refusal" => part.require("refusal")?.string().map(Part::Text),
        "input_image" if part.node("file_id").is_none() => read_image_url(&part.require("image_url")?).map(Part::Image),
        _ => {
            let rule = "only text and images at hand are translated for this model's backend";
            request
                .inexpressible
                .push(Unsupported::new(kind.path, rule, "send text or an image"));
            return None;
        }
    };
    request.extra.extend(part.rest());
    read
}

/// Thinking as it was given out: whole under `content`, else as a summary; its signature rides as encrypted content.
fn read_reasoning(item: &Object<'_>) -> Option<Part> {
    let texts = |name: &str| -> String {
        let nodes = item.array(name);
        nodes.iter().filter_map(|node| node.object()?.string("text")).collect()
    };
    let (whole, summary) = (texts("content"), texts("summary"));
    let signature = item
        .string("encrypted_content")
        .and_then(|sealed| item::unseal(&sealed));
    let text = if whole.is_empty() { summary } else { whole };
    (!text.is_empty() || signature.is_some()).then_some(Part::Thinking { text, signature })
}
