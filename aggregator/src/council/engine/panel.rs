//! Members of one round, all at the same time, each within its time.
//!
//! ```text
//!  Ask ─▶ [its turn] ─▶ heard ──piece──▶ Floor ──▶ Voice
//!                          └──outcome──▶ quorum still possible? else the rest are excused
//! ```

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use dialect::chat::Message;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::floor::Floor;
use super::member::{Lost, Spoken, heard};
use super::turn::{SHARED_BYTES_MIN, Turn};
use super::{Voice, Word};
use crate::council::sitting::Sitting;
use crate::council::transcript::{Stage, record};
use crate::gateway::Inquirer;

/// What one member is asked.
pub(super) struct Ask {
    /// Into the sitting's seats.
    pub(super) seat: usize,
    pub(super) messages: Vec<Message>,
    /// Names the request.
    pub(super) part: String,
}

pub(super) struct Panel<'a> {
    pub(super) sitting: &'a Sitting,
    pub(super) inquirer: &'a Inquirer,
    pub(super) voice: &'a Voice,
    pub(super) stage: Stage,
    pub(super) round: u32,
    /// Fewer answers than this are of no use.
    pub(super) quorum: usize,
}

type Outcome = Result<Spoken, Lost>;
type Piece = (usize, String);

impl Panel<'_> {
    /// Every outcome by its seat, in the order of the seats.
    pub(super) async fn hear(&self, asks: Vec<Ask>) -> Vec<(usize, Outcome)> {
        let seats: Vec<usize> = asks.iter().map(|ask| ask.seat).collect();
        let mut floor = Floor::new(seats.iter().map(|seat| self.header(*seat)));
        let mut turns = self.turns(&asks);
        let (to, mut pieces) = unbounded_channel::<Piece>();
        let members = asks.into_iter().enumerate().map(|(index, ask)| {
            let turn = turns.get_mut(index).and_then(Option::take);
            Box::pin(self.member(index, ask, turn, to.clone())) as Member<'_>
        });
        let mut members = Members(members.map(Some).collect());
        let mut outcomes: Vec<Option<Outcome>> = seats.iter().map(|_| None).collect();
        loop {
            let step = tokio::select! {
                biased;
                // Pieces first: they were said before whatever ended.
                Some(piece) = pieces.recv() => Step::Piece(piece),
                ended = members.next() => Step::Ended(ended),
            };
            match step {
                Step::Piece((index, text)) => {
                    self.tell_piece(seats[index], &text);
                    self.read_out(floor.say(index, &text));
                }
                Step::Ended(Some((index, outcome))) => {
                    while let Ok((index, text)) = pieces.try_recv() {
                        self.tell_piece(seats[index], &text);
                        self.read_out(floor.say(index, &text));
                    }
                    self.close(&mut floor, (index, seats[index]), &outcome);
                    outcomes[index] = Some(outcome);
                    if !self.can_be_met(&outcomes) {
                        break;
                    }
                }
                Step::Ended(None) => break,
            }
        }
        seats
            .into_iter()
            .zip(outcomes)
            .map(|(seat, outcome)| (seat, outcome.unwrap_or(Err(Lost::Excused))))
            .collect()
    }

    async fn member(&self, index: usize, ask: Ask, turn: Option<Turn>, to: UnboundedSender<Piece>) -> Outcome {
        if let Some(turn) = &turn {
            turn.come().await;
        }
        let request = self.sitting.member_request(ask.seat, ask.messages);
        let deadline = self.sitting.seats[ask.seat].deadline;
        heard(self.inquirer, &request, &ask.part, deadline, |text, _| {
            let _ = to.send((index, text.to_owned()));
        })
        .await
    }

    /// Rows of those who ask one model the same long prompt, where its servers read it once for each that asks.
    fn turns(&self, asks: &[Ask]) -> Vec<Option<Turn>> {
        let mut turns: Vec<Option<Turn>> = asks.iter().map(|_| None).collect();
        let mut by_model: HashMap<&Arc<str>, Vec<usize>> = HashMap::new();
        for (index, ask) in asks.iter().enumerate() {
            if text_bytes(&ask.messages) >= SHARED_BYTES_MIN {
                by_model
                    .entry(&self.sitting.seats[ask.seat].model)
                    .or_default()
                    .push(index);
            }
        }
        for (model, row) in by_model {
            if row.len() < 2 || !self.inquirer.caches_by_slot(model) {
                continue;
            }
            let time = row
                .iter()
                .map(|index| self.sitting.seats[asks[*index].seat].deadline)
                .min()
                .unwrap_or_default();
            for (index, turn) in row.iter().zip(Turn::row(row.len(), time)) {
                turns[*index] = Some(turn);
            }
        }
        turns
    }

    fn header(&self, seat: usize) -> String {
        let seat = &self.sitting.seats[seat];
        let what = match (self.stage, self.sitting.rounds) {
            (Stage::Review, _) => "Review: ".to_owned(),
            (_, 1) => String::new(),
            _ => format!("Round {}: ", self.round),
        };
        format!("\n### {what}{} ({})\n\n", seat.name, seat.model)
    }

    fn read_out(&self, text: String) {
        if !text.is_empty() {
            self.voice.say(Word::Thought(text));
        }
    }

    /// For those who watch all members at once.
    fn tell_piece(&self, seat: usize, text: &str) {
        if self.sitting.wants_deltas {
            let of = json!({
                "round": self.round,
                "review": self.stage == Stage::Review,
                "member": &*self.sitting.seats[seat].name,
                "text": text,
            });
            self.voice.event("delta", of);
        }
    }

    fn close(&self, floor: &mut Floor, (index, seat): (usize, usize), outcome: &Outcome) {
        let seat = &self.sitting.seats[seat];
        let head = json!({"round": self.round, "member": &*seat.name});
        let stage = match self.stage {
            Stage::Review => "review",
            _ => "member",
        };
        let (closing, more) = match outcome {
            Ok(spoken) => (
                "\n".to_owned(),
                json!({
                    "status": "answered",
                    "model": &*spoken.model,
                    "text": spoken.text,
                    "finish_reason": if spoken.is_cut { "length" } else { "stop" },
                    "usage": record::usage(&spoken.usage),
                }),
            ),
            Err(lost) => {
                let reason = lost.reason();
                (
                    format!("\n[{} {reason}]\n", seat.name),
                    json!({"status": "missing", "reason": reason}),
                )
            }
        };
        let read = floor.end(index, &closing);
        match outcome {
            Ok(_) => self.read_out(read),
            // That somebody is missing is nothing that a model said.
            Err(_) if !read.is_empty() => self.voice.say(Word::Announced(read)),
            Err(_) => {}
        }
        self.voice.event(stage, joined(head, more));
    }

    fn can_be_met(&self, outcomes: &[Option<Outcome>]) -> bool {
        let possible = outcomes
            .iter()
            .filter(|outcome| !matches!(outcome, Some(Err(_))))
            .count();
        possible >= self.quorum
    }
}

enum Step {
    Piece(Piece),
    Ended(Option<(usize, Outcome)>),
}

fn joined(mut head: serde_json::Value, more: serde_json::Value) -> serde_json::Value {
    if let (Some(head), serde_json::Value::Object(more)) = (head.as_object_mut(), more) {
        head.extend(more);
    }
    head
}

fn text_bytes(messages: &[Message]) -> usize {
    let parts = messages.iter().flat_map(|message| &message.parts);
    parts.filter_map(|part| part.as_text()).map(str::len).sum()
}

type Member<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Futures that are moved together. Sixteen at most, so each wake may look at all of them.
struct Members<'a>(Vec<Option<Member<'a>>>);

impl Members<'_> {
    /// The next one that ends; `None` once all have.
    async fn next(&mut self) -> Option<(usize, Outcome)> {
        poll_fn(|cx| {
            let mut is_empty = true;
            for (index, slot) in self.0.iter_mut().enumerate() {
                let Some(member) = slot else { continue };
                is_empty = false;
                if let Poll::Ready(outcome) = member.as_mut().poll(cx) {
                    *slot = None;
                    return Poll::Ready(Some((index, outcome)));
                }
            }
            if is_empty { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }
}
