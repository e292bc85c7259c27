//! A transcript as a client reads it: the `council` field, and the same piece by piece in a stream's events.

use dialect::chat::Usage;
use serde_json::{Map, Value, json};

use super::{Missing, Said, Stage, Transcript, Verdict};
use crate::council::prompt::letter;
use crate::council::sitting::Sitting;

impl Transcript {
    /// All of it: what `council` holds in an answer that is no stream, and what a replay needs.
    pub(crate) fn record(&self, sitting: &Sitting) -> Value {
        let rounds = (1..=sitting.rounds).map(|round| {
            let answers = self.said.iter().filter(|said| said.round == round).map(Said::record);
            json!({"round": round, "answers": answers.collect::<Vec<_>>()})
        });
        let missing: Vec<Value> = self.missing.iter().map(Missing::record).collect();
        let mut record = opening(sitting);
        let more = json!({
            "rounds": rounds.collect::<Vec<_>>(),
            "missing": missing,
            "synthesis": self.verdict.as_ref().map(Verdict::record),
            "usage": usage(&self.usage),
            "uncounted_calls": self.uncounted,
        });
        extend(&mut record, more);
        if !self.standings.is_empty() {
            extend(&mut record, self.ranking_record());
        }
        if let Some(tally) = &self.tally {
            extend(&mut record, json!({"tally": tally.record()}));
        }
        record
    }

    /// How answers rank, and how each reviewer ranked them.
    pub(crate) fn ranking_record(&self) -> Value {
        let ranking = self.standings.iter().filter_map(|standing| {
            let index = self.lettered.iter().position(|index| *index == standing.said)?;
            let member = &self.said.get(standing.said)?.member;
            let label = letter(index).to_string();
            Some(json!({"member": &**member, "label": label, "mean_position": standing.mean_position}))
        });
        let rankings = self.rankings.iter().map(|ranked| {
            let order: Vec<String> = ranked.order.iter().map(|index| letter(*index).to_string()).collect();
            json!({"by": &*ranked.by, "order": order})
        });
        json!({"ranking": ranking.collect::<Vec<_>>(), "reviews": rankings.collect::<Vec<_>>()})
    }
}

/// What is known before anybody has spoken.
pub(crate) fn opening(sitting: &Sitting) -> Value {
    let member = |seat: &crate::council::sitting::Seat| json!({"name": &*seat.name, "model": &*seat.model, "weight": seat.weight});
    json!({
        "id": sitting.id,
        "template": &*sitting.template.name,
        "shape": sitting.template.shape.name(),
        "seed": sitting.seed,
        "quorum": sitting.quorum,
        "members": sitting.seats.iter().map(member).collect::<Vec<_>>(),
    })
}

impl Said {
    pub(crate) fn record(&self) -> Value {
        json!({
            "member": &*self.member,
            "round": self.round,
            "model": &*self.model,
            "backend": self.backend.as_deref(),
            "text": self.text,
            "finish_reason": if self.is_cut { "length" } else { "stop" },
            "usage": usage(&self.usage),
        })
    }
}

impl Missing {
    pub(crate) fn record(&self) -> Value {
        json!({"stage": self.stage.name(), "round": self.round, "who": &*self.who, "reason": self.reason})
    }
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Review => "review",
            Self::Synthesis => "synthesis",
        }
    }
}

impl Verdict {
    fn record(&self) -> Value {
        match self {
            Self::Synthesis { model } => json!({"status": "synthesized", "model": &**model}),
            Self::BestSingle { member } => json!({"status": "best_single", "member": &**member}),
        }
    }
}

/// In OpenAI's words; what nobody told is left out.
pub(crate) fn usage(usage: &Usage) -> Value {
    let mut told = Map::new();
    for (name, count) in [
        ("prompt_tokens", usage.input),
        ("completion_tokens", usage.output),
        ("total_tokens", usage.total()),
        ("cached_tokens", usage.cached),
        ("reasoning_tokens", usage.reasoning),
    ] {
        if let Some(count) = count {
            told.insert(name.to_owned(), count.into());
        }
    }
    if let Some(cost) = usage.cost {
        told.insert("cost".to_owned(), cost.amount().into());
    }
    Value::Object(told)
}

fn extend(record: &mut Value, more: Value) {
    if let (Value::Object(record), Value::Object(more)) = (record, more) {
        record.extend(more);
    }
}
