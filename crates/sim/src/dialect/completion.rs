//! `/v1/completions` in OpenAI's shape, and `/completion` in llama.cpp's own.

use serde_json::{Value, json};

use super::chat::{finish_reason, usage};
use super::{Dialect, Outcome, Progress, Prompt, json};
use crate::answer::{Finish, Kind};
use crate::text;
use crate::wire::{self, Timings};

pub(crate) struct OpenAi {
    pub id: String,
    pub created: u64,
    pub model: String,
}

impl OpenAi {
    fn body(&self, text: &str, finish_reason: Value) -> Value {
        json!({
            "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": finish_reason}],
            "created": self.created,
            "model": self.model,
            "system_fingerprint": wire::FINGERPRINT,
            "object": "text_completion",
            "id": self.id,
        })
    }
}

impl Dialect for OpenAi {
    fn progress(&mut self, out: &mut Vec<u8>, progress: &Progress) {
        let mut body = self.body("", Value::Null);
        body["prompt_progress"] = json!(progress);
        event(out, &body);
    }

    fn begin(&mut self, _out: &mut Vec<u8>, _kind: &Kind, _prompt: Prompt) {}

    fn token(&mut self, out: &mut Vec<u8>, _kind: &Kind, piece: &str, timings: Option<&Timings>) {
        let mut body = self.body(piece, Value::Null);
        if let Some(timings) = timings {
            body["timings"] = json!(timings);
        }
        event(out, &body);
    }

    fn end(&mut self, out: &mut Vec<u8>, outcome: &Outcome) {
        let mut body = self.body("", finish_reason(&outcome.finish).into());
        // Always here, whatever `stream_options` says.
        body["usage"] = usage(outcome);
        body["timings"] = json!(outcome.timings);
        event(out, &body);
    }

    fn done(&self) -> &'static [u8] {
        b"data: [DONE]\n\n"
    }

    fn whole(&self, _kind: &Kind, text: &str, outcome: &Outcome) -> Vec<u8> {
        let mut body = self.body(text, finish_reason(&outcome.finish).into());
        body["usage"] = usage(outcome);
        body["timings"] = json!(outcome.timings);
        body.to_string().into_bytes()
    }
}

pub(crate) struct Native {
    pub model: String,
    pub prompt: String,
    pub prompt_tokens: usize,
    pub tokens_max: i64,
    pub stream: bool,
    pub made: usize,
}

impl Native {
    /// The parameters, with some more than `/slots` and `/props` show.
    fn generation_settings(&self) -> Value {
        let mut settings = wire::params(self.tokens_max, self.stream);
        for list in [
            "dry_sequence_breakers",
            "stop",
            "logit_bias",
            "grammar_triggers",
            "preserved_tokens",
        ] {
            settings[list] = json!([]);
        }
        settings["grammar"] = json!("");
        settings["grammar_lazy"] = json!(false);
        settings
    }

    fn last(&self, text: &str, outcome: &Outcome) -> Value {
        let (stop_type, stopping_word) = match &outcome.finish {
            Finish::Length => ("limit", ""),
            Finish::Word(word) => ("word", word.as_str()),
            Finish::Stop | Finish::Tool => ("eos", ""),
        };
        json!({
            "index": 0, "content": text, "tokens": [], "id_slot": outcome.slot, "stop": true, "model": self.model,
            "tokens_predicted": outcome.tokens, "tokens_evaluated": outcome.prompt.tokens,
            "generation_settings": self.generation_settings(), "prompt": self.prompt,
            "has_new_line": text.contains('\n'), "truncated": false, "stop_type": stop_type,
            "stopping_word": stopping_word,
            "tokens_cached": (outcome.prompt.tokens + outcome.tokens).saturating_sub(1),
            "timings": outcome.timings,
        })
    }
}

impl Dialect for Native {
    fn progress(&mut self, out: &mut Vec<u8>, progress: &Progress) {
        event(
            out,
            &json!({"index": 0, "content": "", "tokens": [0], "stop": false, "id_slot": -1, "tokens_predicted": 0,
                "tokens_evaluated": self.prompt_tokens, "prompt_progress": progress}),
        );
    }

    fn begin(&mut self, _out: &mut Vec<u8>, _kind: &Kind, _prompt: Prompt) {}

    fn token(&mut self, out: &mut Vec<u8>, _kind: &Kind, piece: &str, timings: Option<&Timings>) {
        self.made += 1;
        let mut body = json!({"index": 0, "content": piece, "tokens": [text::token(piece)], "stop": false,
            "id_slot": -1, "tokens_predicted": self.made, "tokens_evaluated": self.prompt_tokens});
        if let Some(timings) = timings {
            body["timings"] = json!(timings);
        }
        event(out, &body);
    }

    fn end(&mut self, out: &mut Vec<u8>, outcome: &Outcome) {
        event(out, &self.last("", outcome));
    }

    fn whole(&self, _kind: &Kind, text: &str, outcome: &Outcome) -> Vec<u8> {
        self.last(text, outcome).to_string().into_bytes()
    }
}

fn event(out: &mut Vec<u8>, body: &Value) {
    out.extend_from_slice(b"data: ");
    json(out, body);
    out.extend_from_slice(b"\n\n");
}
