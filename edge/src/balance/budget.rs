//! How many second attempts a service may be asked: a share of its requests, and a few beside.
//!
//! Where everything fails, every retry fails too, and is load for servers that have too much already. So retries are paid
//! for by requests: a fifth of them, and ten a second on top, so that a service with little traffic has them too. What was
//! not spent is kept for the moment at which a server dies with all it has in flight, up to ten seconds' worth.
//!
//! An attempt that was refused a connection costs nobody anything, and is not counted here.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Everything is counted in thousandths of a retry.
const RETRY: i64 = 1000;
const PER_REQUEST: i64 = RETRY / 5;
const PER_MILLISECOND: i64 = 10 * RETRY / 1000;

/// A hundred streams may be on a server that dies.
const SAVED_MAX: i64 = 100 * RETRY;

#[derive(Debug)]
pub(crate) struct RetryBudget {
    saved: AtomicI64,
    filled_at_ms: AtomicU64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            saved: AtomicI64::new(SAVED_MAX),
            filled_at_ms: AtomicU64::new(0),
        }
    }
}

impl RetryBudget {
    /// A request came.
    pub(crate) fn deposit(&self) {
        // Above the bound nothing is lost by not counting; two at a time may pass it by a request's worth.
        if self.saved.load(Relaxed) < SAVED_MAX {
            self.saved.fetch_add(PER_REQUEST, Relaxed);
        }
    }

    /// Whether a retry may be made; if so, it is paid for.
    pub(crate) fn withdraw(&self, now_ms: u64) -> bool {
        let before = self.filled_at_ms.fetch_max(now_ms, Relaxed);
        let since = i64::try_from(now_ms.saturating_sub(before)).unwrap_or(i64::MAX);
        let earned = since.saturating_mul(PER_MILLISECOND).min(SAVED_MAX);
        let paid = self.saved.fetch_update(Relaxed, Relaxed, |saved| {
            let saved = saved.saturating_add(earned).min(SAVED_MAX);
            (saved >= RETRY).then_some(saved - RETRY)
        });
        if paid.is_err() && earned > 0 {
            self.saved.fetch_add(earned, Relaxed);
        }
        paid.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawn(budget: &RetryBudget, now_ms: u64) -> usize {
        (0..1000).take_while(|_| budget.withdraw(now_ms)).count()
    }

    #[test]
    fn retries_are_a_fifth_of_the_requests_and_ten_a_second() {
        let budget = RetryBudget::default();
        assert_eq!(withdrawn(&budget, 1), 100, "what was saved");
        assert_eq!(withdrawn(&budget, 1_001), 10, "a second's worth");
        (0..50).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget, 1_001), 10, "a fifth of fifty");
        assert_eq!(withdrawn(&budget, 3_600_000), 100, "no more is saved");
        let steady = (0..100).filter(|at| budget.withdraw(3_600_000 + at * 10)).count();
        assert!((9..=10).contains(&steady), "ten in a second of asking: {steady}");
        (0..10_000).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget, 3_601_000), 100);
    }
}
