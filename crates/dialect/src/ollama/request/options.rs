//! `options`: how tokens are drawn, and how the model is loaded.

use crate::chat::ChatRequest;
use crate::json::read::{Kind, Object};

/// How a model is loaded and its cache kept, not what it answers. A backend that has its model loaded is not told: this
/// is what Ollama itself does with options that a model's runner does not have, and clients send some of them always.
const LOADING: [&str; 17] = [
    "draft_num_predict",
    "embedding_only",
    "f16_kv",
    "logits_all",
    "low_vram",
    "main_gpu",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_gqa",
    "num_keep",
    "num_thread",
    "numa",
    "rope_frequency_base",
    "use_mlock",
    "use_mmap",
    "vocab_only",
];

pub(super) fn read(options: &Object<'_>, request: &mut ChatRequest) {
    let sampling = &mut request.sampling;
    sampling.temperature = options.number("temperature");
    sampling.top_p = options.number("top_p");
    sampling.min_p = options.number("min_p");
    sampling.presence_penalty = options.number("presence_penalty");
    sampling.frequency_penalty = options.number("frequency_penalty");
    sampling.repeat_penalty = options.number("repeat_penalty");
    // Below zero means "all of them" here and nothing elsewhere; zero says the same everywhere.
    sampling.top_k = whole(options, "top_k").map(|top_k| u64::try_from(top_k).unwrap_or(0));
    // -1 is "draw one", which is what leaving it out says.
    sampling.seed = whole(options, "seed").filter(|&seed| seed >= 0);
    sampling.stop = stop(options);
    // Zero and below are "without end".
    request.max_tokens = whole(options, "num_predict")
        .and_then(|tokens| u64::try_from(tokens).ok())
        .filter(|&it| it > 0);
    ignore_loading(options);
    request.extra.extend(options.rest());
}

/// Marks what only says how a model is loaded.
pub(in crate::ollama) fn ignore_loading(options: &Object<'_>) {
    options.ignore(&LOADING);
}

/// JavaScript's clients send whole numbers as 40.0 at times, and Ollama takes them.
fn whole(options: &Object<'_>, name: &str) -> Option<i64> {
    let node = options.node(name)?;
    match node.json().value().as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(number as i64),
        _ => node.integer(),
    }
}

fn stop(options: &Object<'_>) -> Vec<String> {
    let Some(node) = options.node("stop") else {
        return Vec::new();
    };
    if node.kind() == Kind::String {
        return node.string().into_iter().collect();
    }
    node.array()
        .unwrap_or_default()
        .iter()
        .filter_map(|item| item.string())
        .collect()
}
