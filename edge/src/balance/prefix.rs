//! A request's conversation, as the prefix index knows it: who holds how much of it, and what a choice teaches.
//!
//! The body is looked at and not kept: text goes into keyed hashes. Of a body over [`LOOKED_AT_MAX`] only the session
//! header is seen, and a body that is no JSON is nobody's conversation; both go to the least busy server.

use std::time::Instant;

use affinity::{Escaping, Index, Known, Server, Trail, VolatileLines};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Larger bodies are pictures; to parse this much takes a thread some milliseconds.
pub(crate) const LOOKED_AT_MAX: usize = 4 << 20;

/// Headers by which a client says which conversation it is, as other gateways take them.
const SESSION_HEADERS: [&str; 3] = ["x-session-id", "x-litellm-session-id", "x-openwebui-chat-id"];

/// A session's name is hashed; whoever sends a novel is not understood.
const SESSION_BYTES_MAX: usize = 256;

#[derive(Debug)]
pub(crate) struct Conversation {
    trail: Trail,
    pub(crate) known: Known,
}

impl Conversation {
    /// `caller` tells one key from another, so that equal session names of two stay strangers.
    pub(crate) fn of(
        index: &Index,
        (service, caller): (&str, &str),
        headers: &HeaderMap,
        body: &[u8],
        volatile: &VolatileLines,
    ) -> Self {
        let shape = Some(body)
            .filter(|body| body.len() <= LOOKED_AT_MAX)
            .and_then(|body| serde_json::from_slice::<Shape<'_>>(body).ok());
        let model = shape.as_ref().and_then(|shape| shape.model).map_or("", RawValue::get);
        let mut trail = index.trail(&[service.as_bytes(), model.as_bytes()]);
        if let Some(session) = session(headers) {
            trail.session(caller.as_bytes(), session);
        }
        if let Some(shape) = shape {
            shape.walk(&mut trail, volatile);
        }
        let known = index.known(&trail, Instant::now());
        Self { trail, known }
    }

    /// This server is sent the conversation.
    pub(crate) fn note(&self, index: &Index, server: &Server) {
        index.note(&self.trail, server, Instant::now());
    }
}

fn session(headers: &HeaderMap) -> Option<&[u8]> {
    let values = SESSION_HEADERS.iter().filter_map(|name| headers.get(*name));
    let mut values = values.map(http::HeaderValue::as_bytes);
    values.find(|value| !value.is_empty() && value.len() <= SESSION_BYTES_MAX)
}

/// What makes up a conversation, in any of the dialects, unread.
#[derive(Deserialize)]
struct Shape<'a> {
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

impl Shape<'_> {
    /// In the order in which a model reads it. Only the first text of a system's may begin with what changes.
    fn walk(&self, trail: &mut Trail, volatile: &VolatileLines) {
        if let Some(tools) = self.tools {
            trail.piece(b"tools", tools.get().as_bytes());
        }
        let mut is_first = true;
        for system in [self.instructions, self.system, self.system_instruction]
            .into_iter()
            .flatten()
        {
            piece(trail, b"system", system.get(), is_first.then_some(volatile));
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
                piece(trail, b"message", item.get(), is_first.then_some(volatile));
                is_first = false;
            }
        }
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
