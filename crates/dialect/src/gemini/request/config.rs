//! `generationConfig`. What the client left out stays out.

use crate::chat::{ChatRequest, Effort, Reasoning, ResponseFormat};
use crate::json::write::Object;

pub(super) fn write(body: &mut Object<'_>, request: &ChatRequest, model: &str) {
    let it = &request.sampling;
    body.object("generationConfig", |config| {
        config.opt("maxOutputTokens", &request.max_tokens);
        config
            .opt("temperature", &it.temperature)
            .opt("topP", &it.top_p)
            .opt("topK", &it.top_k);
        if !it.stop.is_empty() {
            config.field("stopSequences", &it.stop);
        }
        config.opt("seed", &it.seed);
        config
            .opt("presencePenalty", &it.presence_penalty)
            .opt("frequencyPenalty", &it.frequency_penalty);
        config.opt("responseLogprobs", &request.logprobs);
        config.opt(
            "logprobs",
            &request.top_logprobs.filter(|_| request.logprobs == Some(true)),
        );
        write_format(config, request.response_format.as_ref());
        if let Some(reasoning) = request.reasoning {
            config.object("thinkingConfig", |thinking| write_thinking(thinking, reasoning, model));
        }
    });
}

/// A schema is always kept to, so that `strict` has nothing to add.
fn write_format(config: &mut Object<'_>, format: Option<&ResponseFormat>) {
    match format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => {
            config.field("responseMimeType", "application/json");
        }
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            config
                .field("responseMimeType", "application/json")
                .field("responseJsonSchema", schema);
        }
    }
}

/// Gemini 3 and later have levels and still take a budget; Gemini 2 refuses levels. Whoever asks for thinking is shown it.
fn write_thinking(thinking: &mut Object<'_>, reasoning: Reasoning, model: &str) {
    let levels = has_levels(model);
    if reasoning != Reasoning::Off {
        thinking.field("includeThoughts", &true);
    }
    match reasoning {
        // There it cannot be turned off, only down.
        Reasoning::Off if levels => thinking.field("thinkingLevel", level(Effort::Minimal, model)),
        Reasoning::Off => thinking.field("thinkingBudget", &0),
        Reasoning::Adaptive if levels => thinking,
        Reasoning::Adaptive => thinking.field("thinkingBudget", &-1),
        Reasoning::Effort(effort) if levels => thinking.field("thinkingLevel", level(effort, model)),
        Reasoning::Effort(effort) => thinking.field("thinkingBudget", &effort.budget_tokens()),
        Reasoning::Budget(tokens) => thinking.field("thinkingBudget", &tokens),
    };
}

/// Only the flash models know `MINIMAL`.
fn level(effort: Effort, model: &str) -> &'static str {
    match effort {
        Effort::Minimal if model.contains("flash") => "MINIMAL",
        Effort::Minimal | Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High | Effort::XHigh | Effort::Max => "HIGH",
    }
}

/// `gemini-3-pro`, `models/gemini-3.5-flash`, `gemini-10`; an alias that names no version gets what all of them take.
fn has_levels(model: &str) -> bool {
    let version = model.split_once("gemini-").map_or("", |(_, version)| version);
    let major = version
        .split(|it: char| !it.is_ascii_digit())
        .next()
        .unwrap_or_default();
    major.parse::<u32>().is_ok_and(|major| major >= 3)
}
