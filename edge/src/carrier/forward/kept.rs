//! How much of all requests together is kept for second attempts.
//!
//! A prompt is kept until its answer begins, so that a connection which died idle costs a retry and not a 502. Small
//! ones are few kilobytes a connection; larger ones share one budget, and what finds it empty gets a fresh connection.
//!
//! Where a service has several servers, a prompt of any length is kept, so that another of them can take it over; it
//! takes its share of the budget as it comes, not as it is announced. What finds nothing left is still forwarded, and is
//! then tried once: spilling it to a disk would make a disk's trouble the request's, for a case (a quarter of a gigabyte of
//! prompts on their way at one moment) in which there is trouble enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Of one body without asking.
pub(super) const SMALL_BYTES: usize = 64 * 1024;

/// Of one body at most: a prompt of a quarter of a million tokens. What is longer gets a fresh connection at once: next
/// to reading such a prompt, connecting costs nothing.
pub(super) const LARGE_BYTES: usize = 1 << 20;

/// The share of a body of any length grows by so much at a time.
pub(super) const STEP_BYTES: usize = 1 << 20;

/// Of all larger bodies together.
const BUDGET_BYTES: usize = 256 << 20;

#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicUsize,
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Portion {
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
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Portion> {
        self.reserve(bytes).then(|| Portion {
            budget: self.clone(),
            bytes,
        })
    }

    fn reserve(&self, bytes: usize) -> bool {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.is_ok()
    }
}

impl Portion {
    /// Makes it so large at least; false where so much is not left.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let has_room = self.budget.reserve(more);
        if has_room {
            self.bytes += more;
        }
        has_room
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
        let mut growing = budget.take(10).expect("ten");
        assert!(growing.grow_to(BUDGET_BYTES) && growing.grow_to(5) && !growing.grow_to(BUDGET_BYTES + 1));
        drop(growing);
        assert!(budget.take(BUDGET_BYTES).is_some());
    }
}
