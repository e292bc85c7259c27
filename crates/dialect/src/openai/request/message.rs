//! The messages of a chat completion request.

use crate::Dialect;
use crate::chat::{ChatRequest, Image, Message, Part, Role, Signature};
use crate::error::Unsupported;
use crate::json::read::{Kind, Node, Object};

/// Of no meaning to another model: hints, and what clients echo back from an answer.
const IGNORED: [&str; 5] = ["annotations", "cache_control", "index", "reasoning_details", "detail"];

pub(super) fn read_all(root: &Object<'_>, request: &mut ChatRequest) {
    let Some(nodes) = root.require("messages").and_then(|node| node.array()) else {
        return;
    };
    if nodes.is_empty() {
        root.problems().note(
            root.at("messages"),
            "must not be empty",
            "an empty array",
            "send at least one message",
        );
    }
    for node in &nodes {
        if let Some(message) = node.object().and_then(|message| read(&message, request)) {
            request.messages.push(message);
        }
    }
    request.name_results();
}

fn read(message: &Object<'_>, request: &mut ChatRequest) -> Option<Message> {
    message.ignore(&IGNORED);
    let node = message.require("role")?;
    let role = match node.string()?.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        "function" => {
            let fix = "use the role tool with a tool_call_id";
            request
                .inexpressible
                .push(Unsupported::new(node.path, "the role function is not translated", fix));
            return None;
        }
        _ => {
            node.wrong(
                "must be system, developer, user, assistant or tool",
                "choose one of these",
            );
            return None;
        }
    };
    let parts = match role {
        Role::Tool => vec![read_result(message, request)?],
        Role::Assistant => read_assistant(message, request),
        Role::System | Role::User => read_content(message, request),
    };
    request.extra.extend(message.rest());
    Some(Message::new(role, parts, message.path.clone()))
}

fn read_assistant(message: &Object<'_>, request: &mut ChatRequest) -> Vec<Part> {
    let mut parts = Vec::new();
    let thinking = ["reasoning_content", "reasoning"]
        .iter()
        .filter_map(|name| message.string(name))
        .next();
    if let Some(text) = thinking.filter(|text| !text.is_empty()) {
        parts.push(Part::Thinking { text, signature: None });
    }
    // The other of the two names says the same again.
    message.ignore(&["reasoning", "reasoning_content"]);
    if message.node("content").is_some() {
        parts.extend(read_content(message, request));
    }
    parts.extend(message.string("refusal").map(Part::Text));
    for name in ["audio", "function_call"] {
        if let Some(node) = message.node(name) {
            request
                .inexpressible
                .push(Unsupported::new(node.path, "is not translated", "leave it out"));
        }
    }
    for call in message.array("tool_calls") {
        parts.extend(call.object().and_then(|call| read_call(&call, request)));
    }
    parts
}

fn read_call(call: &Object<'_>, request: &mut ChatRequest) -> Option<Part> {
    if call.string("type").is_some_and(|kind| kind != "function") {
        let rule = "only calls of functions are translated";
        request
            .inexpressible
            .push(Unsupported::new(call.at("type"), rule, "leave the call out"));
        return None;
    }
    let id = call.require("id")?.string()?;
    let function = call.require("function")?.object()?;
    let name = function.require("name")?.string()?;
    let arguments = function.node("arguments").and_then(|node| match node.kind() {
        // Some clients send the object itself.
        Kind::Object => Some(node.text().to_owned()),
        _ => node.string(),
    });
    let google = call.object("extra_content").and_then(|extra| extra.object("google"));
    let signature = google.and_then(|google| google.string("thought_signature"));
    let signature = signature.map(|value| Signature::new(Dialect::Gemini, value));
    Some(Part::ToolCall {
        id,
        name,
        arguments: arguments.unwrap_or_default(),
        signature,
    })
}

fn read_result(message: &Object<'_>, request: &mut ChatRequest) -> Option<Part> {
    let id = message.require("tool_call_id")?.string()?;
    let name = message.string("name").unwrap_or_default();
    Some(Part::ToolResult {
        id,
        name,
        content: read_content(message, request),
        is_error: false,
    })
}

/// `content`: a string, or an array of parts.
pub(super) fn read_content(message: &Object<'_>, request: &mut ChatRequest) -> Vec<Part> {
    let Some(node) = message.require("content") else {
        return Vec::new();
    };
    let rule = "must be a string or an array of parts";
    node.text_or_each(rule, Part::Text, |part| read_part(part, request))
}

fn read_part(node: &Node<'_>, request: &mut ChatRequest) -> Option<Part> {
    let part = node.object()?;
    part.ignore(&IGNORED);
    let kind = part.require("type")?.string()?;
    let read = match kind.as_str() {
        "text" => part.require("text")?.string().map(Part::Text),
        "refusal" => part.require("refusal")?.string().map(Part::Text),
        "image_url" => read_image(&part.require("image_url")?, request).map(Part::Image),
        other => {
            // The field is named after what it holds, as `input_audio` or `file` are.
            let field = if part.node(other).is_some() {
                part.at(other)
            } else {
                part.at("type")
            };
            let rule = "only text and images are translated for this model's backend";
            request
                .inexpressible
                .push(Unsupported::new(field, rule, "send text or an image"));
            return None;
        }
    };
    request.extra.extend(part.rest());
    read
}

fn read_image(node: &Node<'_>, request: &mut ChatRequest) -> Option<Image> {
    let url = match node.kind() {
        Kind::String => node.clone(),
        _ => {
            let image = node.object()?;
            image.ignore(&IGNORED);
            let url = image.require("url")?;
            request.extra.extend(image.rest());
            url
        }
    };
    read_image_url(&url)
}

/// An address, or the image itself as a data URI.
pub(in crate::openai) fn read_image_url(url: &Node<'_>) -> Option<Image> {
    let image = Image::from_url(&url.string()?);
    if image.is_none() {
        url.wrong(
            "a data URI must name its media type and be base64",
            "send data:image/png;base64,…",
        );
    }
    image
}
