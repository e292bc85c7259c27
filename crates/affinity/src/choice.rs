//! Which server gets a request, given what each holds and how busy it is. Nothing but arithmetic.
//!
//! ```text
//!  who holds the longest prefix worth anything?
//!    nobody ─────────────────────────────────────────────▶ Miss    the least busy
//!    too few, for how many conversations begin with it ──▶ Spread  the least busy, which then holds it as well
//!    one too far ahead of the least busy ────────────────▶ Spill   the least busy
//!    else ───────────────────────────────────────────────▶ Hit     the least busy of those that hold it
//! ```
//!
//! Owns the weighing of prefix against work. Refuses to know servers: it answers with a position in what it was given.
//! Invariant: the server chosen is never further ahead of the least busy than [`Policy`] allows; equal input, equal choice.

use std::cmp::{Ordering, Reverse};

use crate::index::Held;

/// How far a prefix may pull.
///
/// The bound is SMG's (both conditions must be met), but in units of the chosen server's own size: what counts is by how many
/// requests it is ahead of where it would be, were it only as busy as the least busy one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Requests that a server may be ahead of the least busy one.
    pub ahead_max: u32,
    /// … and how many percent of the least busy one's work it may have, before a prefix counts for nothing.
    pub ratio_percent_max: u32,
    /// A shorter prefix is no reason to prefer anyone: to read it anew takes no time that anybody notices.
    pub worth_bytes_min: u64,
    /// One more server is to hold a prefix for every so many conversations that branch off it.
    ///
    /// Without it all conversations that begin with one system prompt would go to the first server that ever saw it, for as
    /// long as it keeps up, and push each other out of its cache while the others' caches stay empty. With it, one in so many
    /// of them reads the shared prefix anew, until every server holds it. 0: never.
    pub branches_per_copy: u32,
}

/// Four requests are one full set of slots of llama-server, the most that a small server can be late by; 150 % is SMG's. 256
/// bytes are some 64 tokens: the reading of one batch.
impl Default for Policy {
    fn default() -> Self {
        Self {
            ahead_max: 4,
            ratio_percent_max: 150,
            worth_bytes_min: 256,
            branches_per_copy: 4,
        }
    }
}

/// A server that could take the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Requests it has now: ours, or its own count where that is known.
    pub in_flight: u32,
    /// How many it can work on at once. Where unknown, the fewest that any other candidate is known to have.
    pub slots: Option<u32>,
    /// Its size by the operator's word, as a factor; 0 takes it out of the choice.
    pub weight: u32,
    pub held: Held,
}

/// Where the request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which of the candidates.
    pub position: usize,
    pub reason: Reason,
    /// Nothing but `turn` told it from others: the caller moves its counter on. (Were the counter moved by every request, one
    /// that is settled otherwise at every second turn would send all of the rest to one of two servers.)
    pub by_turn: bool,
}

/// Why, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It goes where its session or its prefix is.
    Hit { bytes: u64, session: bool },
    /// What it has in common with others is to be held by one more server.
    Spread { bytes: u64 },
    /// Whoever holds this much of it is too busy.
    Spill { bytes: u64 },
    /// Nobody is known to hold what would be worth it.
    Miss,
}

impl Policy {
    /// Chooses among the candidates; none, if there are none of any weight. `turn` is a counter of the caller's, which settles
    /// what is equal otherwise: each gets its turn, by weight.
    pub fn choose(&self, candidates: &[Candidate], turn: u64) -> Option<Choice> {
        let field = Field::of(candidates)?;
        let rank = |c: &Candidate| self.rank(c);
        let least = field.first(|a, b| field.busier(a, b))?;
        let is_too_far = |c: &Candidate| self.is_too_far_ahead(&field, c, least);
        // Of two equally busy, the larger is ahead by more requests: it may be beyond the bound where the smaller is not.
        let nearest = |a: &Candidate, b: &Candidate| {
            let by_cache_and_work = rank(b).cmp(&rank(a)).then_with(|| field.busier(a, b));
            by_cache_and_work.then_with(|| is_too_far(a).cmp(&is_too_far(b)))
        };
        let best = field.first(|a, b| nearest(a, b).then_with(|| b.held.branches.cmp(&a.held.branches)))?;
        let (session, bytes) = rank(best);
        let reason = if (session, bytes) == (false, 0) {
            Reason::Miss
        } else if !session && self.wants_copy(&field, best) {
            Reason::Spread { bytes }
        } else if is_too_far(best) {
            Reason::Spill { bytes }
        } else {
            Reason::Hit { bytes, session }
        };
        let (position, by_turn) = match reason {
            Reason::Hit { .. } => field.take(turn, nearest),
            Reason::Spread { .. } => field.take(turn, |a, b| field.busier(a, b).then_with(|| rank(a).cmp(&rank(b)))),
            Reason::Spill { .. } => field.take(turn, |a, b| {
                field.busier(a, b).then_with(|| Reverse(rank(a)).cmp(&Reverse(rank(b))))
            }),
            Reason::Miss => field.take(turn, |a, b| field.busier(a, b)),
        }?;
        let reason = match reason {
            Reason::Spread { bytes } if rank(&candidates[position]) == rank(best) => Reason::Hit { bytes, session },
            reason => reason,
        };
        Some(Choice {
            position,
            reason,
            by_turn,
        })
    }

    /// How much a candidate's cache speaks for it.
    fn rank(&self, candidate: &Candidate) -> (bool, u64) {
        let held = candidate.held;
        let is_worth_it = held.session || held.bytes >= self.worth_bytes_min;
        (held.session, if is_worth_it { held.bytes } else { 0 })
    }

    fn wants_copy(&self, field: &Field<'_>, best: &Candidate) -> bool {
        let Some(more) = best.held.branches.checked_div(self.branches_per_copy) else {
            return false;
        };
        let copies = field.iter().filter(|(_, c)| c.held.bytes >= best.held.bytes).count();
        copies < field.iter().count() && copies <= more as usize
    }

    /// All in whole numbers, each product below 2¹²⁸.
    fn is_too_far_ahead(&self, field: &Field<'_>, chosen: &Candidate, least: &Candidate) -> bool {
        let (work, least_work) = field.cross(chosen, least);
        let ahead = work.saturating_sub(least_work);
        ahead > u128::from(self.ahead_max) * u128::from(field.size(least))
            && work.saturating_mul(100) > least_work.saturating_mul(u128::from(self.ratio_percent_max))
    }
}

/// The candidates of any weight, and what the unknown is taken for.
struct Field<'a> {
    candidates: &'a [Candidate],
    slots_unknown: u32,
}

impl<'a> Field<'a> {
    fn of(candidates: &'a [Candidate]) -> Option<Self> {
        let field = Self {
            candidates,
            slots_unknown: candidates
                .iter()
                .filter_map(|c| c.slots)
                .filter(|slots| *slots > 0)
                .min()
                .unwrap_or(1),
        };
        let is_empty = field.iter().next().is_none();
        (!is_empty).then_some(field)
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &'a Candidate)> {
        self.candidates.iter().enumerate().filter(|(_, c)| c.weight > 0)
    }

    fn size(&self, candidate: &Candidate) -> u64 {
        let slots = candidate.slots.filter(|slots| *slots > 0).unwrap_or(self.slots_unknown);
        u64::from(slots) * u64::from(candidate.weight)
    }

    /// The work of each, on one scale: a server's requests times the other one's size.
    fn cross(&self, a: &Candidate, b: &Candidate) -> (u128, u128) {
        let work = |own: &Candidate, other: &Candidate| u128::from(own.in_flight) * u128::from(self.size(other));
        (work(a, b), work(b, a))
    }

    fn busier(&self, a: &Candidate, b: &Candidate) -> Ordering {
        let (a, b) = self.cross(a, b);
        a.cmp(&b)
    }

    fn first(&self, order: impl Fn(&Candidate, &Candidate) -> Ordering) -> Option<&'a Candidate> {
        self.iter().map(|(_, c)| c).min_by(|a, b| order(a, b))
    }

    /// One of those that come first, by turns, each as often as its weight says; and whether there was more than one.
    fn take(&self, turn: u64, order: impl Fn(&Candidate, &Candidate) -> Ordering) -> Option<(usize, bool)> {
        let first = self.first(&order)?;
        let equals = || self.iter().filter(|(_, c)| order(c, first).is_eq());
        let total: u64 = equals().map(|(_, c)| u64::from(c.weight)).sum();
        let mut left = turn % total.max(1);
        for (position, candidate) in equals() {
            let weight = u64::from(candidate.weight);
            if left < weight {
                return Some((position, equals().count() > 1));
            }
            left -= weight;
        }
        None
    }
}

#[cfg(test)]
mod tests;
