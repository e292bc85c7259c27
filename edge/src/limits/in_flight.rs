//! Exchanges at once: a slot is taken or refused in one atomic step, and freed by being dropped.
//!
//! Freed however its holder ends, also by a panic or a future that is dropped: there is no other way to give a slot
//! back, so none can be forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One of the slots.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicU64>);

/// Takes a slot where fewer than `amount` are taken; tells how many are taken with it.
pub(crate) fn take(taken: &Arc<AtomicU64>, amount: u64) -> Option<(Slot, u64)> {
    let more = |count: u64| (count < amount).then_some(count + 1);
    let before = taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok()?;
    Some((Slot(taken.clone()), before + 1))
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_four_threads_never_hold_more_and_leak_none() {
        const AMOUNT: u64 = 7;
        let (taken, inside) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
        let refused = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        match take(&taken, AMOUNT) {
                            Some((slot, count)) => {
                                assert!(count <= AMOUNT);
                                assert!(inside.fetch_add(1, Ordering::SeqCst) < AMOUNT);
                                inside.fetch_sub(1, Ordering::SeqCst);
                                drop(slot);
                            }
                            None => drop(refused.fetch_add(1, Ordering::SeqCst)),
                        }
                    }
                });
            }
        });
        assert_eq!(taken.load(Ordering::SeqCst), 0);
        assert!(take(&taken, 0).is_none(), "none allowed is none");
    }

    #[test]
    fn a_panic_frees_its_slot() {
        let taken = Arc::new(AtomicU64::new(0));
        let held = taken.clone();
        let ended = std::thread::spawn(move || {
            let _slot = take(&held, 1).expect("a slot");
            std::panic::resume_unwind(Box::new("the exchange ends here"));
        });
        assert!(ended.join().is_err());
        assert!(take(&taken, 1).is_some());
    }
}
