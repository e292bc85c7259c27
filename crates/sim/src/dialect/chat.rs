//! `/v1/chat/completions`: OpenAI's shape with llama.cpp's timings.

use serde_json::{Value, json};

use super::{Dialect, Outcome, Progress, Prompt, json};
use crate::answer::{Finish, Kind};
use crate::wire::{self, Timings};

pub(crate) struct Chat {
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
    /// What every chunk ends with: the same for a whole stream, so made once.
    tail: String,
    tool_begun: bool,
}

impl Chat {
    pub(crate) fn new(id: String, created: u64, model: &str, include_usage: bool) -> Self {
        let tail = format!(
            r#","created":{created},"id":"{id}","model":{},"system_fingerprint":"{}","object":"chat.completion.chunk""#,
            Value::from(model),
            wire::FINGERPRINT
        );
        Self {
            id,
            created,
            model: model.to_owned(),
            include_usage,
            tail,
            tool_begun: false,
        }
    }

    fn begin_chunk(out: &mut Vec<u8>, delta_begins: &str) {
        out.extend_from_slice(br#"data: {"choices":[{"finish_reason":null,"index":0,"delta":"#);
        out.extend_from_slice(delta_begins.as_bytes());
    }

    /// Closes the delta, its choice and the choices, and adds the chunk's other fields.
    fn end_chunk(&self, out: &mut Vec<u8>, delta_ends: &str, extra: &[(&str, &Value)], timings: Option<&Timings>) {
        out.extend_from_slice(delta_ends.as_bytes());
        out.extend_from_slice(b"}]");
        self.close(out, extra, timings);
    }

    fn close(&self, out: &mut Vec<u8>, extra: &[(&str, &Value)], timings: Option<&Timings>) {
        out.extend_from_slice(self.tail.as_bytes());
        for (name, value) in extra {
            out.extend_from_slice(format!(r#","{name}":"#).as_bytes());
            json(out, value);
        }
        if let Some(timings) = timings {
            out.extend_from_slice(br#","timings":"#);
            json(out, timings);
        }
        out.extend_from_slice(b"}\n\n");
    }
}

const ROLE: &str = r#"{"role":"assistant","content":null"#;

impl Dialect for Chat {
    fn progress(&mut self, out: &mut Vec<u8>, progress: &Progress) {
        Self::begin_chunk(out, ROLE);
        self.end_chunk(out, "}", &[("prompt_progress", &json!(progress))], None);
    }

    fn begin(&mut self, out: &mut Vec<u8>, _kind: &Kind, _prompt: Prompt) {
        Self::begin_chunk(out, ROLE);
        self.end_chunk(out, "}", &[], None);
    }

    fn token(&mut self, out: &mut Vec<u8>, kind: &Kind, piece: &str, timings: Option<&Timings>) {
        match kind {
            Kind::Text => {
                Self::begin_chunk(out, r#"{"content":"#);
                json(out, piece);
                self.end_chunk(out, "}", &[], timings);
            }
            Kind::Tool { name, id } => {
                Self::begin_chunk(out, r#"{"tool_calls":[{"index":0,"#);
                if !self.tool_begun {
                    self.tool_begun = true;
                    let name = Value::from(name.as_str());
                    let first = format!(r#""id":"{id}","type":"function","function":{{"name":{name},"arguments":"#);
                    out.extend_from_slice(first.as_bytes());
                } else {
                    out.extend_from_slice(br#""function":{"arguments":"#);
                }
                json(out, piece);
                self.end_chunk(out, "}}]}", &[], timings);
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, outcome: &Outcome) {
        let reason = finish_reason(&outcome.finish);
        let finish = format!(r#"data: {{"choices":[{{"finish_reason":"{reason}","index":0,"delta":{{}}}}]"#);
        out.extend_from_slice(finish.as_bytes());
        if self.include_usage {
            self.close(out, &[], None);
            out.extend_from_slice(br#"data: {"choices":[]"#);
            self.close(out, &[("usage", &usage(outcome))], Some(&outcome.timings));
        } else {
            self.close(out, &[], Some(&outcome.timings));
        }
    }

    fn done(&self) -> &'static [u8] {
        b"data: [DONE]\n\n"
    }

    fn whole(&self, kind: &Kind, text: &str, outcome: &Outcome) -> Vec<u8> {
        let message = match kind {
            Kind::Text => json!({"role": "assistant", "content": text}),
            Kind::Tool { name, id } => json!({"role": "assistant", "content": "", "tool_calls": [
                {"type": "function", "id": id, "function": {"name": name, "arguments": text}}]}),
        };
        let body = json!({
            "choices": [{"finish_reason": finish_reason(&outcome.finish), "index": 0, "message": message}],
            "created": self.created,
            "model": self.model,
            "system_fingerprint": wire::FINGERPRINT,
            "object": "chat.completion",
            "usage": usage(outcome),
            "id": self.id,
            "timings": outcome.timings,
        });
        body.to_string().into_bytes()
    }
}

pub(super) fn usage(outcome: &Outcome) -> Value {
    wire::usage(outcome.prompt.tokens, outcome.prompt.cached_tokens, outcome.tokens)
}

pub(super) fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Word(_) => "stop",
        Finish::Length => "length",
        Finish::Tool => "tool_calls",
    }
}
