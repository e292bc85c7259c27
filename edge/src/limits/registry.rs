//! What outlives a table: the words of all limits by router and middleware, and when each router was last used.
//!
//! A route finds its words once, when it is first used, and keeps them; from then on nothing here is asked. A word that
//! no route holds any more is forgotten as soon as it says no more than a fresh one would: a full bucket, no slot taken,
//! a period that is over. So a key that is taken out and put back finds what it had used.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::budget::Budget;
use super::clock::{Instant64, nanoseconds};
use super::fair::gate::{FairQueue, Terms};
use super::rate::Rate;
use super::remit::{Charge, Filled};

/// Words kept for routes that are gone. Beyond them a folder that is rewritten with other names for ever would fill the
/// memory; what is lost is what those keys had used.
const ORPHANS_MAX: usize = 100_000;

/// So far two threads' readings of the clock are apart at most, and much more.
const CLOCK_SLACK_NS: u64 = 60_000_000_000;

/// A router that is gone is listed with its last use for so long.
const USE_KEPT_SECONDS: u64 = 90 * 86_400;

/// No bucket takes longer to fill than this; what says so was not written by an edge.
const FILL_AHEAD_MAX: std::time::Duration = std::time::Duration::from_secs(366 * 86_400);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Rate,
    Slots,
    Budget,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) router: Arc<str>,
    pub(crate) middleware: Arc<str>,
    pub(crate) kind: Kind,
}

/// One limit's state.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) word: Arc<AtomicU64>,
    /// What the word counts in: a token's or a period's nanoseconds. A changed limit converts.
    unit: AtomicU64,
    /// The word as it was last written down.
    written: AtomicU64,
    /// Of a budget: what it allows; 0 where nobody has said.
    amount: AtomicU64,
}

/// A budget that a route holds, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsedBudget {
    pub(crate) router: Arc<str>,
    pub(crate) used: u64,
    pub(crate) amount: u64,
}

impl UsedBudget {
    pub(crate) fn left(&self) -> u64 {
        self.amount.saturating_sub(self.used)
    }
}

/// When a router was last used, in seconds since the Unix epoch; 0 is never.
#[derive(Debug, Default)]
pub(crate) struct LastUse {
    at: AtomicU64,
    written: AtomicU64,
}

impl LastUse {
    /// A second is fine enough, so that most requests only read.
    pub(crate) fn touch(&self, now: Instant64) {
        let second = now.unix_seconds();
        if self.at.load(Ordering::Relaxed) < second {
            self.at.store(second, Ordering::Relaxed);
        }
    }
}

/// What is written down, and read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    Limit { name: Name, word: u64, unit: u64 },
    Used { router: Arc<str>, at_unix_s: u64 },
}

/// A word as it stands, and what it counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) word: u64,
    pub(crate) unit: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Mutex<HashMap<Name, Arc<Entry>>>,
    /// Of the slots, those of predecessors.
    carried: Mutex<HashMap<Name, u64>>,
    uses: Mutex<HashMap<Arc<str>, Arc<LastUse>>>,
    /// By service.
    gates: Mutex<HashMap<Arc<str>, Arc<FairQueue>>>,
}

impl Registry {
    /// The queue for a service's slots. With another number it is the same queue.
    pub(crate) fn gate(&self, service: &Arc<str>, slots: u64) -> Arc<FairQueue> {
        let slots = usize::try_from(slots).unwrap_or(usize::MAX);
        let mut gates = self.gates.lock();
        if let Some(gate) = gates.get(service) {
            gate.resize(slots);
            return gate.clone();
        }
        let gate = FairQueue::new(slots, Terms::USUAL);
        gates.insert(service.clone(), gate.clone());
        gate
    }

    /// The bucket of this name. One that was used under another rate keeps how many of its tokens are gone.
    pub(crate) fn rate(&self, router: &Arc<str>, middleware: &Arc<str>, rate: &Rate, now: Instant64) -> Arc<Entry> {
        let convert = |word: u64, unit: u64| {
            let used = word.saturating_sub(now.0).div_ceil(unit.max(1)).min(rate.burst());
            now.0.saturating_add(used.saturating_mul(rate.token_ns()))
        };
        let entry = self.entry((router, middleware, Kind::Rate), rate.token_ns(), convert);
        // What was written down by a clock that was ahead would refuse for as long as that was.
        let latest = now.0.saturating_add(rate.burst() * rate.token_ns());
        let sane = |word: u64| (word > latest.saturating_add(CLOCK_SLACK_NS)).then_some(latest);
        let _ = entry.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, sane);
        entry
    }

    pub(crate) fn slots(&self, router: &Arc<str>, middleware: &Arc<str>) -> Arc<Entry> {
        self.entry((router, middleware, Kind::Slots), 1, |word, _| word)
    }

    /// The budget of this name. One of another period keeps what was used in its current one.
    pub(crate) fn budget(
        &self,
        router: &Arc<str>,
        middleware: &Arc<str>,
        budget: &Budget,
        now: Instant64,
    ) -> Arc<Entry> {
        let convert = |word: u64, unit: u64| {
            let before = Budget::new(u64::MAX, std::time::Duration::from_nanos(unit));
            budget.word(before.used(word, now), now)
        };
        let entry = self.entry((router, middleware, Kind::Budget), budget.period_ns(), convert);
        entry.amount.store(budget.amount(), Ordering::Relaxed);
        entry
    }

    /// Every budget of a router that is there.
    pub(crate) fn budgets(&self, now: Instant64) -> Vec<UsedBudget> {
        let entries = self.entries.lock();
        let held = entries
            .iter()
            .filter(|(name, entry)| name.kind == Kind::Budget && Arc::strong_count(entry) > 1);
        let used = held.map(|(name, entry)| {
            let amount = entry.amount.load(Ordering::Relaxed);
            let budget = Budget::new(
                amount,
                std::time::Duration::from_nanos(entry.unit.load(Ordering::Acquire)),
            );
            UsedBudget {
                router: name.router.clone(),
                used: budget.used(entry.word.load(Ordering::Acquire), now),
                amount,
            }
        });
        used.collect()
    }

    pub(crate) fn last_use(&self, router: &Arc<str>) -> Arc<LastUse> {
        self.uses.lock().entry(router.clone()).or_default().clone()
    }

    fn entry(
        &self,
        (router, middleware, kind): (&Arc<str>, &Arc<str>, Kind),
        unit: u64,
        convert: impl Fn(u64, u64) -> u64,
    ) -> Arc<Entry> {
        let name = Name {
            router: router.clone(),
            middleware: middleware.clone(),
            kind,
        };
        let mut entries = self.entries.lock();
        let entry = entries.entry(name).or_insert_with(|| Arc::new(Entry::new(0, unit)));
        let before = entry.unit.swap(unit, Ordering::AcqRel);
        if before != unit {
            let converted = |word| Some(convert(word, before));
            let _ = entry.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, converted);
        }
        entry.clone()
    }

    /// Takes back what was written down. For a registry that nobody uses yet.
    pub(crate) fn restore(&self, facts: impl IntoIterator<Item = Fact>) {
        let (mut entries, mut uses) = (self.entries.lock(), self.uses.lock());
        for fact in facts {
            match fact {
                Fact::Limit { name, word, unit } => drop(entries.insert(name, Arc::new(Entry::new(word, unit)))),
                Fact::Used { router, at_unix_s } => {
                    let at = AtomicU64::new(at_unix_s);
                    let written = AtomicU64::new(at_unix_s);
                    uses.insert(router, Arc::new(LastUse { at, written }));
                }
            }
        }
    }

    /// What has changed since it was last asked for, or all there is to write down. Slots are this process's own.
    pub(crate) fn facts(&self, all: bool) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (name, entry) in self.entries.lock().iter().filter(|(name, _)| name.kind != Kind::Slots) {
            let word = entry.word.load(Ordering::Acquire);
            if (entry.written.swap(word, Ordering::AcqRel) != word) || (all && word != 0) {
                facts.push(Fact::Limit {
                    name: name.clone(),
                    word,
                    unit: entry.unit.load(Ordering::Acquire),
                });
            }
        }
        for (router, last) in self.uses.lock().iter() {
            let at_unix_s = last.at.load(Ordering::Acquire);
            if (last.written.swap(at_unix_s, Ordering::AcqRel) != at_unix_s) || (all && at_unix_s != 0) {
                facts.push(Fact::Used {
                    router: router.clone(),
                    at_unix_s,
                });
            }
        }
        facts
    }

    /// All words that say something.
    pub(crate) fn words(&self) -> HashMap<Name, Word> {
        let entries = self.entries.lock();
        let words = entries.iter().map(|(name, entry)| {
            let (word, unit) = (entry.word.load(Ordering::Acquire), entry.unit.load(Ordering::Acquire));
            (name.clone(), Word { word, unit })
        });
        words.filter(|(_, word)| word.word != 0).collect()
    }

    pub(crate) fn uses(&self) -> HashMap<Arc<str>, u64> {
        let uses = self.uses.lock();
        let uses = uses
            .iter()
            .map(|(router, last)| (router.clone(), last.at.load(Ordering::Acquire)));
        uses.filter(|(_, at)| *at != 0).collect()
    }

    pub(crate) fn carried(&self) -> HashMap<Name, u64> {
        self.carried.lock().clone()
    }

    /// A predecessor held these slots `before`, and holds those `now`.
    pub(crate) fn carry(&self, before: &HashMap<Name, u64>, now: &HashMap<Name, u64>) {
        let mut carried = self.carried.lock();
        for name in before
            .keys()
            .chain(now.keys().filter(|name| !before.contains_key(*name)))
        {
            let (less, more) = (before.get(name).unwrap_or(&0), now.get(name).unwrap_or(&0));
            let word = self.slots(&name.router, &name.middleware).word.clone();
            word.fetch_add(*more, Ordering::AcqRel);
            word.fetch_sub(*less, Ordering::AcqRel);
            let held = carried.entry(name.clone()).or_insert(0);
            *held = (*held + more).saturating_sub(*less);
        }
        carried.retain(|_, held| *held > 0);
    }

    /// Tokens that a predecessor's exchanges used.
    pub(crate) fn charge(&self, charge: &Charge, now: Instant64) {
        let entry = self.present((&charge.router, &charge.middleware, Kind::Budget), charge.period_ns);
        // A period that this edge was told otherwise stays: the tokens count in it.
        let period = std::time::Duration::from_nanos(entry.unit.load(Ordering::Acquire));
        Budget::new(u64::MAX, period).charge(&entry.word, now, charge.tokens);
    }

    /// How full a predecessor knows a rate's bucket to be; one that is fuller stays.
    pub(crate) fn fill(&self, filled: &Filled, now: Instant64) {
        let entry = self.present((&filled.router, &filled.middleware, Kind::Rate), filled.token_ns);
        let sane = filled.full_at <= now.0.saturating_add(nanoseconds(FILL_AHEAD_MAX));
        if sane && entry.unit.load(Ordering::Acquire) == filled.token_ns {
            entry.word.fetch_max(filled.full_at, Ordering::AcqRel);
        }
    }

    fn present(&self, (router, middleware, kind): (&Arc<str>, &Arc<str>, Kind), unit: u64) -> Arc<Entry> {
        let name = Name {
            router: router.clone(),
            middleware: middleware.clone(),
            kind,
        };
        let mut entries = self.entries.lock();
        entries
            .entry(name)
            .or_insert_with(|| Arc::new(Entry::new(0, unit)))
            .clone()
    }

    /// Forgets what nobody holds and nobody would miss.
    pub(crate) fn sweep(&self, now: Instant64) {
        let mut entries = self.entries.lock();
        let held = |entry: &Arc<Entry>| Arc::strong_count(entry) > 1;
        entries.retain(|name, entry| held(entry) || !entry.is_as_fresh(name.kind, now));
        let orphans = entries.values().filter(|entry| !held(entry)).count();
        if orphans > ORPHANS_MAX {
            tracing::warn!(
                orphans,
                "too many limits of routers that are gone; what they had used is forgotten"
            );
            entries.retain(|_, entry| held(entry));
        }
        drop(entries);
        self.gates.lock().retain(|_, gate| Arc::strong_count(gate) > 1);
        let mut uses = self.uses.lock();
        let recent = |last: &LastUse| last.at.load(Ordering::Relaxed) + USE_KEPT_SECONDS > now.unix_seconds();
        uses.retain(|_, last| Arc::strong_count(last) > 1 || recent(last));
        if uses.values().filter(|last| Arc::strong_count(last) == 1).count() > ORPHANS_MAX {
            uses.retain(|_, last| Arc::strong_count(last) > 1);
        }
    }
}

impl Entry {
    fn new(word: u64, unit: u64) -> Self {
        Self {
            word: Arc::new(AtomicU64::new(word)),
            unit: AtomicU64::new(unit),
            written: AtomicU64::new(word),
            amount: AtomicU64::new(0),
        }
    }

    fn is_as_fresh(&self, kind: Kind, now: Instant64) -> bool {
        let (word, unit) = (self.word.load(Ordering::Acquire), self.unit.load(Ordering::Acquire));
        match kind {
            Kind::Rate => word <= now.0,
            Kind::Slots => word == 0,
            Kind::Budget => {
                let budget = Budget::new(u64::MAX, std::time::Duration::from_nanos(unit));
                budget.used(word, now) == 0
            }
        }
    }
}

#[cfg(test)]
mod tests;
