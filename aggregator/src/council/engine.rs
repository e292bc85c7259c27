//! A council sits: rounds in order, members of a round at the same time, then whoever writes the answer.
//!
//! ```text
//!  round 1 ─▶ … ─▶ round n ─▶ [review] ─▶ synthesizer, else its fallback, … else the best single answer
//!     └─ quorum not met: it ends here, with an error
//! ```
//!
//! It is one future that spawns nothing: whoever polls it moves all members, and dropping it drops every connection to
//! a model at once. What is said goes out as [`Word`]s while it is said.

mod chair;
mod floor;
mod member;
mod panel;
mod turn;

use std::sync::Arc;

use dialect::{Failure, FailureKind};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::prompt;
use super::ranking;
use super::sitting::{Seat, Sitting};
use super::template::Shape;
use super::transcript::{Ranked, Said, Stage, Transcript, record};
use super::vote;
use crate::gateway::Inquirer;
use panel::{Ask, Panel};

/// What a deliberation has for its client.
#[derive(Clone, PartialEq)]
pub(crate) enum Word {
    /// Part of the deliberation that no model has said.
    Announced(String),
    /// Part of the deliberation, as a model says it.
    Thought(String),
    /// Part of the answer.
    Answer(String),
    /// For those who want structure.
    Event(Value),
}

/// Where words go. Whoever polls the deliberation empties it after each poll, so that it is no longer than what came in
/// between.
#[derive(Clone)]
pub(super) struct Voice(UnboundedSender<Word>);

impl Voice {
    pub(super) fn say(&self, word: Word) {
        // Whoever does not listen any more drops the deliberation, too.
        let _ = self.0.send(word);
    }

    pub(super) fn event(&self, stage: &str, mut of: Value) {
        of["stage"] = stage.into();
        self.say(Word::Event(of));
    }
}

/// The council's whole work.
///
/// # Errors
/// Where too few members answer, or an answer that has begun cannot be ended.
pub(crate) async fn deliberate(
    sitting: Arc<Sitting>,
    inquirer: Inquirer,
    to: UnboundedSender<Word>,
) -> Result<Transcript, Failure> {
    let deliberation = Deliberation {
        sitting: &sitting,
        inquirer: &inquirer,
        voice: Voice(to),
    };
    let mut transcript = Transcript::default();
    deliberation.open();
    for round in 1..=sitting.rounds {
        deliberation.round(round, &mut transcript).await?;
    }
    match sitting.template.shape {
        Shape::Review => deliberation.review(&mut transcript).await,
        Shape::Vote(decide) => {
            let answers = transcript
                .said
                .iter()
                .map(|said| (&said.member, &*said.text, sitting.weight_of(&said.member)));
            let tally = vote::count(answers, decide);
            deliberation.voice.event("tally", tally.record());
            transcript.tally = Some(tally);
        }
        Shape::Analysis | Shape::Debate => {}
    }
    deliberation.conclude(&mut transcript).await?;
    Ok(transcript)
}

struct Deliberation<'a> {
    sitting: &'a Sitting,
    inquirer: &'a Inquirer,
    voice: Voice,
}

impl Deliberation<'_> {
    fn open(&self) {
        let sitting = self.sitting;
        let rounds = if sitting.rounds == 1 {
            "1 round".to_owned()
        } else {
            format!("{} rounds", sitting.rounds)
        };
        let members: Vec<&str> = sitting.seats.iter().map(|seat| &*seat.name).collect();
        let opening = format!("Council {}: {}; {rounds}.\n", sitting.template.name, members.join(", "));
        self.voice.say(Word::Announced(opening));
        self.voice.event("opened", record::opening(sitting));
    }

    /// All members at the same time.
    async fn round(&self, round: u32, transcript: &mut Transcript) -> Result<(), Failure> {
        self.voice.event("round", json!({"round": round}));
        let asks = self.sitting.seats.iter().enumerate().map(|(index, seat)| Ask {
            seat: index,
            messages: prompt::member(self.sitting, transcript, seat, round),
            part: format!("r{round}m{}", index + 1),
        });
        let panel = Panel {
            sitting: self.sitting,
            inquirer: self.inquirer,
            voice: &self.voice,
            stage: Stage::Answer,
            round,
            quorum: self.sitting.quorum,
        };
        let outcomes = panel.hear(asks.collect()).await;
        let mut failures = Vec::new();
        for (index, outcome) in outcomes {
            let seat = &self.sitting.seats[index];
            match outcome {
                Ok(spoken) => {
                    transcript.spend(Some(&spoken.usage));
                    transcript.said.push(spoken.said_by(seat, round));
                }
                Err(lost) => {
                    transcript.spend(None);
                    transcript.lacks(Stage::Answer, round, &seat.name, lost.reason());
                    failures.push((seat, lost));
                }
            }
        }
        if transcript.answered_in(round) < self.sitting.quorum {
            return Err(self.no_quorum(round, transcript, &failures));
        }
        Ok(())
    }

    fn no_quorum(&self, round: u32, transcript: &Transcript, failures: &[(&Seat, member::Lost)]) -> Failure {
        let (some, all, needed) = (
            transcript.answered_in(round),
            self.sitting.seats.len(),
            self.sitting.quorum,
        );
        let reasons: Vec<String> = failures
            .iter()
            .map(|(seat, lost)| format!("{} {}", seat.name, lost.reason()))
            .collect();
        let message = format!(
            "The council has no quorum: {some} of {all} members answered in round {round}, and {needed} must. Missing: {}.",
            reasons.join("; ")
        );
        // Where all members fail for one reason, that is the reason: a prompt that is too long, a model nobody serves.
        let mut kinds = failures.iter().filter_map(|(_, lost)| lost.kind());
        let first = kinds.next();
        let kind = first
            .filter(|kind| kinds.all(|other| other == *kind))
            .unwrap_or(FailureKind::Api);
        tracing::info!(template = %self.sitting.template.name, round, some, needed, "a council has no quorum");
        Failure::new(kind, message)
    }

    /// Everybody who answered ranks all answers, without names and in an order that only the seed tells.
    async fn review(&self, transcript: &mut Transcript) {
        let count = transcript.said.len();
        if count < 2 {
            return;
        }
        transcript.lettered = prompt::shuffled(&self.sitting.seed, count);
        self.voice.event("round", json!({"round": 1, "review": true}));
        let messages = prompt::review(self.sitting, transcript);
        let reviewers: Vec<usize> = (0..self.sitting.seats.len())
            .filter(|index| {
                transcript
                    .said
                    .iter()
                    .any(|said| said.member == self.sitting.seats[*index].name)
            })
            .collect();
        let asks = reviewers.iter().map(|seat| Ask {
            seat: *seat,
            messages: messages.clone(),
            part: format!("v{}", seat + 1),
        });
        let panel = Panel {
            sitting: self.sitting,
            inquirer: self.inquirer,
            voice: &self.voice,
            stage: Stage::Review,
            round: 1,
            quorum: 0,
        };
        for (index, outcome) in panel.hear(asks.collect()).await {
            let seat = &self.sitting.seats[index];
            let order = match outcome {
                Ok(spoken) => {
                    transcript.spend(Some(&spoken.usage));
                    ranking::read(&spoken.text, count).ok_or_else(|| "gave no ranking that can be read".to_owned())
                }
                Err(lost) => {
                    transcript.spend(None);
                    Err(lost.reason())
                }
            };
            match order {
                Ok(order) => transcript.rankings.push(Ranked {
                    by: Arc::clone(&seat.name),
                    weight: seat.weight,
                    order,
                }),
                Err(reason) => transcript.lacks(Stage::Review, 1, &seat.name, reason),
            }
        }
        transcript.standings = ranking::aggregate(&transcript.rankings, &transcript.lettered);
        self.voice.event("ranking", transcript.ranking_record());
    }
}

impl member::Spoken {
    fn said_by(self, seat: &Seat, round: u32) -> Said {
        Said {
            round,
            member: Arc::clone(&seat.name),
            text: self.text,
            is_cut: self.is_cut,
            model: self.model,
            backend: self.backend,
            usage: self.usage,
        }
    }
}
