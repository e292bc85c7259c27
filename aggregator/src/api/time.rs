//! Times and days as people and programs write them: RFC 3339, or a date alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECOND_US: i64 = 1_000_000;
pub(super) const DAY_US: i64 = 86_400 * SECOND_US;

/// A moment, or a whole UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct When {
    pub(super) us: i64,
    pub(super) is_day: bool,
}

pub(super) fn parse(text: &str) -> Option<When> {
    if text.len() == "2026-11-22".len() {
        let us = moment(&format!("{text}T00:00:00Z"))?;
        return Some(When { us, is_day: true });
    }
    let (text, offset_s) = without_offset(text)?;
    let us = moment(&format!("{text}Z"))?.checked_sub(offset_s * SECOND_US)?;
    Some(When { us, is_day: false })
}

/// What is before 1970, when nothing was stored, counts as its beginning.
fn moment(text: &str) -> Option<i64> {
    let (year, rest) = text.split_at_checked("1970".len())?;
    if year.bytes().all(|byte| byte.is_ascii_digit()) && year < "1970" {
        // Its days are those of a year that can be counted.
        let number: u32 = year.parse().ok()?;
        let is_leap = number.is_multiple_of(4) && (!number.is_multiple_of(100) || number.is_multiple_of(400));
        let alike = if is_leap { 1972 } else { 1971 };
        return humantime::parse_rfc3339(&format!("{alike}{rest}")).ok().map(|_| 0);
    }
    let moment = humantime::parse_rfc3339(text).ok()?;
    i64::try_from(moment.duration_since(UNIX_EPOCH).ok()?.as_micros()).ok()
}

/// The time and its zone, in seconds east of UTC. A `+` that a client forgot to encode comes as a blank.
fn without_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let (time, zone) = text.split_at_checked(text.len().checked_sub("+02:00".len())?)?;
    let east = match zone.get(..1)? {
        "+" | " " => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let number = |text: &str, max: i64| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number
            .then(|| text.parse::<i64>().ok())
            .flatten()
            .filter(|number| *number <= max)
    };
    Some((time, east * (number(hours, 23)? * 3600 + number(minutes, 59)? * 60)))
}

/// To the microsecond; what is before 1970 is shown as its beginning.
pub(crate) fn rfc3339(us: i64) -> String {
    // The last moment that has four digits for its year.
    const LAST_US: u64 = 253_402_300_799 * 1_000_000;
    let since = Duration::from_micros(u64::try_from(us).unwrap_or(0).min(LAST_US));
    let moment: SystemTime = UNIX_EPOCH + since;
    humantime::format_rfc3339_micros(moment).to_string()
}

/// Of a number of days since 1970.
pub(crate) fn date(day: i64) -> String {
    let mut text = rfc3339(day.saturating_mul(DAY_US));
    text.truncate("2026-11-22".len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_spelling() {
        const MIDNIGHT: i64 = 1_795_305_600 * SECOND_US;
        for (text, expected) in [
            ("2026-11-22", Some((MIDNIGHT, true))),
            ("2026-11-22T00:00:00Z", Some((MIDNIGHT, false))),
            ("2026-11-22T00:00:00.000001Z", Some((MIDNIGHT + 1, false))),
            ("2026-11-22T02:00:00+02:00", Some((MIDNIGHT, false))),
            ("2026-11-22T02:00:00 02:00", Some((MIDNIGHT, false))),
            ("2026-11-21T18:30:00-05:30", Some((MIDNIGHT, false))),
            ("0252-02-22T23:40:14+18:04", Some((-65_040 * SECOND_US, false))),
            ("1969-12-31T23:59:59Z", Some((0, false))),
            ("1968-02-29", Some((0, true))),
            ("1900-02-29", None),
            ("1969-12-32", None),
            ("2026-02-30", None),
            ("2026-11-22T00:00:00", None),
            ("2026-11-22T00:00:00+2:00", None),
            ("2026-11-22T00:00:00+24:00", None),
            ("yesterday", None),
            ("", None),
            ("2026-11-2é", None),
            ("éééééééééé", None),
        ] {
            let expected = expected.map(|(us, is_day)| When { us, is_day });
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(rfc3339(MIDNIGHT + 1), "2026-11-22T00:00:00.000001Z");
        assert_eq!(date(MIDNIGHT / DAY_US), "2026-11-22");
        for absurd in [i64::MIN, -1, i64::MAX] {
            assert!(rfc3339(absurd).ends_with('Z'));
        }
    }
}
