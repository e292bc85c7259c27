//! The order in which waiting requests are served: fair queueing over the time that slots are held.
//!
//! Every key has an account of the slot time it was given, divided by its weight, and a line of requests that wait in the
//! order they came. The key with the least on its account is served next. An account never lags behind the last one
//! served when its key comes to wait, so a key that was idle has saved nothing up, and one that floods the queue only
//! waits behind itself. How long a request will hold its slot is not known when it is served: it is charged what requests
//! held of late, and corrected when it ends. Nothing is charged to those that wait: a guess that turns out wrong would
//! stand in the order for as long as they do.
//!
//! Where the queue is full the longest line gives way: its last request is turned away for one of a key that has fewer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A waiting request's number, in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    Waits(Ticket),
    /// It waits, in place of this one, which is turned away.
    InPlaceOf(Ticket, Ticket),
    TurnedAway,
}

/// What is to be given back when a served request ends.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    key: Arc<str>,
    weight: u32,
    charged: u64,
}

#[derive(Debug)]
pub(crate) struct Queue {
    accounts: HashMap<Arc<str>, Account>,
    /// Whose they are.
    waiting: HashMap<Ticket, Arc<str>>,
    waiting_max: usize,
    /// The account of whoever was served last.
    now: u64,
    /// What requests held of late, in nanoseconds.
    usual_ns: u64,
    number: u64,
}

#[derive(Debug, Default)]
struct Account {
    /// Slot time given, by weight; of those that are being served, as it is guessed.
    until: u64,
    /// With its weight.
    line: VecDeque<(Ticket, u32)>,
    serving: usize,
}

/// Before any request has ended.
const USUAL_NS: u64 = 1_000_000_000;

impl Queue {
    pub(crate) fn new(waiting_max: usize) -> Self {
        Self {
            accounts: HashMap::new(),
            waiting: HashMap::new(),
            waiting_max,
            now: 0,
            usual_ns: USUAL_NS,
            number: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn join(&mut self, key: &Arc<str>, weight: u32) -> Joined {
        let mine = self.accounts.get(key).map_or(0, |account| account.line.len());
        let mut out = None;
        if self.waiting.len() >= self.waiting_max {
            let Some(last) = self.last_of_the_longest_line(mine + 1) else {
                return Joined::TurnedAway;
            };
            self.leave(last);
            out = Some(last);
        }
        self.number += 1;
        let ticket = Ticket(self.number);
        let account = self.accounts.entry(key.clone()).or_default();
        if account.line.is_empty() {
            account.until = account.until.max(self.now);
        }
        account.line.push_back((ticket, weight.max(1)));
        self.waiting.insert(ticket, key.clone());
        match out {
            None => Joined::Waits(ticket),
            Some(out) => Joined::InPlaceOf(ticket, out),
        }
    }

    /// Whoever waits is forgotten; false where it did not.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> bool {
        let Some(key) = self.waiting.remove(&ticket) else {
            return false;
        };
        if let Some(account) = self.accounts.get_mut(&key) {
            account.line.retain(|(waiting, _)| *waiting != ticket);
        }
        self.forget_settled(&key);
        true
    }

    /// The next to be served. All keys that wait are looked at: no more of them than requests may wait.
    pub(crate) fn next(&mut self) -> Option<(Ticket, Serving)> {
        let waiting = self.accounts.iter_mut().filter(|(_, account)| !account.line.is_empty());
        let (key, account) = waiting.min_by_key(|(_, account)| (account.until, account.line.front().copied()))?;
        let (ticket, weight) = account.line.pop_front()?;
        self.now = self.now.max(account.until);
        let charged = self.usual_ns / u64::from(weight);
        account.until = account.until.saturating_add(charged);
        account.serving += 1;
        self.waiting.remove(&ticket);
        let key = key.clone();
        Some((ticket, Serving { key, weight, charged }))
    }

    /// One that did not have to wait, because a slot was free.
    pub(crate) fn served_at_once(&mut self, key: &Arc<str>, weight: u32) -> Serving {
        let weight = weight.max(1);
        let charged = self.usual_ns / u64::from(weight);
        let account = self.accounts.entry(key.clone()).or_default();
        let start = account.until.max(self.now);
        account.until = start.saturating_add(charged);
        account.serving += 1;
        // What was used while nobody waited is not held against anybody later.
        self.now = start;
        Serving {
            key: key.clone(),
            weight,
            charged,
        }
    }

    /// A served request ended, having held its slot for so long.
    pub(crate) fn ended(&mut self, serving: &Serving, held_ns: u64) {
        let held = held_ns / u64::from(serving.weight);
        if let Some(account) = self.accounts.get_mut(&serving.key) {
            let corrected = account.until.saturating_sub(serving.charged).saturating_add(held);
            // Nor does it lag behind because a guess was too high: others came in by that guess, and would wait for it.
            account.until = corrected.max(self.now);
            account.serving -= 1;
        }
        // An eighth of the news: a few long ones are not yet the usual.
        self.usual_ns = (self.usual_ns - self.usual_ns / 8).saturating_add(held_ns / 8).max(1);
        self.forget_settled(&serving.key);
    }

    /// An account that says nothing more than a new one would.
    fn forget_settled(&mut self, key: &Arc<str>) {
        let idle = |account: &Account| account.line.is_empty() && account.serving == 0;
        // Accounts that are ahead are kept until all keys are idle: then there is nobody to be fair to.
        if self.waiting.is_empty() && self.accounts.values().all(idle) {
            self.accounts.clear();
            self.now = 0;
        } else if self
            .accounts
            .get(key)
            .is_some_and(|account| idle(account) && account.until <= self.now)
        {
            self.accounts.remove(key);
        }
    }

    /// Of the key with most requests waiting, where those are more than this.
    fn last_of_the_longest_line(&self, than: usize) -> Option<Ticket> {
        let longest = self.accounts.values().max_by_key(|account| account.line.len())?;
        let (last, _) = longest.line.back()?;
        (longest.line.len() > than).then_some(*last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn ticket(joined: Joined) -> Ticket {
        match joined {
            Joined::Waits(ticket) | Joined::InPlaceOf(ticket, _) => ticket,
            Joined::TurnedAway => panic!("turned away"),
        }
    }

    /// Serves one after another, each for a second, and tells whose they were.
    fn served(queue: &mut Queue, count: usize) -> Vec<String> {
        (0..count)
            .map_while(|_| {
                let (_, serving) = queue.next()?;
                queue.ended(&serving, SECOND);
                Some(serving.key.to_string())
            })
            .collect()
    }

    #[test]
    fn who_floods_waits_behind_itself() {
        let mut queue = Queue::new(100);
        let (abuser, other): (Arc<str>, Arc<str>) = ("abuser".into(), "other".into());
        (0..50).for_each(|_| assert!(matches!(queue.join(&abuser, 1), Joined::Waits(_))));
        let first = served(&mut queue, 5);
        assert!(first.iter().all(|key| key == "abuser"), "nobody else is there");
        queue.join(&other, 1);
        assert!(
            served(&mut queue, 2).contains(&"other".to_owned()),
            "it is served at once"
        );
    }

    #[test]
    fn weights_divide_the_slots() {
        let mut queue = Queue::new(1000);
        let (gold, plain): (Arc<str>, Arc<str>) = ("gold".into(), "plain".into());
        for _ in 0..200 {
            queue.join(&plain, 1);
            queue.join(&gold, 3);
        }
        let first = served(&mut queue, 100).iter().filter(|key| *key == "gold").count();
        assert!((73..=77).contains(&first), "{first} of 100");
        for weight in [1, 3] {
            let served = Queue::new(1).served_at_once(&gold, weight);
            assert_eq!(
                served.charged,
                USUAL_NS / u64::from(weight),
                "also of one that did not wait"
            );
        }
    }

    #[test]
    fn slot_time_is_shared_not_requests() {
        let mut queue = Queue::new(1000);
        let (long, short): (Arc<str>, Arc<str>) = ("long".into(), "short".into());
        let (mut long_ns, mut short_ns) = (0, 0);
        for key in [&long, &short] {
            (0..2).for_each(|_| assert!(matches!(queue.join(key, 1), Joined::Waits(_))));
        }
        for _ in 0..2_000 {
            let (_, serving) = queue.next().expect("both keep waiting");
            let held = if serving.key == long { 10 * SECOND } else { SECOND };
            *(if serving.key == long {
                &mut long_ns
            } else {
                &mut short_ns
            }) += held;
            queue.ended(&serving, held);
            let key = serving.key.clone();
            queue.join(&key, 1);
        }
        let ratio = long_ns as f64 / short_ns as f64;
        assert!((0.8..1.25).contains(&ratio), "{ratio}");
    }

    #[test]
    fn what_was_used_while_nobody_waited_is_not_held_against_a_key() {
        let mut queue = Queue::new(100);
        let (early, late): (Arc<str>, Arc<str>) = ("early".into(), "late".into());
        let mut before = queue.served_at_once(&early, 1);
        for _ in 0..1_000 {
            let serving = queue.served_at_once(&early, 1);
            queue.ended(&before, SECOND);
            before = serving;
        }
        for _ in 0..50 {
            queue.join(&late, 1);
            queue.join(&early, 1);
        }
        let early = served(&mut queue, 20).iter().filter(|key| *key == "early").count();
        assert!((8..=11).contains(&early), "{early} of 20");
    }

    #[test]
    fn what_a_key_holds_counts_for_as_long_as_anybody_is_served() {
        let mut queue = Queue::new(10);
        let (busy, other): (Arc<str>, Arc<str>) = ("busy".into(), "other".into());
        let _held: Vec<_> = (0..3).map(|_| queue.served_at_once(&busy, 1)).collect();
        let brief = queue.served_at_once(&other, 1);
        queue.ended(&brief, 1);
        queue.join(&busy, 1);
        queue.join(&other, 1);
        assert_eq!(served(&mut queue, 2), ["other", "busy"]);
    }

    #[test]
    fn the_guess_follows_what_requests_held_of_late() {
        let (mut queue, key) = (Queue::new(1), Arc::from("key"));
        for (held, count) in [(10 * SECOND, 50), (SECOND, 50)] {
            for _ in 0..count {
                let serving = queue.served_at_once(&key, 1);
                queue.ended(&serving, held);
            }
            let guess = queue.served_at_once(&key, 1).charged;
            assert!(guess.abs_diff(held) < held / 20, "{guess} of {held}");
        }
    }

    #[test]
    fn a_full_queue_turns_away_the_longest_line_s_last() {
        let mut queue = Queue::new(4);
        let (abuser, other): (Arc<str>, Arc<str>) = ("abuser".into(), "other".into());
        let last = (0..4).map(|_| ticket(queue.join(&abuser, 1))).last().expect("four");
        assert_eq!(queue.join(&abuser, 1), Joined::TurnedAway);
        assert!(matches!(queue.join(&other, 1), Joined::InPlaceOf(_, out) if out == last));
        assert!(matches!(queue.join(&other, 1), Joined::InPlaceOf(..)));
        assert_eq!(
            queue.join(&other, 1),
            Joined::TurnedAway,
            "two and two: nobody has more"
        );
    }

    #[test]
    fn who_would_have_as_many_waiting_as_the_longest_line_turns_nobody_away() {
        let mut queue = Queue::new(3);
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        for key in [&one, &one, &two] {
            assert!(matches!(queue.join(key, 1), Joined::Waits(_)));
        }
        assert_eq!(queue.join(&two, 1), Joined::TurnedAway);
    }

    #[test]
    fn who_leaves_is_forgotten_and_pays_nothing() {
        let mut queue = Queue::new(10);
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        let tickets: Vec<_> = (0..5).map(|_| ticket(queue.join(&one, 1))).collect();
        assert!(tickets.iter().all(|&ticket| queue.leave(ticket)));
        assert!(!queue.leave(tickets[0]), "once");
        assert!(queue.is_empty() && queue.accounts.is_empty());
        queue.join(&two, 1);
        queue.join(&one, 1);
        assert_eq!(served(&mut queue, 9), ["two", "one"]);
        assert!(queue.accounts.is_empty(), "nothing is kept of keys that are idle");
    }

    /// So many slots, keys that always wait, and requests far shorter than the first guess.
    #[test]
    fn what_was_guessed_before_anything_had_ended_starves_nobody() {
        const MILLISECOND: u64 = SECOND / 1000;
        let mut queue = Queue::new(1000);
        let keys: [(Arc<str>, u32); 2] = [("gold".into(), 3), ("plain".into(), 1)];
        let mut running: VecDeque<Serving> = (0..4).map(|_| queue.served_at_once(&keys[0].0, 3)).collect();
        for (key, weight) in &keys {
            for _ in 0..16 {
                queue.join(key, *weight);
            }
        }
        let mut gold = 0;
        for _ in 0..400 {
            let over = running.pop_front().expect("all slots are taken");
            queue.ended(&over, 20 * MILLISECOND);
            let (_, next) = queue.next().expect("both keep waiting");
            let (key, weight) = keys.iter().find(|(key, _)| *key == next.key).expect("one of them");
            gold += usize::from(*weight == 3);
            queue.join(key, *weight);
            running.push_back(next);
        }
        assert!((280..=320).contains(&gold), "{gold} of 400");
    }
}
