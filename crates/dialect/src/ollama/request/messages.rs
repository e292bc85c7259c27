//! Ollama's `messages`. Calls and their results get the ids that other dialects pair them by.
//!
//! A result often names its tool only. It answers the first call of that name that is still without a result, else the
//! first such call at all; where there is none no other dialect can be told what it is.

use crate::chat::{ChatRequest, Image, Message, Part, Role};
use crate::error::Unsupported;
use crate::json::compact;
use crate::json::read::{Kind, Node, Object};

/// Appends the messages and tells how many the client sent, which may be more: some cannot be told to anyone.
pub(super) fn read(body: &Object<'_>, request: &mut ChatRequest) -> usize {
    let mut open = OpenCalls::default();
    let nodes = body.array("messages");
    for (index, node) in nodes.iter().enumerate() {
        let Some(fields) = node.object() else { continue };
        let Some(role) = fields.require("role").and_then(|role| read_role(&role)) else {
            continue;
        };
        let at = node.path.clone();
        let parts = match role {
            Role::Assistant => assistant(&fields, index, &mut open),
            Role::Tool => match result(&fields, &mut open) {
                Some(part) => vec![part],
                None => {
                    request.inexpressible.push(orphan(&fields));
                    continue;
                }
            },
            Role::System | Role::User => content(&fields),
        };
        request.messages.push(Message::new(role, parts, at));
    }
    nodes.len()
}

/// The base64 images of a message or of a `/api/generate`.
pub(super) fn images(fields: &Object<'_>) -> Vec<Image> {
    fields.array("images").iter().filter_map(image).collect()
}

fn read_role(node: &Node<'_>) -> Option<Role> {
    match node.string()?.to_ascii_lowercase().as_str() {
        "system" | "developer" => Some(Role::System),
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        "tool" => Some(Role::Tool),
        _ => {
            node.wrong(
                "must be \"system\", \"user\", \"assistant\" or \"tool\"",
                "send one of these",
            );
            None
        }
    }
}

/// Images come before the text, as Ollama puts them into the prompt.
fn content(fields: &Object<'_>) -> Vec<Part> {
    let text = fields.string("content").filter(|text| !text.is_empty()).map(Part::Text);
    images(fields).into_iter().map(Part::Image).chain(text).collect()
}

fn assistant(fields: &Object<'_>, index: usize, open: &mut OpenCalls) -> Vec<Part> {
    let thinking = fields.string("thinking").filter(|text| !text.is_empty());
    let mut parts: Vec<Part> = Vec::new();
    parts.extend(thinking.map(|text| Part::Thinking { text, signature: None }));
    parts.extend(content(fields));
    for (number, node) in fields.array("tool_calls").iter().enumerate() {
        let Some((id, name, arguments)) = call(node) else {
            continue;
        };
        let id = id.unwrap_or_else(|| format!("call_{index}_{number}"));
        open.add(&id, &name);
        parts.push(Part::ToolCall {
            id,
            name,
            arguments,
            signature: None,
        });
    }
    parts
}

/// Its id, if it has one, the function's name and the text of its arguments.
fn call(node: &Node<'_>) -> Option<(Option<String>, String, String)> {
    let call = node.object()?;
    let function = call.require("function")?.object()?;
    let name = function.require("name")?.string()?;
    let arguments = match function.node("arguments") {
        None => "{}".to_owned(),
        Some(node) if node.kind() == Kind::Object => compact(node.text()),
        Some(node) => {
            node.wrong("must be an object", "send the arguments as an object, not as text");
            return None;
        }
    };
    Some((call.string("id").filter(|id| !id.is_empty()), name, arguments))
}

fn result(fields: &Object<'_>, open: &mut OpenCalls) -> Option<Part> {
    let content = content(fields);
    let told = fields.string("tool_call_id").filter(|id| !id.is_empty());
    let name = ["tool_name", "name"]
        .iter()
        .find_map(|field| fields.string(field))
        .filter(|name| !name.is_empty());
    let (id, called) = open.answer(told.as_deref(), name.as_deref())?;
    Some(Part::ToolResult {
        id,
        name: name.unwrap_or(called),
        content,
        is_error: false,
    })
}

fn orphan(fields: &Object<'_>) -> Unsupported {
    Unsupported::new(
        fields.at("tool_name"),
        "answers no tool call that came before it, and other APIs tell results by their calls",
        "send the assistant's message with its tool_calls before it",
    )
}

fn image(node: &Node<'_>) -> Option<Image> {
    let text = node.string()?;
    // Not base64 with its prefix by Ollama's rule, but what many a client sends.
    let image = match Image::from_url(&text) {
        Some(Image::Inline { media_type, data }) => Image::Inline { media_type, data },
        _ => Image::Inline {
            media_type: Image::sniff(&text).to_owned(),
            data: text,
        },
    };
    match &image {
        Image::Inline { data, .. } if !data.is_empty() && data.bytes().all(is_base64) => Some(image),
        _ => {
            node.wrong(
                "must be base64 without a prefix",
                "send the image itself, not its address",
            );
            None
        }
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// The calls so far, in order, and whether each has its result.
#[derive(Default)]
struct OpenCalls {
    calls: Vec<OpenCall>,
}

struct OpenCall {
    id: String,
    name: String,
    answered: bool,
}

impl OpenCalls {
    fn add(&mut self, id: &str, name: &str) {
        self.calls.push(OpenCall {
            id: id.to_owned(),
            name: name.to_owned(),
            answered: false,
        });
    }

    /// The call that a result answers, by its id, else its tool's name, else its place.
    fn answer(&mut self, id: Option<&str>, name: Option<&str>) -> Option<(String, String)> {
        let by_id = id.and_then(|id| self.calls.iter().rposition(|call| call.id == id));
        let open = |call: &OpenCall| !call.answered;
        let by_name = || name.and_then(|name| self.calls.iter().position(|call| open(call) && call.name == name));
        let by_place = || self.calls.iter().position(open).filter(|_| name.is_none());
        let Some(call) = by_id
            .or_else(by_name)
            .or_else(by_place)
            .and_then(|at| self.calls.get_mut(at))
        else {
            // The call may have been cut off with older turns; its id still says what this is.
            return id.map(|id| (id.to_owned(), String::new()));
        };
        call.answered = true;
        Some((call.id.clone(), call.name.clone()))
    }
}
