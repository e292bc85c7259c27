//! Which of the servers at hand gets a request: Traefik's strategies and ours, over a snapshot of the servers.
//!
//! Owns the weighing. Refuses to know servers, clocks and health: whoever cannot be asked is not among the candidates
//! that `may` be taken. Invariant: equal input, equal choice; a candidate of weight 0 is never chosen.

use affinity::Held;

use super::rendezvous;
use super::schedule::Schedule;

/// A server's full strength in thousandths; less while it is warming up.
pub(crate) const FULL_STRENGTH: u32 = 1000;

/// What a choice can see of one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    /// May it be chosen at all.
    pub(crate) may: bool,
    /// By the operator's word.
    pub(crate) weight: u32,
    /// Thousandths of what it will be able to do once it is warm; 1 to [`FULL_STRENGTH`].
    pub(crate) strength: u32,
    pub(crate) in_flight: u32,
    /// Of its time to a first byte, smoothed, in microseconds; 0 where none is known.
    pub(crate) first_byte_us: u64,
    pub(crate) slots: Option<u32>,
    /// What its cache holds of the conversation.
    pub(crate) held: Held,
    /// Its name as [`rendezvous::name`] has it.
    pub(crate) name: u64,
}

/// What a choice is drawn by.
pub(crate) struct Draw<'a> {
    pub(crate) schedule: &'a Schedule,
    /// Called once for each turn that is used up.
    pub(crate) turn: &'a dyn Fn() -> usize,
    /// The client as [`rendezvous::client`] has it.
    pub(crate) client: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Turns by weight.
    Wrr,
    /// Of two drawn by weight, the less busy.
    P2c,
    /// The one that would answer first, by what it took lately and what it has to do.
    LeastTime,
    /// By the client's address.
    Hrw,
    /// Where the conversation's cache is.
    Prefix(affinity::Policy),
}

impl Strategy {
    pub(crate) fn choose(&self, candidates: &[Candidate], draw: &Draw<'_>) -> Option<usize> {
        match self {
            Self::Wrr => turns(candidates, draw),
            Self::P2c => two_choices(candidates, draw),
            Self::LeastTime => least_time(candidates, draw),
            Self::Hrw => highest(candidates, draw),
            Self::Prefix(policy) => prefix(policy, candidates, draw),
        }
    }
}

/// A server that is warming up passes on most of its turns at first, and fewer and fewer.
fn turns(candidates: &[Candidate], draw: &Draw<'_>) -> Option<usize> {
    let last = std::cell::Cell::new(0);
    let turn = || {
        last.set((draw.turn)());
        last.get()
    };
    let takes = |index: usize| {
        let candidate = &candidates[index];
        let drawn = rendezvous::mix(last.get() as u64) % u64::from(FULL_STRENGTH);
        candidate.may && (candidate.strength >= FULL_STRENGTH || drawn < u64::from(candidate.strength))
    };
    draw.schedule
        .next(turn, takes)
        .or_else(|| draw.schedule.next(draw.turn, |index| candidates[index].may))
}

fn two_choices(candidates: &[Candidate], draw: &Draw<'_>) -> Option<usize> {
    let drawn = rendezvous::mix((draw.turn)() as u64);
    let one = by_weight(candidates, drawn, None)?;
    let Some(other) = by_weight(candidates, rendezvous::mix(drawn), Some(one)) else {
        return Some(one);
    };
    Some(if load(&candidates[other]) < load(&candidates[one]) {
        other
    } else {
        one
    })
}

/// One of those that may be chosen, each as likely as its weight says.
fn by_weight(candidates: &[Candidate], drawn: u64, but: Option<usize>) -> Option<usize> {
    let fit = || {
        let indexed = candidates.iter().enumerate();
        indexed.filter(|(index, it)| it.may && it.weight > 0 && Some(*index) != but)
    };
    let total: u64 = fit().map(|(_, it)| u64::from(it.weight)).sum();
    let mut left = drawn.checked_rem(total)?;
    fit()
        .find(|(_, it)| {
            let weight = u64::from(it.weight);
            let found = left < weight;
            left = left.saturating_sub(weight);
            found
        })
        .map(|(index, _)| index)
}

/// Requests in flight, this one included, for each unit of what it can do.
fn load(candidate: &Candidate) -> f64 {
    let size = f64::from(candidate.weight) * f64::from(candidate.strength);
    (f64::from(candidate.in_flight) + 1.0) / size.max(f64::MIN_POSITIVE)
}

/// A server whose time is not known yet is taken to be as quick as the quickest, so that it gets known.
fn least_time(candidates: &[Candidate], draw: &Draw<'_>) -> Option<usize> {
    let known = candidates.iter().filter(|it| it.may && it.first_byte_us > 0);
    let quickest = known.map(|it| it.first_byte_us).min().unwrap_or(1);
    let time = |it: &Candidate| {
        let first_byte_us = if it.first_byte_us > 0 {
            it.first_byte_us
        } else {
            quickest
        };
        first_byte_us as f64 * load(it)
    };
    let fit = |it: &Candidate| it.may && it.weight > 0;
    let least = candidates
        .iter()
        .filter(|it| fit(it))
        .map(time)
        .min_by(f64::total_cmp)?;
    // Equals take turns.
    draw.schedule.next(draw.turn, |index| {
        let it = &candidates[index];
        fit(it) && time(it) <= least
    })
}

fn highest(candidates: &[Candidate], draw: &Draw<'_>) -> Option<usize> {
    let score = |it: &Candidate| rendezvous::score(draw.client, it.name, f64::from(it.weight));
    let fit = candidates.iter().enumerate().filter(|(_, it)| it.may && it.weight > 0);
    fit.max_by(|(_, a), (_, b)| score(a).total_cmp(&score(b)))
        .map(|(index, _)| index)
}

fn prefix(policy: &affinity::Policy, candidates: &[Candidate], draw: &Draw<'_>) -> Option<usize> {
    let asked: Vec<affinity::Candidate> = candidates.iter().map(Candidate::for_prefix).collect();
    // Moved on by every request: a choice that is settled by turn is then settled by chance, which is as fair.
    let turn = rendezvous::mix((draw.turn)() as u64);
    policy.choose(&asked, turn).map(|choice| choice.position)
}

impl Candidate {
    /// A server that warms up is taken to be smaller than it is.
    fn for_prefix(&self) -> affinity::Candidate {
        affinity::Candidate {
            in_flight: self.in_flight,
            slots: self.slots,
            weight: if self.may {
                self.weight.saturating_mul(self.strength)
            } else {
                0
            },
            held: self.held,
        }
    }
}

#[cfg(test)]
mod tests;
