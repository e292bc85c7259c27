//! Time for limits: nanoseconds since the Unix epoch that never go back.
//!
//! The wall clock is read once, when the edge starts; from there on the monotonic clock counts. So a limit's state means
//! something after a restart, and a clock that is set back refills nothing.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch. They fit until the year 2554.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant64(pub(crate) u64);

impl Instant64 {
    pub(crate) fn unix_seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// How long until `later`; nothing where that has been.
    pub(crate) fn until(self, later: u64) -> Duration {
        Duration::from_nanos(later.saturating_sub(self.0))
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: Instant,
    started_unix_ns: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: Instant::now(),
            started_unix_ns: nanoseconds(since_epoch),
        }
    }

    /// What time it was at an instant that was read already.
    pub(crate) fn at(&self, instant: Instant) -> Instant64 {
        let since = instant.saturating_duration_since(self.started);
        Instant64(self.started_unix_ns.saturating_add(nanoseconds(since)))
    }

    pub(crate) fn now(&self) -> Instant64 {
        self.at(Instant::now())
    }
}

/// As an integer; what does not fit is as long as it gets.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
