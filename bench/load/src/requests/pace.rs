//! When the window opens and closes, and when requests fall due.

use super::RequestsArgs;
use crate::clock::{NANOS_PER_S, now_ns, seconds_to_ns};

pub(crate) struct Pace {
    pub(crate) window_ns: u64,
    pub(crate) end_ns: u64,
    /// The next request; never, in a closed loop.
    pub(crate) next_ns: u64,
    interval_ns: f64,
    due: u64,
    start_ns: u64,
}

impl Pace {
    pub(crate) fn new(args: &RequestsArgs) -> Self {
        let start_ns = now_ns();
        let window_ns = start_ns + seconds_to_ns(args.warmup);
        Self {
            window_ns,
            end_ns: window_ns + seconds_to_ns(args.duration),
            next_ns: if args.rate.is_some() { start_ns } else { u64::MAX },
            interval_ns: NANOS_PER_S as f64 / args.rate.unwrap_or(1.0),
            due: 0,
            start_ns,
        }
    }

    pub(crate) fn step(&mut self) {
        // From the start each time, so that rounding does not add up.
        self.due += 1;
        self.next_ns = self.start_ns + (self.due as f64 * self.interval_ns) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_fall_due_at_the_rate_without_drift() {
        let mut pace = Pace {
            window_ns: 0,
            end_ns: 0,
            next_ns: 1_000,
            interval_ns: NANOS_PER_S as f64 / 30_000.0,
            due: 0,
            start_ns: 1_000,
        };
        for _ in 0..30_000 * 10 {
            pace.step();
        }
        assert_eq!(pace.next_ns, 1_000 + 10 * NANOS_PER_S);
    }
}
