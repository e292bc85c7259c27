//! When a certificate is ordered: pure, so that years can be tested.

use std::time::{Duration, SystemTime};

/// After a first failure. Authorities count failures by the hour: Let's Encrypt allows five for a name.
const BACK_OFF_MIN: Duration = Duration::from_secs(5 * 60);

/// What is still not mended after a day is tried twice a day.
const BACK_OFF_MAX: Duration = Duration::from_secs(12 * 3600);

/// An authority that refuses for the number of orders counts by the hour at least.
const BACK_OFF_LIMITED: Duration = Duration::from_secs(3600);

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) begin: SystemTime,
    pub(super) end: SystemTime,
}

impl Life {
    /// With a third of its life left, or a little before: what was issued together does not come back together.
    /// `jitter` is from 0 to 1.
    pub(super) fn renewal(self, jitter: f64) -> SystemTime {
        let all = self.all();
        let before = all / 3 + (all / 12).mul_f64(jitter.clamp(0.0, 1.0));
        self.end.checked_sub(before).unwrap_or(self.begin)
    }

    /// Within the time that the authority suggests (RFC 9773), but before a tenth is left whatever it says.
    pub(super) fn suggested(self, window: (SystemTime, SystemTime), jitter: f64) -> SystemTime {
        let width = window.1.duration_since(window.0).unwrap_or_default();
        let chosen = window.0 + width.mul_f64(jitter.clamp(0.0, 1.0));
        let latest = self.end.checked_sub(self.all() / 10).unwrap_or(self.begin);
        chosen.min(latest)
    }

    fn all(self) -> Duration {
        self.end.duration_since(self.begin).unwrap_or_default()
    }
}

/// Until the next attempt, after so many failures in a row.
pub(super) fn back_off(failures: u32, is_limited: bool, jitter: f64) -> Duration {
    let doubled = BACK_OFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let least = if is_limited { BACK_OFF_LIMITED } else { BACK_OFF_MIN };
    let wait = doubled.clamp(least, BACK_OFF_MAX);
    wait + (wait / 4).mul_f64(jitter.clamp(0.0, 1.0))
}

/// From 0 to 1.
pub(super) fn jitter() -> f64 {
    let random = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(random) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn life(days: u32) -> Life {
        let begin = SystemTime::UNIX_EPOCH + DAY * 20_000;
        Life {
            begin,
            end: begin + DAY * days,
        }
    }

    #[test]
    fn a_third_is_left_when_it_is_renewed_or_a_little_more() {
        for (days, jitter, left) in [
            (90, 0.0, 30.0),
            (90, 1.0, 37.5),
            (6, 0.0, 2.0),
            (6, 0.5, 2.25),
            (0, 1.0, 0.0),
        ] {
            let life = life(days);
            let found = life.end.duration_since(life.renewal(jitter)).expect("before its end");
            assert!(
                (found.as_secs_f64() / DAY.as_secs_f64() - left).abs() < 0.001,
                "{days} {jitter}: {found:?}"
            );
        }
    }

    #[test]
    fn what_the_authority_suggests_is_followed_as_far_as_it_is_sane() {
        let life = life(90);
        let on = |day: u32| life.begin + DAY * day;
        for (window, jitter, expected) in [
            ((on(50), on(60)), 0.0, on(50)),
            ((on(50), on(60)), 1.0, on(60)),
            ((on(60), on(50)), 1.0, on(60)),
            ((on(80), on(300)), 1.0, on(81)),
        ] {
            assert_eq!(life.suggested(window, jitter), expected);
        }
    }

    #[test]
    fn failures_are_followed_by_longer_and_longer_waits_up_to_half_a_day() {
        let minutes = |failures, limited| back_off(failures, limited, 0.0).as_secs() / 60;
        let found: Vec<_> = (1..=9).map(|failures| minutes(failures, false)).collect();
        assert_eq!(found, [5, 10, 20, 40, 80, 160, 320, 640, 720]);
        assert_eq!(
            (minutes(1, true), minutes(6, true), minutes(u32::MAX, false)),
            (60, 160, 720)
        );
        assert!(back_off(1, false, 1.0) > back_off(1, false, 0.0));
    }
}
