//! What was said in a council, by whom, and what is missing. It grows while the council sits; nothing is taken back.
//!
//! Everything that a prompt or an answer is made of later is in here or in the [`Sitting`]: with both, a council can be
//! replayed. Invariant: who did not answer is in `missing`, and in no other list.

pub(super) mod record;

use std::fmt;
use std::sync::Arc;

use dialect::chat::Usage;

use super::prompt::letter;
use super::ranking::Standing;
use super::sitting::Sitting;
use super::vote::Tally;

/// One answer of a member, whole.
#[derive(Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) round: u32,
    pub(crate) member: Arc<str>,
    pub(crate) text: String,
    /// It ended at its bound of tokens.
    pub(crate) is_cut: bool,
    pub(crate) model: Arc<str>,
    pub(crate) backend: Option<Arc<str>>,
    pub(crate) usage: Usage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Answer,
    Review,
    Synthesis,
}

/// An answer that is not there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Missing {
    pub(crate) stage: Stage,
    pub(crate) round: u32,
    /// The member; of a synthesis, the model.
    pub(crate) who: Arc<str>,
    /// A sentence's end: "did not answer within 60 s".
    pub(crate) reason: String,
}

/// One reviewer's ranking.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranked {
    pub(crate) by: Arc<str>,
    pub(crate) weight: f64,
    /// Into [`Transcript::lettered`], the best first.
    pub(crate) order: Vec<usize>,
}

/// Who wrote the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Synthesis {
        model: Arc<str>,
    },
    /// No synthesizer could: the best answer of one member stands alone.
    BestSingle {
        member: Arc<str>,
    },
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Transcript {
    pub(crate) said: Vec<Said>,
    pub(crate) missing: Vec<Missing>,
    /// Into `said`, in the order in which reviewers saw them.
    pub(crate) lettered: Vec<usize>,
    pub(crate) rankings: Vec<Ranked>,
    /// Into `said`, the best first; empty where nobody ranked.
    pub(crate) standings: Vec<Standing>,
    pub(crate) tally: Option<Tally>,
    /// What every call told, added up.
    pub(crate) usage: Usage,
    /// Calls that did not tell, or broke off.
    pub(crate) uncounted: usize,
    pub(crate) verdict: Option<Verdict>,
    /// The answer ended at its bound of tokens.
    pub(crate) is_cut: bool,
}

impl Transcript {
    pub(crate) fn lettered(&self) -> impl Iterator<Item = &Said> {
        self.lettered.iter().filter_map(|index| self.said.get(*index))
    }

    /// Members that answered in this round.
    pub(crate) fn answered_in(&self, round: u32) -> usize {
        self.said.iter().filter(|said| said.round == round).count()
    }

    pub(crate) fn lacks(&mut self, stage: Stage, round: u32, who: &Arc<str>, reason: String) {
        let who = Arc::clone(who);
        self.missing.push(Missing {
            stage,
            round,
            who,
            reason,
        });
    }

    /// Adds what a call used.
    pub(crate) fn spend(&mut self, usage: Option<&Usage>) {
        let Some(usage) = usage.filter(|usage| !usage.is_empty()) else {
            self.uncounted += 1;
            return;
        };
        let add = |sum: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0).saturating_add(more));
            }
        };
        add(&mut self.usage.input, usage.input);
        add(&mut self.usage.output, usage.output);
        add(&mut self.usage.cached, usage.cached);
        add(&mut self.usage.cache_creation, usage.cache_creation);
        add(&mut self.usage.reasoning, usage.reasoning);
        if let Some(more) = usage.cost {
            self.usage.cost = Some(self.usage.cost.unwrap_or_default().and(more));
        }
    }

    /// What the synthesizer is told of numbers: who is missing, how answers rank, what votes say. Nothing of it was
    /// written by a model.
    pub(crate) fn counted(&self, sitting: &Sitting) -> Vec<String> {
        let mut lines = Vec::new();
        for round in 1..=sitting.rounds {
            let absent: Vec<&str> = self.absent(Stage::Answer, round).collect();
            if !absent.is_empty() {
                let of_round = if sitting.rounds > 1 {
                    format!(" in round {round}")
                } else {
                    String::new()
                };
                lines.push(format!("No answer came{of_round} from: {}.", absent.join(", ")));
            }
        }
        if !self.standings.is_empty() {
            let ranked = self.rankings.len();
            let place = |standing: &Standing| {
                let index = self
                    .lettered
                    .iter()
                    .position(|index| *index == standing.said)
                    .unwrap_or(0);
                format!("{} (mean position {:.2})", letter(index), standing.mean_position)
            };
            let places: Vec<String> = self.standings.iter().map(place).collect();
            lines.push(format!(
                "Ranking by {ranked} reviewers, the best first: {}.",
                places.join(", ")
            ));
        }
        if let Some(tally) = &self.tally {
            lines.push(tally.told());
        }
        lines
    }

    fn absent(&self, stage: Stage, round: u32) -> impl Iterator<Item = &str> {
        let is_of = move |missing: &&Missing| missing.stage == stage && missing.round == round;
        self.missing.iter().filter(is_of).map(|missing| &*missing.who)
    }

    /// The one answer that stands best alone: by rank, by votes, by weight; the last round's, the first of equals.
    pub(crate) fn best(&self, sitting: &Sitting) -> Option<&Said> {
        if let Some(standing) = self.standings.first() {
            return self.said.get(standing.said);
        }
        let last = self.said.iter().map(|said| said.round).max()?;
        let candidates = || self.said.iter().filter(|said| said.round == last);
        if let Some(winners) = self.tally.as_ref().and_then(Tally::winners)
            && let Some(said) = candidates().find(|said| winners.contains(&said.member))
        {
            return Some(said);
        }
        let weight = |said: &Said| sitting.weight_of(&said.member);
        candidates().reduce(|best, said| if weight(said) > weight(best) { said } else { best })
    }

    /// What the person who asked is told beneath the answer: all that is missing; nothing where all is well.
    pub(crate) fn footnote(&self, sitting: &Sitting) -> Option<String> {
        let mut lines: Vec<String> = Vec::new();
        for round in 1..=sitting.rounds {
            let absent = self
                .missing
                .iter()
                .filter(|it| it.stage == Stage::Answer && it.round == round);
            let absent: Vec<String> = absent.map(|it| format!("{} {}", it.who, it.reason)).collect();
            if absent.is_empty() {
                continue;
            }
            let of_round = if sitting.rounds > 1 {
                format!(" in round {round}")
            } else {
                String::new()
            };
            let (some, all) = (self.answered_in(round), sitting.seats.len());
            lines.push(format!(
                "{some} of {all} members answered{of_round}; missing: {}.",
                absent.join("; ")
            ));
        }
        let review = self.missing.iter().filter(|it| it.stage == Stage::Review);
        let review: Vec<String> = review.map(|it| format!("{} {}", it.who, it.reason)).collect();
        if !review.is_empty() {
            lines.push(format!("Reviews missing: {}.", review.join("; ")));
        }
        let failed = self.missing.iter().filter(|it| it.stage == Stage::Synthesis);
        let failed: Vec<String> = failed.map(|it| format!("{} {}", it.who, it.reason)).collect();
        if !failed.is_empty() && matches!(self.verdict, Some(Verdict::Synthesis { .. })) {
            lines.push(format!("Another synthesizer stood in: {}.", failed.join("; ")));
        }
        (!lines.is_empty()).then(|| format!("*Council {}: {}*", sitting.template.name, lines.join(" ")))
    }
}

/// Answers are nobody's to print.
impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Said({}, round {}, {} bytes)",
            self.member,
            self.round,
            self.text.len()
        )
    }
}
