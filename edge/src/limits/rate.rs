//! Requests per period, with a burst: Traefik's token bucket, exact and in one atomic word.
//!
//! A bucket of `burst` tokens that is refilled by `average` a `period` is the same as a time: when the bucket will be
//! full again (the theoretical arrival time of the generic cell rate algorithm). A request moves it on by the time in
//! which one token is refilled, and is refused where it would then lie more than `burst` such times ahead. One word, so
//! one compare-and-exchange decides, and no two threads can take the same token.
//!
//! The time of one token is rounded up to a nanosecond: a bucket never gives one too many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::{Instant64, nanoseconds};

/// So that no sum of it and a time of day overflows.
const FILLING_NS_MAX: u64 = u64::MAX / 4;

/// A bucket's size and how it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Until one token is refilled.
    token_ns: u64,
    burst: u64,
}

/// A bucket after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filling {
    /// Whole tokens left.
    pub(crate) left: u64,
    /// Until the bucket is full.
    pub(crate) full_in: Duration,
}

/// The bucket is empty: when it has a token again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Empty {
    pub(crate) token_in: Duration,
    pub(crate) full_in: Duration,
}

impl Rate {
    /// `None` where nothing is limited: Traefik's `average: 0`.
    pub(crate) fn new(average: u64, period: Duration, burst: u64) -> Option<Self> {
        if average == 0 {
            return None;
        }
        // A bucket that takes a lifetime to fill is no different from one that never does.
        let token_ns = nanoseconds(period).div_ceil(average).clamp(1, FILLING_NS_MAX);
        let burst_max = FILLING_NS_MAX / token_ns;
        Some(Self {
            token_ns,
            burst: burst.clamp(1, burst_max),
        })
    }

    pub(crate) fn burst(&self) -> u64 {
        self.burst
    }

    /// What one token is in the word, so that a changed limit can be told what was used under the old one.
    pub(crate) fn token_ns(&self) -> u64 {
        self.token_ns
    }

    /// Takes a token.
    pub(crate) fn take(&self, full_at: &AtomicU64, now: Instant64) -> Result<Filling, Empty> {
        let mut seen = full_at.load(Ordering::Relaxed);
        loop {
            let after = self.after_one(seen, now)?;
            match full_at.compare_exchange_weak(seen, after, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(self.filling(after, now)),
                Err(changed) => seen = changed,
            }
        }
    }

    /// Whether a token could be taken, and what would then be left. Nothing is.
    pub(crate) fn peek(&self, full_at: &AtomicU64, now: Instant64) -> Result<Filling, Empty> {
        let after = self.after_one(full_at.load(Ordering::Relaxed), now)?;
        Ok(self.filling(after, now))
    }

    /// Puts back what was taken at `taken` by a request that came to nothing.
    ///
    /// Where a token's time has passed since, the bucket may have been full in between, and a token put back would be
    /// one too many: then it stays taken.
    pub(crate) fn put_back(&self, full_at: &AtomicU64, taken: Instant64, now: Instant64) {
        if now.0 < taken.0.saturating_add(self.token_ns) {
            let less = |full_at: u64| Some(full_at.saturating_sub(self.token_ns));
            let _ = full_at.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
        }
    }

    /// How full the bucket is.
    #[cfg(test)]
    pub(crate) fn now(&self, full_at: &AtomicU64, now: Instant64) -> Filling {
        self.filling(full_at.load(Ordering::Relaxed), now)
    }

    fn after_one(&self, full_at: u64, now: Instant64) -> Result<u64, Empty> {
        let after = full_at.max(now.0).saturating_add(self.token_ns);
        let allowed_at = after.saturating_sub(self.burst * self.token_ns);
        if allowed_at > now.0 {
            return Err(Empty {
                token_in: now.until(allowed_at),
                full_in: now.until(full_at),
            });
        }
        Ok(after)
    }

    fn filling(&self, full_at: u64, now: Instant64) -> Filling {
        let missing_ns = full_at.saturating_sub(now.0);
        Filling {
            left: self.burst.saturating_sub(missing_ns.div_ceil(self.token_ns)),
            full_in: Duration::from_nanos(missing_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const BEGIN: u64 = 1_790_000_000 * SECOND;

    fn at(ns: u64) -> Instant64 {
        Instant64(BEGIN + ns)
    }

    fn rate(average: u64, period_s: u64, burst: u64) -> Rate {
        Rate::new(average, Duration::from_secs(period_s), burst).expect("limited")
    }

    #[test]
    fn a_bucket_gives_its_burst_then_its_average() {
        let (limit, word) = (rate(60, 60, 10), AtomicU64::new(0));
        for left in (0..10).rev() {
            assert_eq!(limit.take(&word, at(0)).map(|filling| filling.left), Ok(left));
        }
        let empty = limit.take(&word, at(0)).expect_err("empty");
        assert_eq!(
            (empty.token_in, empty.full_in),
            (Duration::from_secs(1), Duration::from_secs(10))
        );
        assert!(limit.take(&word, at(SECOND - 1)).is_err(), "a nanosecond early");
        assert!(limit.take(&word, at(SECOND)).is_ok());
        assert!(limit.take(&word, at(SECOND)).is_err());
        // A long rest fills it, and no further than its size.
        assert_eq!(
            (0..99).filter(|_| limit.take(&word, at(3600 * SECOND)).is_ok()).count(),
            10
        );
    }

    #[test]
    fn traefik_s_special_values() {
        assert_eq!(
            Rate::new(0, Duration::from_secs(1), 5),
            None,
            "average 0 limits nothing"
        );
        assert_eq!(rate(5, 1, 0).burst(), 1, "no burst is a burst of one");
        let fastest = Rate::new(u64::MAX, Duration::from_nanos(1), u64::MAX).expect("limited");
        assert!(fastest.take(&AtomicU64::new(0), at(0)).is_ok());
        let slowest = Rate::new(1, Duration::MAX, u64::MAX).expect("limited");
        let word = AtomicU64::new(0);
        assert!(slowest.take(&word, at(0)).is_ok() && slowest.take(&word, at(0)).is_err());
    }

    #[test]
    fn what_is_put_back_can_be_taken_and_no_more() {
        let (limit, word) = (rate(1, 1, 2), AtomicU64::new(0));
        assert!(limit.take(&word, at(0)).is_ok() && limit.take(&word, at(0)).is_ok());
        limit.put_back(&word, at(0), at(5));
        assert!(limit.take(&word, at(5)).is_ok() && limit.take(&word, at(5)).is_err());
        // A second later time has put it back already.
        let (limit, word) = (rate(1, 1, 2), AtomicU64::new(0));
        assert!(limit.take(&word, at(0)).is_ok());
        limit.put_back(&word, at(0), at(SECOND));
        assert_eq!((0..9).filter(|_| limit.take(&word, at(SECOND)).is_ok()).count(), 2);
    }

    #[test]
    fn sixty_four_threads_never_get_one_too_many() {
        let (limit, word) = (rate(1000, 1, 500), Arc::new(AtomicU64::new(0)));
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..64)
                .map(|_| {
                    let word = word.clone();
                    scope.spawn(move || (0..2_000).filter(|_| limit.take(&word, at(0)).is_ok()).count())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(taken, 500);
    }

    #[test]
    fn threads_that_put_back_what_they_took_leave_a_full_bucket() {
        let (limit, word, go) = (rate(10, 60, 64), Arc::new(AtomicU64::new(0)), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    while !go.load(Ordering::Acquire) {
                        std::hint::spin_loop();
                    }
                    for _ in 0..2_000 {
                        limit.take(&word, at(0)).expect("never more than 16 of 64");
                        limit.put_back(&word, at(0), at(1));
                    }
                });
            }
            go.store(true, Ordering::Release);
        });
        assert_eq!((0..99).filter(|_| limit.take(&word, at(0)).is_ok()).count(), 64);
    }

    proptest! {
        /// Against the bucket as one would write it down: tokens as a fraction, refilled as time passes.
        #[test]
        fn it_is_the_token_bucket(
            average in 1u64..50, period_s in 1u64..100, burst in 1u64..20,
            steps in proptest::collection::vec(0u64..5_000_000_000, 1..200),
        ) {
            let (limit, word) = (rate(average, period_s, burst), AtomicU64::new(0));
            // In units of a token's time over a nanosecond, so that there is nothing to round.
            let token = u128::from(limit.token_ns());
            let full = u128::from(burst) * token;
            let (mut now, mut tokens) = (0u64, full);
            for step in steps {
                now += step;
                tokens = (tokens + u128::from(step)).min(full);
                let expected = tokens >= token;
                let got = limit.take(&word, at(now));
                prop_assert_eq!(got.is_ok(), expected);
                if expected {
                    tokens -= token;
                    prop_assert_eq!(u128::from(got.expect("taken").left), tokens / token);
                } else {
                    let wait = got.expect_err("refused").token_in.as_nanos();
                    prop_assert_eq!(wait, token - tokens);
                }
            }
        }
    }
}
