//! A lock that is not queued for where its holder is stuck. Invariant: entering takes about `stall_max` at most, and no
//! time at all once the holder has been inside for that long.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

pub(super) struct Gate<T> {
    inside: Mutex<T>,
    origin: Instant,
    /// When the holder entered, in nanoseconds since `origin`; 0 while there is none.
    entered_ns: AtomicU64,
    stall_max: Duration,
}

impl<T> Gate<T> {
    pub(super) fn new(inside: T, stall_max: Duration) -> Self {
        Self {
            inside: Mutex::new(inside),
            origin: Instant::now(),
            entered_ns: AtomicU64::new(0),
            stall_max,
        }
    }

    /// `None`: the holder is stuck.
    pub(super) fn enter(&self) -> Option<Entered<'_, T>> {
        let guard = match self.inside.try_lock() {
            Some(guard) => guard,
            None => self.inside.try_lock_for(self.stall_max.checked_sub(self.held_for())?)?,
        };
        Some(self.entered(guard))
    }

    /// Waits however long it takes.
    pub(super) fn enter_patiently(&self) -> Entered<'_, T> {
        self.entered(self.inside.lock())
    }

    fn entered<'a>(&'a self, guard: MutexGuard<'a, T>) -> Entered<'a, T> {
        self.entered_ns.store(self.now_ns(), Relaxed);
        Entered {
            guard,
            entered_ns: &self.entered_ns,
        }
    }

    fn held_for(&self) -> Duration {
        match self.entered_ns.load(Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_nanos(self.now_ns().saturating_sub(since)),
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

pub(super) struct Entered<'a, T> {
    guard: MutexGuard<'a, T>,
    entered_ns: &'a AtomicU64,
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

impl<T> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        self.entered_ns.store(0, Relaxed); // Before the lock goes: fields are dropped after this.
    }
}
