//! `usage` objects, and llama.cpp's `timings`, which count tokens too.

use std::time::Duration;

use crate::chat::{Cost, Timings, Usage};
use crate::json::read::Object;
use crate::json::write;
use crate::sse;

/// Reads chat completions' names and the Responses API's.
pub(crate) fn read(usage: &Object<'_>) -> Usage {
    let details = |names: [&str; 2], field: &str| {
        names
            .iter()
            .find_map(|name| usage.object(name))
            .and_then(|details| details.unsigned(field))
    };
    Usage {
        input: usage
            .unsigned("prompt_tokens")
            .or_else(|| usage.unsigned("input_tokens")),
        output: usage
            .unsigned("completion_tokens")
            .or_else(|| usage.unsigned("output_tokens")),
        cached: details(["prompt_tokens_details", "input_tokens_details"], "cached_tokens"),
        cache_creation: details(["prompt_tokens_details", "input_tokens_details"], "cache_write_tokens"),
        reasoning: details(
            ["completion_tokens_details", "output_tokens_details"],
            "reasoning_tokens",
        ),
        // OpenRouter's, in dollars.
        cost: usage.number("cost").and_then(Cost::of),
    }
}

/// llama.cpp's `timings`: what it counted itself, and how long it took.
pub(crate) fn read_timings(timings: &Object<'_>) -> (Usage, Timings) {
    let cached = timings.unsigned("cache_n");
    let usage = Usage {
        // `prompt_n` is what was processed, without what came from the cache.
        input: timings
            .unsigned("prompt_n")
            .map(|processed| processed.saturating_add(cached.unwrap_or(0))),
        output: timings.unsigned("predicted_n"),
        cached,
        ..Usage::default()
    };
    let duration = |name| {
        let millis: f64 = timings.number(name)?;
        Duration::try_from_secs_f64(millis / 1_000.0).ok()
    };
    (
        usage,
        Timings {
            prompt: duration("prompt_ms"),
            output: duration("predicted_ms"),
            ..Timings::default()
        },
    )
}

/// Writes the fields of `usage`. Only to be called where both counts are known: see [`complete`].
pub(super) fn write(usage: &Usage, to: &mut write::Object<'_>) {
    to.opt("prompt_tokens", &usage.input);
    to.opt("completion_tokens", &usage.output);
    to.opt("total_tokens", &usage.total());
    if usage.cached.is_some() || usage.cache_creation.is_some() {
        to.object("prompt_tokens_details", |details| {
            details
                .opt("cached_tokens", &usage.cached)
                .opt("cache_write_tokens", &usage.cache_creation);
        });
    }
    if let Some(reasoning) = usage.reasoning {
        to.object("completion_tokens_details", |details| {
            details.field("reasoning_tokens", &reasoning);
        });
    }
    to.opt("cost", &usage.cost.map(Cost::amount));
}

/// Appends the chunk of a stream that tells the usage and nothing else, where there is something to tell.
pub(super) fn write_chunk(usage: &Usage, head: impl FnOnce(&mut write::Object<'_>), out: &mut Vec<u8>) {
    if complete(usage) {
        let data = write::object(|to| {
            head(to);
            to.array("choices", |_| {}).object("usage", |to| write(usage, to));
        });
        sse::write(out, "", &data);
    }
}

/// The dialect's `usage` has no room for "not told": half a usage is left out rather than filled up with zeroes.
pub(super) fn complete(usage: &Usage) -> bool {
    usage.total().is_some()
}
