//! `/v1/messages`: Anthropic's shape. Every event has an `event:` line, and there is no `[DONE]`.

use serde_json::{Value, json};

use super::{Dialect, Outcome, Progress, Prompt, json};
use crate::answer::{Finish, Kind};
use crate::wire::Timings;

pub(crate) struct Messages {
    pub id: String,
    pub model: String,
}

impl Dialect for Messages {
    /// Anthropic's protocol has no event for it; the real server sends none either.
    fn progress(&mut self, _out: &mut Vec<u8>, _progress: &Progress) {}

    fn begin(&mut self, out: &mut Vec<u8>, kind: &Kind, prompt: Prompt) {
        let message = json!({
            "id": self.id, "type": "message", "role": "assistant", "content": [], "model": self.model,
            "stop_reason": null, "stop_sequence": null, "usage": usage(prompt, 0),
        });
        event(
            out,
            "message_start",
            &json!({"type": "message_start", "message": message}),
        );
        let block = match kind {
            Kind::Text => json!({"type": "text", "text": ""}),
            Kind::Tool { name, id } => json!({"type": "tool_use", "id": id, "name": name}),
        };
        let start = json!({"type": "content_block_start", "index": 0, "content_block": block});
        event(out, "content_block_start", &start);
    }

    fn token(&mut self, out: &mut Vec<u8>, kind: &Kind, piece: &str, _timings: Option<&Timings>) {
        let delta = match kind {
            Kind::Text => json!({"type": "text_delta", "text": piece}),
            Kind::Tool { .. } => json!({"type": "input_json_delta", "partial_json": piece}),
        };
        event(
            out,
            "content_block_delta",
            &json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        );
    }

    fn end(&mut self, out: &mut Vec<u8>, outcome: &Outcome) {
        event(
            out,
            "content_block_stop",
            &json!({"type": "content_block_stop", "index": 0}),
        );
        let (stop_reason, stop_sequence) = stop(&outcome.finish);
        let delta = json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason, "stop_sequence": stop_sequence},
            "usage": {"output_tokens": outcome.tokens},
        });
        event(out, "message_delta", &delta);
        event(out, "message_stop", &json!({"type": "message_stop"}));
    }

    fn whole(&self, kind: &Kind, text: &str, outcome: &Outcome) -> Vec<u8> {
        let block = match kind {
            Kind::Text => json!({"type": "text", "text": text}),
            Kind::Tool { name, id } => {
                // Cut by max_tokens the arguments are no JSON; the real server then gives none.
                let input = serde_json::from_str(text).unwrap_or_else(|_| json!({}));
                json!({"type": "tool_use", "id": id, "name": name, "input": input})
            }
        };
        let (stop_reason, stop_sequence) = stop(&outcome.finish);
        let body = json!({
            "id": self.id, "type": "message", "role": "assistant", "content": [block], "model": self.model,
            "stop_reason": stop_reason, "stop_sequence": stop_sequence, "usage": usage(outcome.prompt, outcome.tokens),
        });
        body.to_string().into_bytes()
    }
}

/// Anthropic counts the cached part of the prompt apart from the rest.
fn usage(prompt: Prompt, output_tokens: usize) -> Value {
    json!({
        "cache_read_input_tokens": prompt.cached_tokens,
        "input_tokens": prompt.tokens - prompt.cached_tokens,
        "output_tokens": output_tokens,
    })
}

fn stop(finish: &Finish) -> (&'static str, Value) {
    match finish {
        Finish::Stop => ("end_turn", Value::Null),
        Finish::Length => ("max_tokens", Value::Null),
        Finish::Word(word) => ("stop_sequence", word.as_str().into()),
        Finish::Tool => ("tool_use", Value::Null),
    }
}

fn event(out: &mut Vec<u8>, name: &str, body: &Value) {
    out.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    json(out, body);
    out.extend_from_slice(b"\n\n");
}
