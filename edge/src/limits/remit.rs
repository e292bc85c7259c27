//! What an edge that has a successor goes on counting, as the successor needs it.
//!
//! ```text
//!  predecessor: words now - words as last noted = Owed ──▶ successor: charged to its own words, carried as its own slots
//!                                       noted = words now ◀── once it says so
//! ```
//!
//! Tokens are told as differences, so that both may charge at once and none counts twice. Slots are told as they stand.
//! A rate cannot be added up from two words: the fuller one counts, so what the two let through in the moment when both
//! take requests may be counted once where it happened twice. Pure: nothing here sends.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::budget::AMOUNT_MAX;
use super::clock::Instant64;
use super::registry::{Fact, Kind, Name, Registry, Word};

/// What changed since it was last noted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owed {
    pub(crate) charges: Vec<Charge>,
    pub(crate) rates: Vec<Filled>,
    /// All that are taken; `None` where that has not changed.
    pub(crate) slots: Option<Vec<Taken>>,
    /// Routers and when they were last used, in seconds since the Unix epoch.
    pub(crate) uses: Vec<(Arc<str>, u64)>,
}

/// Tokens of a budget; negative ones were charged too much before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) router: Arc<str>,
    pub(crate) middleware: Arc<str>,
    pub(crate) period_ns: u64,
    pub(crate) tokens: i64,
}

/// When a rate's bucket will be full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filled {
    pub(crate) router: Arc<str>,
    pub(crate) middleware: Arc<str>,
    pub(crate) token_ns: u64,
    pub(crate) full_at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) router: Arc<str>,
    pub(crate) middleware: Arc<str>,
    pub(crate) count: u64,
}

impl Owed {
    pub(crate) fn is_nothing(&self) -> bool {
        self.charges.is_empty() && self.rates.is_empty() && self.slots.is_none() && self.uses.is_empty()
    }
}

/// What the successor knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tab {
    words: HashMap<Name, Word>,
    slots: HashMap<Name, u64>,
    uses: HashMap<Arc<str>, u64>,
}

impl Tab {
    /// As the words stand: what the successor reads from the state folder.
    pub(crate) fn of(registry: &Registry) -> Self {
        let words = registry.words();
        Self {
            slots: own_slots(&words, registry),
            words,
            uses: registry.uses(),
        }
    }

    /// What is written down for the successor.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let lasting = self.words.iter().filter(|(name, _)| name.kind != Kind::Slots);
        let limits = lasting.map(|(name, word)| Fact::Limit {
            name: name.clone(),
            word: word.word,
            unit: word.unit,
        });
        let uses = self.uses.iter().map(|(router, at)| Fact::Used {
            router: router.clone(),
            at_unix_s: *at,
        });
        limits.chain(uses).collect()
    }

    pub(crate) fn slots(&self) -> Vec<Taken> {
        let taken = self.slots.iter().map(|(name, count)| Taken {
            router: name.router.clone(),
            middleware: name.middleware.clone(),
            count: *count,
        });
        taken.collect()
    }

    /// Another successor, which knows nothing of the slots.
    pub(crate) fn forget_slots(&mut self) {
        self.slots.clear();
    }

    /// What is owed by now, and the tab as it stands once that is noted.
    pub(crate) fn owed(&self, registry: &Registry) -> (Owed, Self) {
        let now = Self::of(registry);
        let mut owed = Owed::default();
        for (name, word) in &now.words {
            let before = self.words.get(name).copied().unwrap_or(Word {
                word: 0,
                unit: word.unit,
            });
            match name.kind {
                Kind::Slots => {}
                Kind::Budget => {
                    let tokens = charged(before, *word);
                    if tokens != 0 {
                        owed.charges.push(Charge {
                            router: name.router.clone(),
                            middleware: name.middleware.clone(),
                            period_ns: word.unit,
                            tokens,
                        });
                    }
                }
                Kind::Rate if before.word < word.word => owed.rates.push(Filled {
                    router: name.router.clone(),
                    middleware: name.middleware.clone(),
                    token_ns: word.unit,
                    full_at: word.word,
                }),
                Kind::Rate => {}
            }
        }
        let newer = |(router, at): &(&Arc<str>, &u64)| self.uses.get(*router) < Some(*at);
        let uses = now.uses.iter().filter(newer);
        owed.uses = uses.map(|(router, at)| (router.clone(), *at)).collect();
        owed.slots = (now.slots != self.slots).then(|| now.slots());
        (owed, now)
    }
}

/// Slots that exchanges of this process hold; those that are carried for a predecessor are its own to tell.
fn own_slots(words: &HashMap<Name, Word>, registry: &Registry) -> HashMap<Name, u64> {
    let carried = registry.carried();
    let own = words.iter().filter(|(name, _)| name.kind == Kind::Slots);
    let own = own.map(|(name, taken)| {
        let count = taken.word.saturating_sub(carried.get(name).copied().unwrap_or(0));
        (name.clone(), count)
    });
    own.filter(|(_, count)| *count > 0).collect()
}

fn charged(before: Word, now: Word) -> i64 {
    let used = |word: Word| (word.word & AMOUNT_MAX) as i64;
    let period = |word: Word| word.word & !AMOUNT_MAX;
    if before.unit != now.unit {
        // A reload changed the period; what was used went over into the new one.
        return (used(now) - used(before)).max(0);
    }
    if period(before) == period(now) {
        used(now) - used(before)
    } else {
        used(now)
    }
}

/// The slots of one predecessor, carried for as long as this lives.
pub(crate) struct Carried {
    registry: Arc<Registry>,
    slots: HashMap<Name, u64>,
}

impl Carried {
    pub(crate) fn none(registry: &Arc<Registry>) -> Self {
        Self {
            registry: registry.clone(),
            slots: HashMap::new(),
        }
    }

    /// Takes up what a predecessor owes.
    pub(crate) fn note(&mut self, owed: Owed, now: Instant64) {
        for charge in &owed.charges {
            self.registry.charge(charge, now);
        }
        for filled in &owed.rates {
            self.registry.fill(filled, now);
        }
        for (router, at) in &owed.uses {
            self.registry
                .last_use(router)
                .touch(Instant64(at.saturating_mul(1_000_000_000)));
        }
        if let Some(slots) = owed.slots {
            self.hold(slots);
        }
    }

    pub(crate) fn hold(&mut self, slots: Vec<Taken>) {
        let named = slots.into_iter().map(|taken| {
            let name = Name {
                router: taken.router,
                middleware: taken.middleware,
                kind: Kind::Slots,
            };
            (name, taken.count)
        });
        let slots = named.collect();
        self.registry.carry(&self.slots, &slots);
        self.slots = slots;
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.hold(Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::*;
    use crate::limits::budget::Budget;
    use crate::limits::in_flight;
    use crate::limits::rate::Rate;

    const DAY: u64 = 86_400 * 1_000_000_000;
    const NOON: Instant64 = Instant64(20_000 * DAY + DAY / 2);

    fn names() -> (Arc<str>, Arc<str>) {
        ("alice".into(), "limits".into())
    }

    fn daily() -> Budget {
        Budget::new(1_000, Duration::from_secs(86_400))
    }

    fn used(registry: &Registry, now: Instant64) -> u64 {
        let (router, middleware) = names();
        let entry = registry.budget(&router, &middleware, &daily(), now);
        daily().used(entry.word.load(Ordering::SeqCst), now)
    }

    fn charge(registry: &Registry, tokens: i64, now: Instant64) {
        let (router, middleware) = names();
        let entry = registry.budget(&router, &middleware, &daily(), now);
        daily().charge(&entry.word, now, tokens);
    }

    #[test]
    fn both_charge_at_once_and_every_token_counts_once() {
        let (old, new) = (Registry::default(), Arc::new(Registry::default()));
        charge(&old, 100, NOON);
        let mut tab = Tab::of(&old);
        new.restore(tab.facts());
        let mut carried = Carried::none(&new);
        for (theirs, ours) in [(10, 5), (-4, 0), (0, 7), (30, 30)] {
            charge(&old, theirs, NOON);
            charge(&new, ours, NOON);
            let (owed, next) = tab.owed(&old);
            // What was told and not noted is told again, whole.
            assert_eq!(tab.owed(&old).0, owed);
            carried.note(owed, NOON);
            tab = next;
        }
        assert_eq!(used(&new, NOON), 100 + 36 + 42);
        assert!(tab.owed(&old).0.is_nothing());
    }

    #[test]
    fn a_new_period_in_between_begins_at_nothing() {
        let (old, new) = (Registry::default(), Arc::new(Registry::default()));
        charge(&old, 900, NOON);
        new.restore(old.facts(true));
        let tab = Tab::of(&old);
        let tomorrow = Instant64(NOON.0 + DAY);
        charge(&old, 3, tomorrow);
        Carried::none(&new).note(tab.owed(&old).0, tomorrow);
        assert_eq!(used(&new, tomorrow), 3);
    }

    #[test]
    fn a_period_that_a_reload_changed_is_charged_with_what_came_since() {
        let (old, new) = (Registry::default(), Arc::new(Registry::default()));
        let hourly = Budget::new(1_000, Duration::from_secs(3600));
        let (router, middleware) = names();
        let reloaded = |registry: &Registry| registry.budget(&router, &middleware, &hourly, NOON);
        charge(&old, 100, NOON);
        let tab = Tab::of(&old);
        new.restore(tab.facts());
        hourly.charge(&reloaded(&old).word, NOON, 7);
        reloaded(&new);
        Carried::none(&new).note(tab.owed(&old).0, NOON);
        assert_eq!(hourly.used(reloaded(&new).word.load(Ordering::SeqCst), NOON), 107);
    }

    #[test]
    fn whatever_is_owed_is_something() {
        assert!(Owed::default().is_nothing());
        let of = |text: &str| serde_json::from_str::<Owed>(text).expect("what is owed");
        for owed in [
            r#"{"charges": [{"router": "a", "middleware": "m", "period_ns": 1, "tokens": -1}], "rates": [], "uses": []}"#,
            r#"{"charges": [], "rates": [{"router": "a", "middleware": "m", "token_ns": 1, "full_at": 1}], "uses": []}"#,
            r#"{"charges": [], "rates": [], "slots": [], "uses": []}"#,
            r#"{"charges": [], "rates": [], "uses": [["a", 1]]}"#,
        ] {
            assert!(!of(owed).is_nothing(), "{owed}");
        }
    }

    #[test]
    fn slots_are_carried_until_they_are_free_or_their_holder_is_gone() {
        let (old, new) = (Registry::default(), Arc::new(Registry::default()));
        let (router, middleware) = names();
        let taken = |registry: &Registry| registry.slots(&router, &middleware).word.load(Ordering::SeqCst);
        let theirs: Vec<_> = (0..3)
            .map(|_| in_flight::take(&old.slots(&router, &middleware).word, 9).expect("free"))
            .collect();
        let tab = Tab::of(&old);
        new.restore(tab.facts());
        let mut carried = Carried::none(&new);
        carried.hold(tab.slots());
        let _ours = in_flight::take(&new.slots(&router, &middleware).word, 9).expect("free");
        assert_eq!(taken(&new), 4);
        assert_eq!(Tab::of(&new).slots()[0].count, 1, "what is carried is not its own");
        drop(theirs.into_iter().next());
        let (owed, tab) = tab.owed(&old);
        carried.note(owed, NOON);
        assert_eq!(taken(&new), 1, "all three were dropped");
        assert!(tab.owed(&old).0.is_nothing());
        carried.hold(vec![Taken {
            router: router.clone(),
            middleware: middleware.clone(),
            count: 5,
        }]);
        assert_eq!(taken(&new), 6);
        drop(carried);
        assert_eq!(taken(&new), 1);
    }

    #[test]
    fn of_two_rates_the_fuller_counts() {
        let (old, new) = (Registry::default(), Arc::new(Registry::default()));
        let (router, middleware) = names();
        let rate = Rate::new(60, Duration::from_secs(60), 10).expect("limited");
        let word = |registry: &Registry| registry.rate(&router, &middleware, &rate, NOON);
        let take = |registry: &Registry| rate.take(&word(registry).word, NOON).expect("free").left;
        assert_eq!(take(&old), 9);
        new.restore(old.facts(true));
        let tab = Tab::of(&old);
        assert_eq!((take(&old), take(&old), take(&new)), (8, 7, 8));
        let (owed, tab) = tab.owed(&old);
        Carried::none(&new).note(owed, NOON);
        assert_eq!(take(&new), 6);
        assert!(tab.owed(&old).0.is_nothing(), "once");
    }

    #[test]
    fn when_a_key_was_used_last_is_told_where_that_is_new() {
        let (old, new) = (Registry::default(), Arc::new(Registry::default()));
        let (alice, bob): (Arc<str>, Arc<str>) = ("alice".into(), "bob".into());
        let minute = |minutes: u64| Instant64(NOON.0 + minutes * 60_000_000_000);
        old.last_use(&alice).touch(minute(0));
        let tab = Tab::of(&old);
        assert!(tab.owed(&old).0.is_nothing());
        old.last_use(&alice).touch(minute(1));
        old.last_use(&bob).touch(minute(2));
        let (owed, tab) = tab.owed(&old);
        let mut uses = owed.uses.clone();
        uses.sort();
        let told = [(alice, minute(1).unix_seconds()), (bob, minute(2).unix_seconds())];
        assert_eq!(uses, told);
        Carried::none(&new).note(owed, NOON);
        assert_eq!(new.uses(), HashMap::from(told));
        assert!(tab.owed(&old).0.is_nothing(), "once");
    }
}
