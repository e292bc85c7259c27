//! How much of all requests together is kept for second attempts.
//!
//! A prompt is kept until its answer begins, so that a connection which died idle costs a retry and not a 502. Small
//! ones are few kilobytes a connection; larger ones share one budget, and what finds it empty gets a fresh connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Of one body without asking.
pub(super) const SMALL_BYTES: usize = 64 * 1024;

/// Of one body at most: a prompt of a quarter of a million tokens. What is longer gets a fresh connection at once: next
/// to reading such a prompt, connecting costs nothing.
pub(super) const LARGE_BYTES: usize = 1 << 20;

/// Of all larger bodies together.
const BUDGET_BYTES: usize = 256 << 20;

#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicUsize,
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Portion {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: AtomicUsize::new(BUDGET_BYTES),
        }
    }
}

impl Budget {
    /// `None` where so much is not left.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Option<Portion> {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.ok().map(|_| Portion {
            budget: self.clone(),
            bytes,
        })
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_and_no_more_is_given_than_there_is() {
        let budget = Arc::new(Budget::default());
        let most = budget.take(BUDGET_BYTES - 1).expect("all but one");
        assert!(budget.take(2).is_none());
        drop(most);
        assert!(budget.take(BUDGET_BYTES).is_some());
    }
}
