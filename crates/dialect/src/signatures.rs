//! What clients forget: the signatures of a model's thinking and tool calls, kept until the calls come back.
//!
//! Gemini refuses a replayed call without its signature, Anthropic one without the signed thinking that led to it, and
//! OpenAI's and Ollama's clients have no place for either. So what an answer signed is remembered by its calls' ids and
//! put back into the next request. Ids are only unique within one caller's conversations: the caller is part of the
//! key, and nobody is given another's thinking.
//!
//! Bounded in entries and in bytes; the oldest goes first. What was forgotten costs an error from the provider at
//! worst, never a wrong answer.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use crate::chat::{ChatRequest, ChatResponse, Part, Role, Signature};

/// Some hours of tool calls.
const ENTRIES_MAX: usize = 8_192;
/// Signatures are a few KiB each, thinking more.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// What is remembered. Not shared: whoever has several threads puts a lock around it.
#[derive(Default)]
pub struct Signatures {
    kept: HashMap<Key, Kept>,
    /// Oldest first; may name what was replaced since.
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    serial: u64,
}

/// Who called, and the id of the tool call.
type Key = (u64, String);

struct Kept {
    /// Signed thinking that came before the answer's calls.
    thinking: Vec<Part>,
    call: Option<Signature>,
    bytes: usize,
    serial: u64,
}

impl Signatures {
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers what `response` signed, by the ids of its calls.
    pub fn remember(&mut self, caller: u64, response: &ChatResponse) {
        let thinking: Vec<Part> = response
            .parts
            .iter()
            .filter(|part| is_signed_thinking(part))
            .cloned()
            .collect();
        for part in &response.parts {
            let Part::ToolCall { id, signature, .. } = part else {
                continue;
            };
            if signature.is_some() || !thinking.is_empty() {
                self.insert((caller, id.clone()), thinking.clone(), signature.clone());
            }
        }
    }

    /// Puts back what is remembered wherever `request` replays a call without it.
    pub fn restore(&self, caller: u64, request: &mut ChatRequest) {
        for message in request
            .messages
            .iter_mut()
            .filter(|message| message.role == Role::Assistant)
        {
            let mut thinking = None;
            for part in &mut message.parts {
                let Part::ToolCall { id, signature, .. } = part else {
                    continue;
                };
                let Some(kept) = self.kept.get(&(caller, id.clone())) else {
                    continue;
                };
                if signature.is_none() {
                    signature.clone_from(&kept.call);
                }
                thinking = thinking.or(Some(&kept.thinking));
            }
            let Some(thinking) = thinking.filter(|thinking| !thinking.is_empty()) else {
                continue;
            };
            if !message.parts.iter().any(is_signed_thinking) {
                // The client's unsigned copy of the same thinking makes room for the signed one.
                message.parts.retain(|part| !matches!(part, Part::Thinking { .. }));
                message.parts.splice(0..0, thinking.iter().cloned());
            }
        }
    }

    fn insert(&mut self, key: Key, thinking: Vec<Part>, call: Option<Signature>) {
        let bytes = key.1.len() + size(&thinking) + call.as_ref().map_or(0, |call| call.value.len());
        self.serial += 1;
        self.order.push_back((key.clone(), self.serial));
        self.bytes += bytes;
        let kept = Kept {
            thinking,
            call,
            bytes,
            serial: self.serial,
        };
        if let Some(old) = self.kept.insert(key, kept) {
            self.bytes -= old.bytes;
        }
        while self.order.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            let Some((key, serial)) = self.order.pop_front() else {
                break;
            };
            if self.kept.get(&key).is_some_and(|kept| kept.serial == serial) {
                let gone = self.kept.remove(&key);
                self.bytes -= gone.map_or(0, |gone| gone.bytes);
            }
        }
    }
}

fn is_signed_thinking(part: &Part) -> bool {
    matches!(
        part,
        Part::Thinking { signature: Some(_), .. } | Part::RedactedThinking { .. }
    )
}

fn size(parts: &[Part]) -> usize {
    let one = |part: &Part| match part {
        Part::Thinking { text, signature } => text.len() + signature.as_ref().map_or(0, |signed| signed.value.len()),
        Part::RedactedThinking { data } => data.len(),
        _ => 0,
    };
    parts.iter().map(one).sum()
}

impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signatures({} entries, {} bytes)", self.kept.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Message;
    use crate::{Dialect, anthropic, gemini, openai};

    fn call(id: &str, signature: Option<Signature>) -> Part {
        Part::ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
            signature,
        }
    }

    fn answered(parts: Vec<Part>) -> ChatResponse {
        ChatResponse {
            parts,
            ..ChatResponse::default()
        }
    }

    /// The request after an OpenAI client's round trip through `response`.
    fn replayed(response: &ChatResponse) -> ChatRequest {
        let answer: serde_json::Value = serde_json::from_slice(&openai::response::render(response)).unwrap();
        let mut message = answer["choices"][0]["message"].clone();
        for call in message["tool_calls"].as_array_mut().unwrap() {
            call.as_object_mut().unwrap().remove("extra_content");
        }
        let result = serde_json::json!({"role": "tool", "tool_call_id": "a", "content": "x"});
        let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "x"}, message, result]});
        openai::request::parse(&serde_json::to_vec(&body).unwrap()).unwrap()
    }

    #[test]
    fn anthropic_gets_its_thinking_back() {
        let signed = Some(Signature::new(Dialect::Anthropic, "c2ln"));
        let thinking = Part::Thinking {
            text: "Hm.".to_owned(),
            signature: signed,
        };
        let response = answered(vec![
            thinking.clone(),
            Part::text("I ask."),
            call("a", None),
            call("b", None),
        ]);
        let mut memory = Signatures::new();
        memory.remember(7, &response);
        let mut request = replayed(&response);
        memory.restore(8, &mut request);
        assert_ne!(request.messages[1].parts[0], thinking, "another caller's");
        memory.restore(7, &mut request);
        memory.restore(7, &mut request);
        assert_eq!(request.messages[1].parts, response.parts);
        let body = anthropic::request::render(&request, &Default::default()).unwrap();
        assert!(String::from_utf8_lossy(&body).contains(r#""signature":"c2ln""#));
    }

    #[test]
    fn gemini_gets_its_signature_back() {
        let response = answered(vec![call("a", Some(Signature::new(Dialect::Gemini, "Z2Vt")))]);
        let mut memory = Signatures::new();
        memory.remember(7, &response);
        let mut request = replayed(&response);
        memory.restore(7, &mut request);
        let body = gemini::request::render(&request, &Default::default()).unwrap();
        assert!(String::from_utf8_lossy(&body).contains(r#""thoughtSignature":"Z2Vt""#));
    }

    #[test]
    fn the_oldest_goes_first_and_bytes_are_counted() {
        let mut memory = Signatures::new();
        let big = "x".repeat(1 << 20);
        for round in 0..3 {
            for id in 0..40 {
                let signature = Some(Signature::new(Dialect::Gemini, big.clone()));
                memory.remember(1, &answered(vec![call(&format!("{round}-{}", id % 20), signature)]));
            }
        }
        assert!(memory.bytes <= BYTES_MAX);
        assert_eq!(memory.bytes, memory.kept.values().map(|kept| kept.bytes).sum::<usize>());
        assert!(memory.kept.contains_key(&(1, "2-19".to_owned())) && !memory.kept.contains_key(&(1, "0-0".to_owned())));
        for id in 0..ENTRIES_MAX + 10 {
            let signature = Some(Signature::new(Dialect::Gemini, "s"));
            memory.remember(1, &answered(vec![call(&id.to_string(), signature)]));
        }
        assert!(memory.order.len() <= ENTRIES_MAX && memory.kept.len() <= ENTRIES_MAX);
        let mut plain = ChatRequest {
            messages: vec![Message::new(Role::Assistant, vec![call("0", None)], "m")],
            ..ChatRequest::default()
        };
        memory.restore(1, &mut plain);
        assert_eq!(plain.messages[0].parts, [call("0", None)]);
        assert!(!format!("{memory:?}").contains("xxx"));
    }
}
