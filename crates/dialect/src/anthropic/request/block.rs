//! Content blocks, in and out.

use crate::Dialect;
use crate::anthropic::response;
use crate::chat::{ChatRequest, Image, Part, Signature};
use crate::error::Unsupported;
use crate::json::Json;
use crate::json::read::{Node, Object};
use crate::json::write::{self, Array};

/// A string, or an array of blocks.
pub(super) fn read_content(node: &Node<'_>, request: &mut ChatRequest) -> Vec<Part> {
    let rule = "must be a string or an array of blocks";
    node.text_or_each(rule, Part::Text, |block| read(block, request))
}

fn read(node: &Node<'_>, request: &mut ChatRequest) -> Option<Part> {
    let block = node.object()?;
    let kind = block.require("type")?;
    let part = match kind.string()?.as_str() {
        "text" => Part::Text(block.require("text")?.string()?),
        "image" => Part::Image(read_image(&block.require("source")?.object()?, request)?),
        "thinking" => Part::Thinking {
            text: block.require("thinking")?.string()?,
            signature: response::read_signature(&block),
        },
        "redacted_thinking" => Part::RedactedThinking {
            data: block.require("data")?.string()?,
        },
        "tool_use" => read_call(&block)?,
        "tool_result" => read_result(&block, request)?,
        _ => {
            let rule = "is a kind of block that cannot be translated for this model's backend";
            request
                .inexpressible
                .push(Unsupported::new(kind.path, rule, "send text, images and tool blocks"));
            return None;
        }
    };
    // Citations point into documents, which are not translated.
    block.ignore(&["cache_control", "citations", "caller"]);
    request.extra.extend(block.rest());
    Some(part)
}

fn read_call(block: &Object<'_>) -> Option<Part> {
    let (id, name) = (block.require("id")?.string()?, block.require("name")?.string()?);
    let input = block.require("input")?;
    input.object()?;
    Some(Part::ToolCall {
        id,
        name,
        arguments: input.text().to_owned(),
        signature: None,
    })
}

fn read_result(block: &Object<'_>, request: &mut ChatRequest) -> Option<Part> {
    let id = block.require("tool_use_id")?.string()?;
    let content = block
        .node("content")
        .map(|node| read_content(&node, request))
        .unwrap_or_default();
    Some(Part::ToolResult {
        id,
        // Named once all calls are known.
        name: String::new(),
        content,
        is_error: block.boolean("is_error").unwrap_or(false),
    })
}

fn read_image(source: &Object<'_>, request: &mut ChatRequest) -> Option<Image> {
    let kind = source.require("type")?;
    match kind.string()?.as_str() {
        "base64" => {
            let media_type = source.require("media_type")?.string()?;
            Some(Image::Inline {
                media_type,
                data: source.require("data")?.string()?,
            })
        }
        "url" => {
            let url = source.require("url")?;
            let image = Image::from_url(&url.string()?);
            if image.is_none() {
                url.wrong("must be an address", "send the image as base64");
            }
            image
        }
        _ => {
            let rule = "names a file at Anthropic, which this model's backend cannot read";
            request
                .inexpressible
                .push(Unsupported::new(kind.path, rule, "send the image as base64"));
            None
        }
    }
}

/// Appends one part as a block. What Anthropic did not sign itself is not its thinking and is left out.
pub(super) fn write(part: &Part, to: &mut Array<'_>) {
    match part {
        // An empty text block is refused.
        Part::Text(text) if text.is_empty() => {}
        Part::Text(text) => to.object(|to| to.field("type", "text").field("text", text).end()).end(),
        Part::Image(image) => to.object(|to| write_image(image, to.field("type", "image"))).end(),
        Part::Thinking { text, signature } => {
            if let Some(signature) = Signature::of(signature, Dialect::Anthropic) {
                response::write_thinking(text, signature, to);
            }
        }
        Part::RedactedThinking { data } => response::write_redacted_thinking(data, to),
        Part::ToolCall {
            id, name, arguments, ..
        } => {
            let input = Part::arguments_object(arguments).or_else(|| Json::parse("{}"));
            to.object(|to| {
                to.field("type", "tool_use")
                    .field("id", &clean_id(id))
                    .field("name", name)
                    .opt("input", &input);
            });
        }
        Part::ToolResult {
            id, content, is_error, ..
        } => {
            to.object(|to| {
                to.field("type", "tool_result").field("tool_use_id", &clean_id(id));
                match content.as_slice() {
                    [Part::Text(text)] => to.field("content", text),
                    _ => to.array("content", |to| content.iter().for_each(|part| write(part, to))),
                };
                to.opt("is_error", &is_error.then_some(true));
            });
        }
    }
}

fn write_image(image: &Image, to: &mut write::Object<'_>) {
    to.object("source", |to| {
        match image {
            Image::Inline { media_type, data } => to
                .field("type", "base64")
                .field("media_type", media_type)
                .field("data", data),
            Image::Url(url) => to.field("type", "url").field("url", url),
        };
    });
}

/// Anthropic takes letters, digits, `-` and `_` in an id; other servers make others. Call and result change alike.
fn clean_id(id: &str) -> String {
    let clean = |letter: char| {
        if letter.is_ascii_alphanumeric() || letter == '-' {
            letter
        } else {
            '_'
        }
    };
    id.chars().map(clean).collect()
}
