//! A lock that is not queued for where its holder is stuck. Invariant: entering takes about `stall_max` at most, and no
//! time at all once somebody has waited for the same holder for that long.
//!
//! Whoever enters looks at no clock: only who has to wait does.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

pub(super) struct Gate<T> {
    inside: Mutex<T>,
    /// Which holder it is, or was: their number.
    holder: AtomicU64,
    /// The holder that was waited for in vain. It is believed of no other.
    stuck: AtomicU64,
    stall_max: Duration,
}

impl<T> Gate<T> {
    pub(super) fn new(inside: T, stall_max: Duration) -> Self {
        Self {
            inside: Mutex::new(inside),
            holder: AtomicU64::new(0),
            stuck: AtomicU64::new(u64::MAX),
            stall_max,
        }
    }

    /// `None`: the holder is stuck.
    pub(super) fn enter(&self) -> Option<Entered<'_, T>> {
        let guard = match self.inside.try_lock() {
            Some(guard) => guard,
            None => self.wait()?,
        };
        Some(self.entered(guard))
    }

    #[cold]
    fn wait(&self) -> Option<MutexGuard<'_, T>> {
        let holder = self.holder.load(Relaxed);
        if self.stuck.load(Relaxed) == holder {
            return self.inside.try_lock();
        }
        let waited = self.inside.try_lock_for(self.stall_max);
        // Where there were others meanwhile, it was a crowd and nobody was stuck.
        if waited.is_none() && self.holder.load(Relaxed) == holder {
            self.stuck.store(holder, Relaxed);
        }
        waited
    }

    /// Waits however long it takes.
    pub(super) fn enter_patiently(&self) -> Entered<'_, T> {
        self.entered(self.inside.lock())
    }

    fn entered<'a>(&self, guard: MutexGuard<'a, T>) -> Entered<'a, T> {
        // Who is inside is alone in writing it.
        self.holder.store(self.holder.load(Relaxed).wrapping_add(1), Relaxed);
        Entered { guard }
    }
}

pub(super) struct Entered<'a, T> {
    guard: MutexGuard<'a, T>,
}

impl<T> Deref for Entered<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Entered<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
