//! What a backend answers, whole.

use std::time::Duration;

use super::message::Part;

/// One answer. `Debug` shows no text, as [`Part`] does not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChatResponse {
    pub id: String,
    pub model: String,
    /// Seconds since 1970.
    pub created: u64,
    /// Thinking, text and tool calls, in the order they were written.
    pub parts: Vec<Part>,
    pub finish: Finish,
    /// The stop sequence that was met, where the backend says which.
    pub stop_sequence: Option<String>,
    pub usage: Usage,
    pub timings: Timings,
    pub logprobs: Vec<TokenLogprob>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Finish {
    #[default]
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
    /// The backend says that it failed after all.
    Error,
}

impl Finish {
    /// Some servers say that the model just stopped, where it stopped to call.
    pub(crate) fn with_calls(self, has_calls: bool) -> Self {
        match self {
            Self::Stop if has_calls => Self::ToolCalls,
            finish => finish,
        }
    }
}

/// Tokens. `None` is "not told", which is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// The whole prompt, cached parts included.
    pub input: Option<u64>,
    /// The whole answer, thinking included.
    pub output: Option<u64>,
    /// Of the prompt: read from a cache.
    pub cached: Option<u64>,
    /// Of the prompt: written to a cache.
    pub cache_creation: Option<u64>,
    /// Of the answer: thinking.
    pub reasoning: Option<u64>,
    /// What the backend says that it costs.
    pub cost: Option<Cost>,
}

/// An amount of money, in billionths of whatever it is paid in: sums of it stay exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    pub billionths: u64,
}

impl Cost {
    /// `None` where it is no amount: negative, or beyond all money.
    pub fn of(amount: f64) -> Option<Self> {
        let billionths = (amount * 1e9).round();
        // Below 2^53 a float's whole numbers are exact.
        ((0.0..=9e15).contains(&billionths)).then_some(Self {
            billionths: billionths as u64,
        })
    }

    pub fn amount(self) -> f64 {
        self.billionths as f64 / 1e9
    }

    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            billionths: self.billionths.saturating_add(more.billionths),
        }
    }
}

impl Usage {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes over what `later` tells; what it does not tell stays. The last non-null value wins.
    pub fn update(&mut self, later: &Self) {
        self.input = later.input.or(self.input);
        self.output = later.output.or(self.output);
        self.cached = later.cached.or(self.cached);
        self.cache_creation = later.cache_creation.or(self.cache_creation);
        self.reasoning = later.reasoning.or(self.reasoning);
        self.cost = later.cost.or(self.cost);
    }

    /// Input and output, where both are told.
    pub fn total(&self) -> Option<u64> {
        Some(self.input?.saturating_add(self.output?))
    }
}

/// How long the backend says it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    pub total: Option<Duration>,
    pub load: Option<Duration>,
    pub prompt: Option<Duration>,
    pub output: Option<Duration>,
}

impl Timings {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct TokenLogprob {
    pub token: String,
    pub logprob: f64,
    pub bytes: Option<Vec<u8>>,
    pub top: Vec<TopLogprob>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopLogprob {
    pub token: String,
    pub logprob: f64,
    pub bytes: Option<Vec<u8>>,
}
