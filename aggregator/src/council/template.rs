//! What a council is made of: its shape, its members, who writes its answer. Checked; [`read`] makes it from a file.
//!
//! ```text
//!  analysis   members answer ─────────────────────────────────────────▶ the synthesizer merges
//!  debate     members speak ─▶ speak again, seeing the others ─▶ … ───▶ the judge decides
//!  review     members answer ─▶ each ranks all, unnamed and shuffled ─▶ the chairman, with the ranking
//!  vote       one question, asked many times ─▶ tally ────────────────▶ the judge, with the tally
//! ```
//!
//! Invariant: a [`Template`] is within [`bounds`]; whoever holds one need not look again.

pub(crate) mod read;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What one council may be. Each bound is on what a stranger's request can make models do.
pub(crate) mod bounds {
    /// More voices than a synthesizer can weigh, or a person read.
    pub(crate) const MEMBERS_MAX: usize = 16;
    pub(crate) const ROUNDS_MAX: u32 = 5;
    /// Synthesizers tried one after the other.
    pub(crate) const FALLBACKS_MAX: usize = 4;
    /// A persona or an instruction: some pages.
    pub(crate) const TEXT_BYTES_MAX: usize = 16 << 10;
    pub(crate) const NAME_CHARS_MAX: usize = 64;
    pub(crate) const TOKENS_MAX: u64 = 131_072;
    pub(crate) const DEADLINE_S_MAX: f64 = 3_600.0;
    pub(crate) const WEIGHT_MIN: f64 = 0.01;
    pub(crate) const WEIGHT_MAX: f64 = 100.0;
}

/// Tokens of one answer of a member, where the template does not say.
pub(crate) const MEMBER_TOKENS: u64 = 1_024;
/// The same of the synthesizer's.
pub(crate) const CHAIR_TOKENS: u64 = 4_096;
/// How long an answer may take: prompts of some pages on a machine without a GPU.
pub(crate) const DEADLINE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template {
    pub(crate) name: Arc<str>,
    pub(crate) description: String,
    pub(crate) shape: Shape,
    pub(crate) rounds: u32,
    pub(crate) context: Context,
    /// How many members must answer in each round; `None`: more than half.
    pub(crate) quorum: Option<usize>,
    /// At least one.
    pub(crate) members: Vec<Member>,
    pub(crate) chair: Chair,
    pub(crate) is_built_in: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Analysis,
    Debate,
    Review,
    Vote(Decide),
}

/// How votes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decide {
    Majority,
    /// Of the answers that are numbers.
    Median,
}

/// What a member is shown of earlier rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    None,
    /// What it said itself.
    Own,
    /// What the others said.
    Opponents,
    All,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: Arc<str>,
    /// May be empty where all that is wanted is another sample.
    pub(crate) persona: String,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) temperature: Option<f64>,
    pub(crate) weight: f64,
    pub(crate) max_tokens: u64,
    pub(crate) deadline: Duration,
}

/// Who writes the answer.
#[derive(Clone, PartialEq)]
pub(crate) struct Chair {
    /// What it is called: synthesizer, judge, chairman.
    pub(crate) name: Arc<str>,
    pub(crate) model: Option<Arc<str>>,
    /// Tried in order where it fails.
    pub(crate) fallbacks: Vec<Arc<str>>,
    pub(crate) instructions: String,
    pub(crate) temperature: Option<f64>,
    pub(crate) max_tokens: u64,
    pub(crate) deadline: Duration,
}

impl Template {
    /// By which it is asked for as a model.
    pub(crate) fn model_name(&self) -> Arc<str> {
        format!("{}{}", super::PREFIX, self.name).into()
    }

    pub(crate) fn quorum_of(&self, members: usize) -> usize {
        self.quorum.unwrap_or(members / 2 + 1).clamp(1, members.max(1))
    }
}

impl Shape {
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("analysis", Self::Analysis),
        ("debate", Self::Debate),
        ("review", Self::Review),
        ("vote", Self::Vote(Decide::Majority)),
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Analysis => "analysis",
            Self::Debate => "debate",
            Self::Review => "review",
            Self::Vote(_) => "vote",
        }
    }

    pub(super) fn chair_name(self) -> &'static str {
        match self {
            Self::Analysis => "synthesizer",
            Self::Debate | Self::Vote(_) => "judge",
            Self::Review => "chairman",
        }
    }

    /// Whether members speak more than once.
    pub(crate) fn has_rounds(self) -> bool {
        matches!(self, Self::Analysis | Self::Debate)
    }
}

impl Context {
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("none", Self::None),
        ("own", Self::Own),
        ("opponents", Self::Opponents),
        ("all", Self::All),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, it)| *it == self)
            .map_or("all", |(name, _)| name)
    }
}

impl Member {
    pub(crate) fn named(name: Arc<str>, persona: String) -> Self {
        Self {
            name,
            persona,
            model: None,
            temperature: None,
            weight: 1.0,
            max_tokens: MEMBER_TOKENS,
            deadline: DEADLINE,
        }
    }
}

impl Chair {
    pub(crate) fn of(shape: Shape) -> Self {
        Self {
            name: shape.chair_name().into(),
            model: None,
            fallbacks: Vec::new(),
            instructions: String::new(),
            temperature: None,
            max_tokens: CHAIR_TOKENS,
            deadline: DEADLINE,
        }
    }
}

/// A template's or member's name: it stands in model names, in lists and in prompts.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= bounds::NAME_CHARS_MAX
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Personas are prompts, and prompts are nobody's to print.
impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("name", &self.name)
            .field("persona_bytes", &self.persona.len())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Chair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chair")
            .field("name", &self.name)
            .field("model", &self.model)
            .field("fallbacks", &self.fallbacks)
            .finish_non_exhaustive()
    }
}
