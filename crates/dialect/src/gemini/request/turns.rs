//! Messages → `systemInstruction` and `contents`.
//!
//! Gemini has one system instruction, before everything, and turns that alternate: system messages are gathered, and
//! neighbours of the same role become one turn. A tool's results are the user's turn.

use super::UNSIGNED;
use super::part::{Blob, WirePart};
use crate::Dialect::Gemini;
use crate::Json;
use crate::chat::{ChatRequest, Image, Message, Part, Role, Signature};
use crate::error::Unsupported;

pub(super) struct Turn<'a> {
    pub(super) role: &'static str,
    pub(super) parts: Vec<WirePart<'a>>,
}

/// The text of all system messages, each a part.
pub(super) fn system(request: &ChatRequest) -> Result<Vec<WirePart<'_>>, Unsupported> {
    let mut instruction = Vec::new();
    for message in request.messages.iter().filter(|message| message.role == Role::System) {
        for (number, part) in message.parts.iter().enumerate() {
            match part {
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => instruction.push(WirePart::Text(text)),
                _ => return Err(only_text(message, number)),
            }
        }
    }
    Ok(instruction)
}

fn only_text(message: &Message, number: usize) -> Unsupported {
    Unsupported::new(
        message.part_at(number),
        "must be text in a system message for Gemini's API, which this model's backend speaks",
        "move it into a user message",
    )
}

pub(super) fn contents(request: &ChatRequest) -> Result<Vec<Turn<'_>>, Unsupported> {
    let mut turns: Vec<Turn<'_>> = Vec::with_capacity(request.messages.len());
    for (index, message) in request.messages.iter().enumerate() {
        let role = match message.role {
            Role::System => continue,
            Role::User | Role::Tool => "user",
            Role::Assistant => "model",
        };
        let parts = parts(request, index, message)?;
        match turns.last_mut() {
            Some(turn) if turn.role == role => turn.parts.extend(parts),
            _ if parts.is_empty() => {}
            _ => turns.push(Turn { role, parts }),
        }
    }
    if turns.is_empty() {
        return Err(Unsupported::new(
            "messages",
            "hold nothing but instructions, and Gemini answers only a turn of the user's",
            "add a user message",
        ));
    }
    Ok(turns)
}

fn parts<'a>(request: &'a ChatRequest, index: usize, message: &'a Message) -> Result<Vec<WirePart<'a>>, Unsupported> {
    let mut parts = Vec::with_capacity(message.parts.len());
    let mut calls = Calls {
        signed: has_own_signature(message),
        seen: 0,
    };
    for (number, part) in message.parts.iter().enumerate() {
        match part {
            // An empty text is refused there.
            Part::Text(text) if text.is_empty() => {}
            Part::Text(text) => parts.push(WirePart::Text(text)),
            Part::Image(image) => {
                parts.push(WirePart::Image(inline(image, || message.part_at(number))?));
            }
            // Another provider's thinking means nothing here, and its own only as long as it is signed.
            Part::Thinking { text, signature } => {
                let own = Signature::of(signature, Gemini);
                parts.extend(own.map(|own| WirePart::Thought {
                    text,
                    signature: Some(own),
                }));
            }
            Part::RedactedThinking { .. } => {}
            Part::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                let arguments = Part::arguments_object(arguments).ok_or_else(|| no_object(message, calls.seen))?;
                let signature = calls.sign(Signature::of(signature, Gemini));
                parts.push(WirePart::Call {
                    id,
                    name,
                    arguments,
                    signature,
                });
            }
            Part::ToolResult {
                id,
                name,
                content,
                is_error,
            } => {
                let name = if name.is_empty() {
                    request.tool_name(id, index)
                } else {
                    Some(name.as_str())
                };
                let name = name.ok_or_else(|| nameless(message, number))?;
                let (response, images) = response(message, number, content, *is_error)?;
                parts.push(WirePart::Response {
                    id,
                    name,
                    response,
                    images,
                });
            }
        }
    }
    Ok(parts)
}

fn has_own_signature(message: &Message) -> bool {
    message.parts.iter().any(|part| match part {
        Part::ToolCall { signature, .. } => Signature::of(signature, Gemini).is_some(),
        _ => false,
    })
}

/// Of calls that were made at once Gemini signs the first alone, and that is what it wants back.
struct Calls {
    signed: bool,
    seen: usize,
}

impl Calls {
    fn sign<'a>(&mut self, own: Option<&'a str>) -> Option<&'a str> {
        let first = self.seen == 0;
        self.seen += 1;
        own.or((first && !self.signed).then_some(UNSIGNED))
    }
}

/// The result as the object that Gemini wants: as it is where it is one, else under the names its reference gives.
fn response<'a>(
    message: &Message,
    number: usize,
    content: &'a [Part],
    is_error: bool,
) -> Result<(Json, Vec<Blob<'a>>), Unsupported> {
    let mut text = String::new();
    let mut images = Vec::new();
    for part in content {
        match part {
            Part::Text(piece) => text.push_str(piece),
            Part::Image(image) => images.push(inline(image, || message.part_at(number))?),
            _ => {}
        }
    }
    let object = Json::parse(&text).filter(|json| json.is_object() && !is_error);
    let name = if is_error { "error" } else { "result" };
    Ok((
        object.unwrap_or_else(|| Json::from(&serde_json::json!({ name: text }))),
        images,
    ))
}

fn inline(image: &Image, at: impl FnOnce() -> String) -> Result<Blob<'_>, Unsupported> {
    match image {
        Image::Inline { media_type, data } => Ok(Blob { media_type, data }),
        Image::Url(_) => Err(Unsupported::new(
            at(),
            "is an address, and Gemini is given only the image itself",
            "send the image as a data: URI",
        )),
    }
}

fn no_object(message: &Message, call: usize) -> Unsupported {
    Unsupported::new(
        format!("{}.tool_calls[{call}].function.arguments", message.at),
        "must be a JSON object for Gemini's API, which this model's backend speaks",
        "send the arguments as an object, or leave the call and its result out",
    )
}

fn nameless(message: &Message, number: usize) -> Unsupported {
    Unsupported::new(
        message.part_at(number),
        "answers no tool call that came before it, and Gemini tells results by their tool's name",
        "send the assistant's message with its tool calls before it",
    )
}
