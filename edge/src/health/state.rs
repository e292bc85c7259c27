//! One server's standing, as all exchanges and its prober see it: numbers, and no lock.
//!
//! Owns when a server is left out and for how long. Refuses to know which others there are. Invariant: whatever is left
//! out on suspicion comes back by itself, after [`Rules::out_max`] at the latest, by one request that tries it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;

/// How long a server that says it is loading its model is left alone before one request asks again.
const LOADING_FOR: Duration = Duration::from_millis(250);

/// A server that came back takes so long to get its full share: its cache is empty, its pages are not yet in memory.
const SLOW_START: Duration = Duration::from_secs(10);

/// Where slow start begins, in thousandths.
const STRENGTH_MIN: u64 = 100;

/// A new time to first byte counts for an eighth.
const SMOOTHING: u64 = 8;

/// When a server that fails is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Server errors in a row.
    pub(crate) errors_max: u32,
    /// Connections that were refused, reset or never answered, in a row.
    pub(crate) failures_max: u32,
    /// Failures further apart than this are not in a row.
    pub(crate) window: Duration,
    /// The first time out.
    pub(crate) out_min: Duration,
    /// It doubles with every time, up to this.
    pub(crate) out_max: Duration,
}

/// One refused connection is enough: the next server takes the request, and a second later this one is asked again. Five
/// 5xx are no accident of one prompt. A minute is what a large model takes to load.
impl Default for Rules {
    fn default() -> Self {
        Self {
            errors_max: 5,
            failures_max: 1,
            window: Duration::from_secs(10),
            out_min: Duration::from_secs(1),
            out_max: Duration::from_secs(60),
        }
    }
}

/// Whether a server may be asked at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Up,
    /// It was left out, and its time is over: one request may try it ([`State::try_again`]).
    OnTrial,
    /// Left out on suspicion until this moment, in milliseconds.
    Suspect(u64),
    /// It loads its model, and is asked again at this moment, in milliseconds.
    Loading(u64),
    /// Its health check fails.
    Down,
}

#[derive(Debug)]
pub(crate) struct State {
    in_flight: AtomicU32,
    /// Requests that were ever sent to it.
    picks: AtomicU64,
    /// Moves on with every byte that comes from it.
    progress: AtomicU64,
    /// Smoothed, in microseconds; 0: not known.
    first_byte_us: AtomicU64,
    /// How many times that was measured.
    answers: AtomicU32,
    /// From `/props`; 0: not known.
    slots: AtomicU32,
    failures: AtomicU32,
    errors: AtomicU32,
    /// Of the latest failure or error.
    failed_at_ms: AtomicU64,
    /// Times it was left out, without a success since.
    times_out: AtomicU32,
    /// 0: it is not.
    out_until_ms: AtomicU64,
    /// One request tries it, and has not come back yet.
    on_trial: AtomicBool,
    loading: AtomicBool,
    /// Its health check went unanswered, and so did all else, but not yet often enough to be sure.
    silent: AtomicBool,
    down: AtomicBool,
    /// When it came back; 0: it never was away.
    back_at_ms: AtomicU64,
    /// Told when its health check fails: whoever waits for it waits no longer.
    pub(crate) lost: Arc<Notify>,
    /// Its place in the prefix index. Gone with the state, and anew when its cache is lost.
    pub(crate) cache: affinity::Server,
}

impl State {
    pub(crate) fn new(cache: affinity::Server) -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            picks: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            first_byte_us: AtomicU64::new(0),
            answers: AtomicU32::new(0),
            slots: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            errors: AtomicU32::new(0),
            failed_at_ms: AtomicU64::new(0),
            times_out: AtomicU32::new(0),
            out_until_ms: AtomicU64::new(0),
            on_trial: AtomicBool::new(false),
            loading: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            down: AtomicBool::new(false),
            back_at_ms: AtomicU64::new(0),
            lost: Arc::default(),
            cache,
        }
    }

    /// A request is sent to it; [`State::leave`] follows, however that ends.
    pub(crate) fn enter(&self) {
        self.in_flight.fetch_add(1, Relaxed);
        self.picks.fetch_add(1, Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(crate) fn picks(&self) -> u64 {
        self.picks.load(Relaxed)
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    pub(crate) fn first_byte_us(&self) -> u64 {
        self.first_byte_us.load(Relaxed)
    }

    pub(crate) fn answers(&self) -> u32 {
        self.answers.load(Relaxed)
    }

    pub(crate) fn slots(&self) -> Option<u32> {
        Some(self.slots.load(Relaxed)).filter(|slots| *slots > 0)
    }

    pub(crate) fn set_slots(&self, slots: Option<u32>) {
        self.slots.store(slots.unwrap_or(0), Relaxed);
    }

    pub(crate) fn progress(&self) -> u64 {
        self.progress.load(Relaxed)
    }

    /// Something came from it: it lives.
    pub(crate) fn progressed(&self) {
        self.progress.fetch_add(1, Relaxed);
    }

    pub(crate) fn standing(&self, now_ms: u64) -> Standing {
        if self.down.load(Relaxed) {
            return Standing::Down;
        }
        match self.out_until_ms.load(Relaxed) {
            _ if self.silent.load(Relaxed) => Standing::Suspect(u64::MAX),
            0 => Standing::Up,
            until if until <= now_ms => Standing::OnTrial,
            until if self.loading.load(Relaxed) => Standing::Loading(until),
            until => Standing::Suspect(until),
        }
    }

    /// The one request that tries a server whose time out is over: true for one of those that ask at a time.
    pub(crate) fn try_again(&self, now_ms: u64, rules: &Rules) -> bool {
        let until = self.out_until_ms.load(Relaxed);
        let next = if self.loading.load(Relaxed) {
            now_ms + millis(LOADING_FOR)
        } else {
            now_ms + self.time_out_ms(rules)
        };
        let is_first = || self.out_until_ms.compare_exchange(until, next, Relaxed, Relaxed);
        let may = until != 0 && until <= now_ms && is_first().is_ok();
        if may {
            self.on_trial.store(true, Relaxed);
        }
        may
    }

    /// Thousandths of its share: less for a while after it came back.
    pub(crate) fn strength(&self, now_ms: u64) -> u32 {
        let back_at = self.back_at_ms.load(Relaxed);
        let since = now_ms.saturating_sub(back_at);
        if back_at == 0 || since >= millis(SLOW_START) {
            return 1000;
        }
        let grown = (1000 - STRENGTH_MIN) * since / millis(SLOW_START);
        u32::try_from(STRENGTH_MIN + grown).unwrap_or(1000)
    }

    /// It answered, and not with a server error.
    pub(crate) fn succeeded(&self, now_ms: u64) {
        // Nearly always there is nothing to clear, and looking moves no cache line.
        if self.errors.load(Relaxed) != 0 {
            self.errors.store(0, Relaxed);
        }
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if self.out_until_ms.load(Relaxed) != 0 {
            self.out_until_ms.store(0, Relaxed);
            self.back(now_ms);
        }
        if self.times_out.load(Relaxed) != 0 {
            self.times_out.store(0, Relaxed);
        }
        if self.silent.load(Relaxed) {
            self.silent.store(false, Relaxed);
        }
        if self.loading.load(Relaxed) {
            self.loading.store(false, Relaxed);
        }
    }

    /// Its first byte came after so long.
    pub(crate) fn answered_in(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).clamp(1, 1 << 40);
        let before = self.first_byte_us.load(Relaxed);
        let smoothed = if before == 0 {
            took
        } else {
            (before * (SMOOTHING - 1) + took) / SMOOTHING
        };
        // Two at a time lose one of both: it is an estimate.
        self.first_byte_us.store(smoothed.max(1), Relaxed);
        self.answers.fetch_add(1, Relaxed);
    }

    /// It answered with a server error. True where that leaves it out.
    pub(crate) fn erred(&self, now_ms: u64, rules: &Rules) -> bool {
        self.counts(&self.errors, rules.errors_max, now_ms, rules)
    }

    /// It could not be reached, or broke off. True where that leaves it out.
    pub(crate) fn failed(&self, now_ms: u64, rules: &Rules) -> bool {
        self.counts(&self.failures, rules.failures_max, now_ms, rules)
    }

    fn counts(&self, counter: &AtomicU32, most: u32, now_ms: u64, rules: &Rules) -> bool {
        let before = self.failed_at_ms.swap(now_ms, Relaxed);
        if now_ms.saturating_sub(before) > millis(rules.window) {
            counter.store(0, Relaxed);
        }
        let count = counter.fetch_add(1, Relaxed) + 1;
        let is_out = count >= most || self.times_out.load(Relaxed) > 0;
        if is_out {
            self.leave_out(now_ms, rules);
        }
        is_out
    }

    /// Leaves it out, for longer each time. What fails while it is out was sent before, and does not count again, unless it
    /// is what tried it.
    pub(crate) fn leave_out(&self, now_ms: u64, rules: &Rules) {
        self.loading.store(false, Relaxed);
        let until = self.out_until_ms.load(Relaxed);
        let was_tried = self.on_trial.swap(false, Relaxed);
        if until > now_ms && !was_tried {
            return;
        }
        let out_ms = self.time_out_ms(rules);
        let left_out = self
            .out_until_ms
            .compare_exchange(until, now_ms + out_ms, Relaxed, Relaxed);
        if left_out.is_ok() {
            self.times_out.fetch_add(1, Relaxed);
        }
    }

    fn time_out_ms(&self, rules: &Rules) -> u64 {
        let doubled = millis(rules.out_min).saturating_mul(1 << self.times_out.load(Relaxed).min(20));
        doubled.min(millis(rules.out_max)).max(1)
    }

    /// It said that it is loading its model: no fault, and no reason to be left out for longer each time.
    pub(crate) fn is_loading(&self, now_ms: u64) {
        self.loading.store(true, Relaxed);
        self.out_until_ms.store(now_ms + millis(LOADING_FOR), Relaxed);
    }

    /// What its health check says. True where that is news.
    pub(crate) fn checked(&self, is_healthy: bool, now_ms: u64) -> bool {
        let was_down = self.down.swap(!is_healthy, Relaxed);
        self.silent.store(false, Relaxed);
        // What was refused then is not now. (Errors are another matter: a check asks for little.)
        let was_refused = self.failures.load(Relaxed) > 0 && self.errors.load(Relaxed) == 0;
        if is_healthy && (was_down || was_refused) {
            self.failures.store(0, Relaxed);
            self.out_until_ms.store(0, Relaxed);
            self.times_out.store(0, Relaxed);
            self.back(now_ms);
        }
        if !is_healthy {
            // Also for those that came to wait since the last time.
            self.lost.notify_waiters();
        }
        was_down == is_healthy
    }

    /// Its health check goes unanswered. True where that is news.
    pub(crate) fn is_silent(&self) -> bool {
        !self.silent.swap(true, Relaxed)
    }

    fn back(&self, now_ms: u64) {
        self.back_at_ms.store(now_ms.max(1), Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
