//! How often one server's failures are logged. A dead server is asked by every request that no other can answer: a line
//! for each would drown the log, and is written on the threads that serve.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Between two lines about one server.
const PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Complaints {
    told_at: Mutex<Option<Instant>>,
    held_back: AtomicU64,
}

impl Complaints {
    /// How many were held back since the line before; `None` where this one is held back too.
    pub(crate) fn may_tell(&self, now: Instant) -> Option<u64> {
        let mut told_at = self.told_at.lock();
        if told_at.is_some_and(|told_at| now.saturating_duration_since(told_at) < PAUSE) {
            self.held_back.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *told_at = Some(now);
        Some(self.held_back.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_next_with_how_many_were_held_back() {
        let (complaints, begun) = (Complaints::default(), Instant::now());
        assert_eq!(complaints.may_tell(begun), Some(0));
        assert_eq!(complaints.may_tell(begun), None);
        assert_eq!(complaints.may_tell(begun + PAUSE / 2), None);
        assert_eq!(complaints.may_tell(begun + PAUSE), Some(2));
        assert_eq!(complaints.may_tell(begun + PAUSE * 3), Some(0));
    }
}
