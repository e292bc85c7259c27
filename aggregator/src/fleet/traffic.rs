//! What is known of a backend from the requests sent to it: how many are in flight, how fast it is, whether it fails.
//!
//! Atomics, shared by every edition of the view: a reload or a heartbeat forgets none of it. A failed request suspends
//! the backend at once; a heartbeat that began after the suspension has run out ends it. Each suspension that follows
//! another without a request that went well is twice as long, so that a backend that answers heartbeats and fails
//! requests is not tried again and again.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// The first suspension, and the longest.
const SUSPENSION_MIN: Duration = Duration::from_secs(1);
const SUSPENSION_MAX: Duration = Duration::from_secs(60);

/// A new measurement counts for one part in so many.
const EWMA_PARTS: u64 = 5;

#[derive(Debug, Default)]
pub(crate) struct Traffic {
    in_flight: AtomicU32,
    /// From sending a request to its first byte; 0 where none was measured.
    first_byte_us: AtomicU64,
    heartbeat_us: AtomicU64,
    /// Suspensions since the last request that went well.
    suspensions: AtomicU32,
    /// Moment since the process's epoch; 0 where it is not suspended.
    suspended_until_us: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    /// An operator has taken it out of the choice.
    draining: AtomicBool,
}

impl Traffic {
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests' time to first byte, or the heartbeat's where no request was measured yet.
    pub(crate) fn latency(&self) -> Option<Duration> {
        let measured = |cell: &AtomicU64| Some(cell.load(Ordering::Relaxed)).filter(|us| *us > 0);
        measured(&self.first_byte_us)
            .or_else(|| measured(&self.heartbeat_us))
            .map(Duration::from_micros)
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended_until_us.load(Ordering::Relaxed) != 0
    }

    /// Whether it gets no new requests until somebody says otherwise.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether that is news.
    pub(crate) fn drain(&self, draining: bool) -> bool {
        self.draining.swap(draining, Ordering::Relaxed) != draining
    }

    pub(crate) fn answered_total(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn failed_total(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Counts a request in flight until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    pub(crate) fn heartbeat_took(&self, time: Duration) {
        blend(&self.heartbeat_us, time);
    }

    /// A heartbeat that began at this moment went well.
    pub(crate) fn heartbeat_went_well(&self, began: Instant) {
        let until = self.suspended_until_us.load(Ordering::Relaxed);
        if until != 0 && since_epoch(began) >= until {
            // Where a request failed in between, its suspension stays.
            let _ = self
                .suspended_until_us
                .compare_exchange(until, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// A request was answered.
    pub(super) fn answered(&self, time: Duration) {
        blend(&self.first_byte_us, time);
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.suspensions.store(0, Ordering::Relaxed);
        self.suspended_until_us.store(0, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn failed_for_test(&self) {
        self.failed();
    }

    /// A request failed. For how long the backend is suspended, unless it is so already: all the requests that a dying
    /// server takes with it are one failure.
    pub(super) fn failed(&self) -> Option<Duration> {
        if self.is_suspended() {
            return None;
        }
        let before = self.suspensions.load(Ordering::Relaxed);
        let pause = SUSPENSION_MIN.saturating_mul(1 << before.min(16)).min(SUSPENSION_MAX);
        let until = since_epoch(Instant::now() + pause);
        self.suspended_until_us
            .compare_exchange(0, until, Ordering::Relaxed, Ordering::Relaxed)
            .ok()?;
        self.suspensions.store(before.saturating_add(1), Ordering::Relaxed);
        self.failed.fetch_add(1, Ordering::Relaxed);
        Some(pause)
    }
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Traffic>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Two measurements at once may lose one of them: an average does not mind.
fn blend(cell: &AtomicU64, time: Duration) {
    let new = u64::try_from(time.as_micros()).unwrap_or(u64::MAX / EWMA_PARTS).max(1);
    let old = cell.load(Ordering::Relaxed);
    let blended = if old == 0 {
        new
    } else {
        (old / EWMA_PARTS)
            .saturating_mul(EWMA_PARTS - 1)
            .saturating_add(new / EWMA_PARTS)
            .max(1)
    };
    cell.store(blended, Ordering::Relaxed);
}

/// Never 0, which means "not suspended".
fn since_epoch(moment: Instant) -> u64 {
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    let epoch = *EPOCH;
    u64::try_from(moment.saturating_duration_since(epoch).as_micros())
        .unwrap_or(u64::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_flight_is_given_back_however_it_ends() {
        let traffic = Arc::new(Traffic::default());
        let one = traffic.begin();
        let two = traffic.begin();
        assert_eq!(traffic.in_flight(), 2);
        drop(one);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _two = two;
            panic!("a handler's defect")
        }));
        assert!(ended.is_err());
        assert_eq!(traffic.in_flight(), 0);
    }

    #[test]
    fn a_failure_suspends_until_a_heartbeat_begun_after_the_pause() {
        let traffic = Traffic::default();
        let pause = traffic.failed().unwrap();
        assert_eq!(pause, SUSPENSION_MIN);
        assert_eq!(
            traffic.failed(),
            None,
            "a dying server's other requests are the same failure"
        );
        traffic.heartbeat_went_well(Instant::now());
        assert!(traffic.is_suspended(), "the pause is not over");
        traffic.heartbeat_went_well(Instant::now() + pause);
        assert!(!traffic.is_suspended());
        assert_eq!(traffic.failed(), Some(SUSPENSION_MIN * 2));
        traffic.answered(Duration::from_millis(1));
        assert!(!traffic.is_suspended());
        assert_eq!(
            traffic.failed(),
            Some(SUSPENSION_MIN),
            "a request that went well makes good"
        );
    }

    #[test]
    fn suspensions_have_an_end() {
        let traffic = Traffic::default();
        for _ in 0..40 {
            let pause = traffic.failed().unwrap();
            assert!(pause <= SUSPENSION_MAX);
            traffic.heartbeat_went_well(Instant::now() + pause);
        }
    }

    #[test]
    fn requests_tell_more_of_the_latency_than_heartbeats() {
        let traffic = Traffic::default();
        assert_eq!(traffic.latency(), None);
        traffic.heartbeat_took(Duration::from_millis(2));
        assert_eq!(traffic.latency(), Some(Duration::from_millis(2)));
        for _ in 0..100 {
            traffic.answered(Duration::from_millis(500));
        }
        let latency = traffic.latency().unwrap();
        assert!((490..=510).contains(&latency.as_millis()), "{latency:?}");
    }
}
