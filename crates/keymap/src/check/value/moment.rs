//! Moments: RFC 3339, or a plain date, which is a day in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: i64 = 86_400;

/// The first moment of what is written, or, where that `ends` something, the first moment after it: these differ for a
/// plain date only. `None` also before 1970.
pub(super) fn parse(text: &str, ends: bool) -> Option<SystemTime> {
    let (date, rest) = text.split_at_checked("2026-11-01".len())?;
    let midnight = days(date)?.checked_mul(SECONDS_PER_DAY)?;
    let (seconds, nanos) = match rest.strip_prefix(['T', 't', ' ']) {
        Some(time) => {
            let (seconds, nanos) = time_of_day(time)?;
            (midnight + seconds, nanos)
        }
        None if rest.is_empty() && ends => (midnight + SECONDS_PER_DAY, 0),
        None if rest.is_empty() => (midnight, 0),
        None => return None,
    };
    UNIX_EPOCH.checked_add(Duration::new(u64::try_from(seconds).ok()?, nanos))
}

/// Days since 1970 of `YYYY-MM-DD`.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-');
    let year = digits(parts.next()?, 4)?;
    let month = digits(parts.next()?, 2)?;
    let day = digits(parts.next()?, 2)?;
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month - 1).ok()?;
    if day < 1 || day > *lengths.get(index)? {
        return None;
    }
    // Of the years before this one: one day more for each leap year.
    let before = year - 1;
    let year_days = before * 365 + before / 4 - before / 100 + before / 400;
    let month_days: i64 = lengths[..index].iter().sum();
    const DAYS_BEFORE_1970: i64 = 719_162;
    Some(year_days + month_days + day - 1 - DAYS_BEFORE_1970)
}

/// `HH:MM:SS`, a fraction, and `Z` or an offset: seconds from the day's beginning in UTC, and nanoseconds.
fn time_of_day(time: &str) -> Option<(i64, u32)> {
    let (clock, rest) = time.split_at_checked("08:00:00".len())?;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute, second) = (
        digits(parts.next()?, 2)?,
        digits(parts.next()?, 2)?,
        digits(parts.next()?, 2)?,
    );
    // A leap second counts as the second before it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
            let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 3600 + minutes * 60)
        }
    };
    Some((hour * 3600 + minute * 60 + second.min(59) - offset, nanos))
}

fn fraction(rest: &str) -> Option<(u32, &str)> {
    let Some(after) = rest.strip_prefix('.') else {
        return Some((0, rest));
    };
    let count = after.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let (digits, zone) = after.split_at(count);
    let nanos: u32 = format!("{digits:0<9}").parse().ok()?;
    Some((nanos, zone))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let valid = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339_or_days() {
        for (text, begins, ends) in [
            ("1970-01-01", Some(0), Some(86_400)),
            ("2026-11-01", Some(1_793_491_200), Some(1_793_577_600)),
            ("2000-02-29", Some(951_782_400), Some(951_868_800)),
            ("2026-11-01T08:00:00Z", Some(1_793_520_000), Some(1_793_520_000)),
            ("2026-11-01t08:00:00z", Some(1_793_520_000), Some(1_793_520_000)),
            ("2026-11-01 08:00:00.25Z", Some(1_793_520_000), Some(1_793_520_000)),
            ("2026-11-01T09:30:00+01:30", Some(1_793_520_000), Some(1_793_520_000)),
            ("2026-10-31T23:00:00-09:00", Some(1_793_520_000), Some(1_793_520_000)),
            ("2026-02-29", None, None),
            ("2026-13-01", None, None),
            ("2026-00-01", None, None),
            ("2026-11-31", None, None),
            ("2026-11-00", None, None),
            ("1969-12-30", None, None),
            ("2026-11-1", None, None),
            ("26-11-01", None, None),
            ("2026-11-01T08:00:00", None, None),
            ("2026-11-01T08:00Z", None, None),
            ("2026-11-01T24:00:00Z", None, None),
            ("2026-11-01T08:00:00.Z", None, None),
            ("2026-11-01T08:00:00+1:00", None, None),
            ("2026-11-01x", None, None),
            ("tomorrow", None, None),
            ("2026-11-ü1", None, None),
            ("", None, None),
        ] {
            let seconds = |ends| {
                let read = parse(text, ends)?;
                Some(read.duration_since(UNIX_EPOCH).expect("after 1970").as_secs())
            };
            assert_eq!((seconds(false), seconds(true)), (begins, ends), "{text}");
        }
    }
}
