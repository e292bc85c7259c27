//! What a server tells about itself: `/v1/models`, `/props`, `/slots`, `/metrics`.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{Reply, prompt};
use crate::http::Request;
use crate::scheduler::SlotView;
use crate::state::State;
use crate::wire::{self, ApiError};

fn reply(value: &Value) -> Reply {
    Reply::Json(value.to_string().into_bytes())
}

pub(super) fn models(state: &State) -> Reply {
    let settings = &state.settings;
    let id = &settings.model;
    // The real server lists the id among its own aliases.
    let mut aliases = vec![id.clone()];
    aliases.extend(settings.aliases.iter().cloned());
    let n_embd = settings.embedding_dimensions.unwrap_or(64);
    reply(&json!({
        "models": [{
            "name": id, "model": id, "modified_at": "", "size": "", "digest": "", "type": "model", "description": "",
            "tags": [""], "capabilities": ["completion"], "parameters": "",
            "details": {"parent_model": "", "format": "gguf", "family": "", "families": [""], "parameter_size": "",
                "quantization_level": ""},
        }],
        "object": "list",
        "data": [{
            "id": id, "aliases": aliases, "tags": [], "object": "model",
            "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
            "created": state.now(), "owned_by": "llamacpp",
            "meta": {"vocab_type": 2, "n_vocab": 1056, "n_ctx": settings.context_tokens,
                "n_ctx_train": settings.context_tokens, "n_embd": n_embd, "n_params": 233_792, "size": 935_168,
                "ftype": "simulated"},
        }],
    }))
}

pub(super) fn props(state: &State) -> Reply {
    let settings = &state.settings;
    reply(&json!({
        "default_generation_settings": {"params": wire::params(-1, false), "n_ctx": settings.context_tokens},
        "total_slots": settings.slots, "model_alias": settings.model, "model_ftype": "simulated",
        "model_path": "simulated.gguf", "modalities": {"vision": false, "video": false, "audio": false},
        "media_marker": "<__media__>", "endpoint_slots": true, "endpoint_props": true, "endpoint_metrics": true,
        "ui": false, "ui_settings": {}, "chat_template": prompt::TEMPLATE,
        "chat_template_caps": {"supports_object_arguments": true, "supports_parallel_tool_calls": false,
            "supports_preserve_reasoning": false, "supports_reasoning_effort": false,
            "supports_string_content": true, "supports_system_role": true, "supports_tool_calls": true,
            "supports_tools": true, "supports_typed_content": false},
        "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "build_info": wire::FINGERPRINT,
        "is_sleeping": false, "cors_proxy_enabled": false,
    }))
}

pub(super) fn slots(state: &State, request: &Request) -> Result<Reply, ApiError> {
    let views = state.scheduler.view();
    if request.query_has("fail_on_no_slot=1") && views.iter().all(|view| view.busy) {
        return Err(ApiError::new(503, "no slot available"));
    }
    let slots = views
        .iter()
        .enumerate()
        .map(|(id, view)| slot(id, view, state.settings.context_tokens));
    Ok(reply(&slots.collect::<Vec<_>>().into()))
}

/// A slot that has never been used lacks the task's fields, as in the real server.
fn slot(id: usize, view: &SlotView, context_tokens: usize) -> Value {
    let mut slot = json!({"id": id, "n_ctx": context_tokens, "speculative": false, "is_processing": view.busy});
    let Some(task) = &view.task else { return slot };
    let decoded = task.decoded.load(Ordering::Relaxed);
    let (processed, cached, n_decoded) = match view.busy {
        true => (task.processed.load(Ordering::Relaxed), task.cached_tokens, decoded),
        false => (0, 0, 0),
    };
    let remaining = if view.busy {
        task.tokens_max as i64 - decoded as i64
    } else {
        -1
    };
    slot["id_task"] = json!(task.id);
    slot["n_prompt_tokens"] = json!(task.prompt_tokens as u64 + decoded);
    slot["n_prompt_tokens_processed"] = json!(processed);
    slot["n_prompt_tokens_cache"] = json!(cached);
    slot["params"] = wire::params(task.tokens_max as i64, task.stream);
    slot["next_token"] = json!([{"has_next_token": view.busy, "has_new_line": false, "n_remain": remaining,
        "n_decoded": n_decoded}]);
    slot
}

pub(super) fn metrics(state: &State) -> Reply {
    let stats = state.observed.stats();
    let seconds = |micros: u64| micros as f64 / 1e6;
    let (prefill_s, decode_s) = (seconds(stats.prefill_micros), seconds(stats.decode_micros));
    let rate = |tokens: u64, seconds: f64| if seconds > 0.0 { tokens as f64 / seconds } else { 0.0 };
    let rows: [(&str, &str, &str, f64); 10] = [
        (
            "prompt_tokens_total",
            "counter",
            "Prompt tokens evaluated",
            stats.prompt_tokens_evaluated as f64,
        ),
        (
            "prompt_tokens_cached_total",
            "counter",
            "Prompt tokens from the cache",
            stats.prompt_tokens_cached as f64,
        ),
        (
            "prompt_seconds_total",
            "counter",
            "Seconds of prompt evaluation",
            prefill_s,
        ),
        (
            "tokens_predicted_total",
            "counter",
            "Tokens generated",
            stats.tokens_generated as f64,
        ),
        (
            "tokens_predicted_seconds_total",
            "counter",
            "Seconds of generation",
            decode_s,
        ),
        (
            "n_decode_total",
            "counter",
            "Decoding steps",
            stats.tokens_generated as f64,
        ),
        (
            "prompt_tokens_seconds",
            "gauge",
            "Prompt tokens a second",
            rate(stats.prompt_tokens_evaluated, prefill_s),
        ),
        (
            "predicted_tokens_seconds",
            "gauge",
            "Tokens generated a second",
            rate(stats.tokens_generated, decode_s),
        ),
        (
            "requests_processing",
            "gauge",
            "Requests in a slot",
            stats.slots_busy as f64,
        ),
        (
            "requests_deferred",
            "gauge",
            "Requests that wait for a slot",
            stats.requests_waiting as f64,
        ),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in rows {
        let name = format!("llamacpp:{name}");
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    Reply::Metrics(text)
}
