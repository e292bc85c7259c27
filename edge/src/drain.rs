//! The end of an edge: telling every connection, and waiting until none is being served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Whether the edge is stopping. A connection asks with one atomic read, and is woken once when it begins.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    stopping: AtomicBool,
    begun: Notify,
}

impl Stop {
    pub(crate) fn begin(&self) {
        self.stopping.store(true, Ordering::Release);
        self.begun.notify_waiters();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Wakes the task that enabled it; [`Stop::is_stopping`] says then.
    pub(crate) fn stopped(&self) -> Notified<'_> {
        self.begun.notified()
    }

    /// Returns once stopping has begun.
    pub(crate) async fn wait(&self) {
        let begun = self.stopped();
        tokio::pin!(begun);
        // Registered before the state is read, so that the beginning is not missed.
        begun.as_mut().enable();
        if !self.is_stopping() {
            begun.await;
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    changed: Notify,
}

/// Counts one connection for as long as it lives.
pub(crate) struct Guard(Arc<InFlight>);

impl InFlight {
    pub(crate) fn enter(self: &Arc<Self>) -> Guard {
        self.count.fetch_add(1, Ordering::AcqRel);
        Guard(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Returns once nothing is in flight.
    pub(crate) async fn none_left(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the count is read, so that a change in between is not missed.
            changed.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_waiters();
        }
    }
}
