//! Tokens per period: checked before a request, charged as its answer passes.
//!
//! Periods are counted from the Unix epoch, so a day is a day in UTC and two edges agree on it. One word holds both what
//! period it is and what was used in it, so a new period begins in the same step that charges to it:
//!
//! ```text
//!  63            40 39                                    0
//!  ┌───────────────┬──────────────────────────────────────┐
//!  │ period, mod 2²⁴ │ tokens used, at most 2⁴⁰-1           │
//!  └───────────────┴──────────────────────────────────────┘
//! ```
//!
//! A request may begin while anything is left and finishes what it began, so what is used may exceed the amount by what
//! was in flight; the next is refused. Whoever needs that bounded too adds `inFlightReq`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::{Instant64, nanoseconds};

const USED_BITS: u32 = 40;

/// A million tokens a second for twelve days: no period needs more, and more could not be counted.
pub(crate) const AMOUNT_MAX: u64 = (1 << USED_BITS) - 1;

const PERIODS: u64 = 1 << (64 - USED_BITS);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    amount: u64,
    period_ns: u64,
}

/// What is left of a budget, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) left: u64,
    pub(crate) renewed_in: Duration,
}

impl Budget {
    pub(crate) fn new(amount: u64, period: Duration) -> Self {
        Self {
            amount: amount.min(AMOUNT_MAX),
            period_ns: nanoseconds(period).max(1),
        }
    }

    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }

    pub(crate) fn period_ns(&self) -> u64 {
        self.period_ns
    }

    /// What is left now.
    pub(crate) fn balance(&self, word: &AtomicU64, now: Instant64) -> Balance {
        let used = self.used(word.load(Ordering::Relaxed), now);
        let period_end = (now.0 / self.period_ns)
            .saturating_add(1)
            .saturating_mul(self.period_ns);
        Balance {
            left: self.amount.saturating_sub(used),
            renewed_in: now.until(period_end),
        }
    }

    /// Charges tokens to the current period; negative ones take back what was charged too much.
    pub(crate) fn charge(&self, word: &AtomicU64, now: Instant64, tokens: i64) {
        let mine = self.period(now);
        let charged = |seen: u64| {
            let theirs = seen >> USED_BITS;
            // Another thread's clock was read a moment later, and a new period has begun: its count is not undone.
            let period = if theirs == (mine + 1) % PERIODS { theirs } else { mine };
            let used = if theirs == period { seen & AMOUNT_MAX } else { 0 };
            Some(period << USED_BITS | used.saturating_add_signed(tokens).min(AMOUNT_MAX))
        };
        // It cannot fail: there is always a next value.
        let _ = word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, charged);
    }

    /// What was used in the current period.
    pub(crate) fn used(&self, seen: u64, now: Instant64) -> u64 {
        if seen >> USED_BITS == self.period(now) {
            seen & AMOUNT_MAX
        } else {
            0
        }
    }

    /// The word that says that so much was used in the current period.
    pub(crate) fn word(&self, used: u64, now: Instant64) -> u64 {
        self.period(now) << USED_BITS | used.min(AMOUNT_MAX)
    }

    fn period(&self, now: Instant64) -> u64 {
        now.0 / self.period_ns % PERIODS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400 * 1_000_000_000;
    /// A midnight.
    const BEGIN: u64 = 20_000 * DAY;

    fn daily(amount: u64) -> Budget {
        Budget::new(amount, Duration::from_secs(86_400))
    }

    #[test]
    fn a_budget_is_used_up_and_renewed_at_the_period_s_end() {
        let (budget, word) = (daily(100), AtomicU64::new(0));
        let noon = Instant64(BEGIN + DAY / 2);
        assert_eq!(budget.balance(&word, noon).left, 100);
        budget.charge(&word, noon, 60);
        assert_eq!(
            budget.balance(&word, noon),
            Balance {
                left: 40,
                renewed_in: Duration::from_secs(43_200)
            }
        );
        // A stream that passes the limit may finish.
        budget.charge(&word, noon, 70);
        assert_eq!(budget.balance(&word, noon).left, 0);
        assert_eq!(budget.balance(&word, Instant64(BEGIN + DAY - 1)).left, 0);
        assert_eq!(budget.balance(&word, Instant64(BEGIN + DAY)).left, 100);
    }

    #[test]
    fn an_estimate_is_corrected_and_never_below_nothing() {
        let (budget, word, now) = (daily(100), AtomicU64::new(0), Instant64(BEGIN));
        budget.charge(&word, now, 50);
        budget.charge(&word, now, -20);
        assert_eq!(budget.balance(&word, now).left, 70);
        // The correction of a stream that began yesterday.
        let tomorrow = Instant64(BEGIN + DAY);
        budget.charge(&word, tomorrow, -20);
        assert_eq!(budget.balance(&word, tomorrow).left, 100);
    }

    #[test]
    fn a_clock_read_before_the_renewal_does_not_undo_it() {
        let (budget, word) = (daily(100), AtomicU64::new(0));
        budget.charge(&word, Instant64(BEGIN + DAY), 30);
        budget.charge(&word, Instant64(BEGIN + DAY - 1), 5);
        assert_eq!(budget.balance(&word, Instant64(BEGIN + DAY)).left, 65);
    }

    #[test]
    fn the_largest_numbers_are_counted_or_clamped() {
        let (budget, word, now) = (daily(u64::MAX), AtomicU64::new(0), Instant64(u64::MAX - 1));
        assert_eq!(budget.amount(), AMOUNT_MAX);
        budget.charge(&word, now, i64::MAX);
        assert_eq!(budget.balance(&word, now).left, 0);
        assert_eq!(Budget::new(1, Duration::ZERO).period_ns(), 1);
    }

    #[test]
    fn sixty_four_threads_lose_no_token_also_across_a_renewal() {
        let (budget, word) = (daily(AMOUNT_MAX), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    for step in 0..2_000u64 {
                        budget.charge(&word, Instant64(BEGIN + DAY + step), 3);
                    }
                });
            }
        });
        assert_eq!(
            budget.used(word.load(Ordering::SeqCst), Instant64(BEGIN + DAY)),
            64 * 2_000 * 3
        );
    }
}
