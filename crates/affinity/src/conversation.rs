//! What makes up a conversation in a request, in any of the dialects: the name its client gives it, and the parts that a
//! model reads, in the order in which it reads them.
//!
//! Owns which headers and fields count. Refuses to keep or to judge them: a part is handed to the trail as the JSON that
//! came, so that equal prompts are equal bytes; and what is no JSON is nobody's conversation.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::trail::Trail;
use crate::volatile::{Escaping, VolatileLines};

/// Headers by which a client says which conversation it is, as other gateways take them.
pub const SESSION_HEADERS: [&str; 3] = ["x-session-id", "x-litellm-session-id", "x-openwebui-chat-id"];

/// A session's name is hashed; whoever sends a novel is not understood.
const SESSION_BYTES_MAX: usize = 256;

/// Larger bodies are pictures; to parse this much takes a thread some milliseconds.
pub const LOOKED_AT_MAX: usize = 4 << 20;

/// The conversation's own name, where the client says it: the first of the headers that says anything. `header` finds
/// one by its name.
pub fn session<V: AsRef<[u8]>>(header: impl FnMut(&'static str) -> Option<V>) -> Option<V> {
    let mut values = SESSION_HEADERS.into_iter().filter_map(header);
    values.find(|value| !value.as_ref().is_empty() && value.as_ref().len() <= SESSION_BYTES_MAX)
}

/// A request's parts, unread.
#[derive(Deserialize)]
pub struct Parts<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    /// Gemini's.
    #[serde(borrow, rename = "systemInstruction")]
    system_instruction: Option<&'a RawValue>,
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
}

impl<'a> Parts<'a> {
    /// `None` where the body is no JSON object, or longer than [`LOOKED_AT_MAX`].
    pub fn of(body: &'a [u8]) -> Option<Self> {
        let looked_at = Some(body).filter(|body| body.len() <= LOOKED_AT_MAX)?;
        serde_json::from_slice(looked_at).ok()
    }

    /// The model's name, as JSON.
    pub fn model(&self) -> Option<&'a str> {
        self.model.map(RawValue::get)
    }

    /// Puts all of it on the trail. Only the first text of a system's may begin with what changes.
    pub fn walk(&self, trail: &mut Trail, volatile: &VolatileLines) {
        if let Some(tools) = self.tools {
            trail.piece(b"tools", tools.get().as_bytes());
        }
        let volatile = Some(volatile).filter(|volatile| !volatile.is_empty());
        let mut is_first = true;
        for system in [self.instructions, self.system, self.system_instruction]
            .into_iter()
            .flatten()
        {
            piece(trail, b"system", system.get(), volatile.filter(|_| is_first));
            is_first = false;
        }
        if let Some(prompt) = self.prompt {
            trail.piece(b"prompt", prompt.get().as_bytes());
        }
        for list in [self.messages, self.input, self.contents].into_iter().flatten() {
            let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(list.get()) else {
                trail.piece(b"message", list.get().as_bytes());
                continue;
            };
            for item in items {
                piece(trail, b"message", item.get(), volatile.filter(|_| is_first));
                is_first = false;
            }
        }
    }
}

/// A prompt is nobody's to print.
impl std::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts(…)")
    }
}

/// One message's JSON. What stands before its text's first lines, and those lines where they change, is no part of it.
fn piece(trail: &mut Trail, label: &[u8], json: &str, volatile: Option<&VolatileLines>) {
    let text = volatile.and_then(|volatile| Some((volatile, first_text(json)?)));
    match text {
        Some((volatile, at)) => {
            let skipped = volatile.skip(&json.as_bytes()[at..], Escaping::Json);
            trail.piece(label, &json.as_bytes()[..at]);
            trail.piece(b"text", skipped);
        }
        None => trail.piece(label, json.as_bytes()),
    }
}

/// Where the text of a string, or of a message's `content` or `text`, begins in its JSON.
fn first_text(json: &str) -> Option<usize> {
    if json.starts_with('"') {
        return Some(1);
    }
    #[derive(Deserialize)]
    struct Holder<'a> {
        #[serde(borrow)]
        content: Option<&'a RawValue>,
        #[serde(borrow)]
        text: Option<&'a RawValue>,
    }
    let inner = if json.starts_with('[') {
        *serde_json::from_str::<Vec<&RawValue>>(json).ok()?.first()?
    } else {
        let holder: Holder<'_> = serde_json::from_str(json).ok()?;
        holder.content.or(holder.text)?
    };
    // Borrowed from `json`, so that its place there is a difference of addresses.
    let at = (inner.get().as_ptr() as usize).checked_sub(json.as_ptr() as usize)?;
    Some(at + first_text(inner.get())?)
}

#[cfg(test)]
mod tests;
