//! `usage` objects. Anthropic counts what came from a cache beside `input_tokens` and not in it.

use crate::chat::Usage;
use crate::json::read::Object;
use crate::json::write;

pub(super) fn read(usage: &Object<'_>) -> Usage {
    let mut counts = Counts::default();
    counts.update(usage);
    counts.usage()
}

/// The counts as they are told, piece by piece in a stream; the last non-null value wins.
#[derive(Default)]
pub(crate) struct Counts {
    fresh: Option<u64>,
    cached: Option<u64>,
    cache_creation: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
}

impl Counts {
    pub(crate) fn update(&mut self, usage: &Object<'_>) {
        let details = usage.object("output_tokens_details");
        self.fresh = usage.unsigned("input_tokens").or(self.fresh);
        self.cached = usage.unsigned("cache_read_input_tokens").or(self.cached);
        self.cache_creation = usage.unsigned("cache_creation_input_tokens").or(self.cache_creation);
        self.output = usage.unsigned("output_tokens").or(self.output);
        self.reasoning = details
            .and_then(|details| details.unsigned("thinking_tokens"))
            .or(self.reasoning);
    }

    pub(crate) fn usage(&self) -> Usage {
        let beside = self
            .cached
            .unwrap_or(0)
            .saturating_add(self.cache_creation.unwrap_or(0));
        Usage {
            input: self.fresh.map(|fresh| fresh.saturating_add(beside)),
            output: self.output,
            cached: self.cached,
            cache_creation: self.cache_creation,
            reasoning: self.reasoning,
            cost: None,
        }
    }
}

/// Writes the fields of `usage`. Both counts are required by the dialect: one that nobody told is written as 0.
pub(super) fn write(usage: &Usage, to: &mut write::Object<'_>) {
    let beside = usage
        .cached
        .unwrap_or(0)
        .saturating_add(usage.cache_creation.unwrap_or(0));
    to.field("input_tokens", &usage.input.unwrap_or(0).saturating_sub(beside));
    to.opt("cache_creation_input_tokens", &usage.cache_creation)
        .opt("cache_read_input_tokens", &usage.cached);
    to.field("output_tokens", &usage.output.unwrap_or(0));
    if let Some(reasoning) = usage.reasoning {
        to.object("output_tokens_details", |to| {
            to.field("thinking_tokens", &reasoning).end()
        });
    }
}
