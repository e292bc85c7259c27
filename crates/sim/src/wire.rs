//! The JSON shapes that several endpoints share: errors, timings, usage, the parameters of a generation.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

/// What the real server puts there is its commit; nobody should take a simulator for one.
pub(crate) const FINGERPRINT: &str = "b0-simulated";

/// An error answer.
#[derive(Debug, PartialEq)]
pub(crate) struct ApiError {
    pub status: u16,
    kind: &'static str,
    message: String,
    /// Further fields beside the message.
    extra: Vec<(&'static str, Value)>,
}

impl ApiError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: kind(status),
            message: message.into(),
            extra: Vec::new(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    pub(crate) fn loading() -> Self {
        Self::new(503, "Loading model")
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "File Not Found")
    }

    pub(crate) fn invalid_key() -> Self {
        Self::new(401, "Invalid API Key")
    }

    pub(crate) fn context_exceeded(prompt_tokens: usize, context_tokens: usize) -> Self {
        Self {
            status: 400,
            kind: "exceed_context_size_error",
            message: format!(
                "request ({prompt_tokens} tokens) exceeds the available context size ({context_tokens} tokens), try increasing it"
            ),
            extra: vec![
                ("n_prompt_tokens", json!(prompt_tokens)),
                ("n_ctx", json!(context_tokens)),
            ],
        }
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let mut error = json!({"code": self.status, "message": self.message, "type": self.kind});
        for (name, value) in &self.extra {
            error[*name] = value.clone();
        }
        json!({ "error": error }).to_string().into_bytes()
    }
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        501 => "not_supported_error",
        503 => "unavailable_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// How long what took, as llama.cpp reports it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Timings {
    pub cache_n: usize,
    pub prompt_n: usize,
    pub prompt_ms: f64,
    prompt_per_token_ms: f64,
    prompt_per_second: f64,
    pub predicted_n: usize,
    pub predicted_ms: f64,
    predicted_per_token_ms: f64,
    predicted_per_second: f64,
}

impl Timings {
    pub(crate) fn new(
        cache_n: usize,
        prompt_n: usize,
        prompt: Duration,
        predicted_n: usize,
        predicted: Duration,
    ) -> Self {
        let (prompt_ms, predicted_ms) = (millis(prompt), millis(predicted));
        // The first token comes out of the prefill, so the rate of decoding is over one less.
        let decoded = predicted_n.saturating_sub(1);
        Self {
            cache_n,
            prompt_n,
            prompt_ms,
            prompt_per_token_ms: per(prompt_ms, prompt_n),
            prompt_per_second: per_second(prompt_n, prompt_ms),
            predicted_n,
            predicted_ms,
            predicted_per_token_ms: per(predicted_ms, decoded),
            predicted_per_second: per_second(decoded, predicted_ms),
        }
    }
}

/// Never zero, as in the real server, so that nobody's division by it fails.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).max(0.001)
}

fn per(ms: f64, tokens: usize) -> f64 {
    if tokens == 0 { 0.0 } else { ms / tokens as f64 }
}

fn per_second(tokens: usize, ms: f64) -> f64 {
    tokens as f64 * 1e3 / ms
}

/// OpenAI's usage, with the part of the prompt that was in the cache.
pub(crate) fn usage(prompt_tokens: usize, cached_tokens: usize, completion_tokens: usize) -> Value {
    json!({
        "completion_tokens": completion_tokens,
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    })
}

/// A generation's parameters as `/slots`, `/props` and `/completion` show them. Only these two vary here.
pub(crate) fn params(tokens_max: i64, stream: bool) -> Value {
    let mut params: Value = serde_json::from_str(PARAMS).expect("a constant");
    params["n_predict"] = json!(tokens_max);
    params["max_tokens"] = json!(tokens_max);
    params["stream"] = json!(stream);
    params
}

const PARAMS: &str = r#"{
    "seed": 4294967295, "temperature": 0.8, "dynatemp_range": 0.0, "dynatemp_exponent": 1.0, "top_k": 40,
    "top_p": 0.95, "min_p": 0.05, "top_n_sigma": -1.0, "xtc_probability": 0.0, "xtc_threshold": 0.1,
    "typical_p": 1.0, "repeat_last_n": 64, "repeat_penalty": 1.0, "presence_penalty": 0.0,
    "frequency_penalty": 0.0, "dry_multiplier": 0.0, "dry_base": 1.75, "dry_allowed_length": 2,
    "dry_penalty_last_n": 64, "mirostat": 0, "mirostat_tau": 5.0, "mirostat_eta": 0.1, "adaptive_target": -1.0,
    "adaptive_decay": 0.9, "n_keep": 0, "n_discard": 0, "ignore_eos": false, "n_probs": 0, "min_keep": 0,
    "chat_format": "Content-only", "reasoning_format": "none", "reasoning_in_content": false,
    "generation_prompt": "", "samplers": ["top_k", "top_p", "min_p", "temperature"], "speculative.types": "none",
    "timings_per_token": false, "post_sampling_probs": false, "backend_sampling": false, "lora": []
}"#;
