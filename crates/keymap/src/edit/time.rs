//! Times as they are typed → as `validity` takes them, in whole seconds of UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::EditError;

/// Ten centuries: beyond it, what was typed is a slip, and RFC 3339 ends.
const AHEAD_MAX: Duration = Duration::from_secs(1_000 * 366 * 86_400);

/// When a key ends, from `30d`, `2027-01-01` (with that day, as `validity` has it) or `2027-01-01T12:00:00Z`.
///
/// # Errors
/// Where it is none of these, over already, or beyond a thousand years.
pub fn expiry(typed: &str, now: SystemTime) -> Result<String, EditError> {
    let at = match humantime::parse_duration(typed) {
        Ok(after) => now + bounded(after, typed)?,
        Err(_) => moment(typed).ok_or_else(|| {
            refused(
                "A key's end is a duration, a date or a time in UTC.",
                typed,
                "Write it as 30d, 12h, 2027-01-01 or 2027-01-01T12:00:00Z.",
            )
        })?,
    };
    let ahead = at.duration_since(now).unwrap_or_default();
    if ahead.is_zero() {
        return Err(refused(
            "A key ends in time to come; this is over already.",
            typed,
            "Name a later time.",
        ));
    }
    bounded(ahead, typed)?;
    Ok(rfc3339(at))
}

/// Until when an old key works.
///
/// # Errors
/// Where it is no duration, or beyond a thousand years.
pub fn end_of_grace(typed: &str, now: SystemTime) -> Result<String, EditError> {
    let rule = "How long the old key still works is a duration.";
    let grace = humantime::parse_duration(typed).map_err(|_| refused(rule, typed, "Write it as 24h, 30m or 7d."))?;
    Ok(rfc3339(now + bounded(grace, typed)?))
}

fn moment(typed: &str) -> Option<SystemTime> {
    const DAY: Duration = Duration::from_secs(86_400);
    let midnight = humantime::parse_rfc3339(&format!("{typed}T00:00:00Z")).ok();
    midnight
        .map(|begin| begin + DAY)
        .or_else(|| humantime::parse_rfc3339(typed).ok())
}

fn bounded(duration: Duration, typed: &str) -> Result<Duration, EditError> {
    if duration > AHEAD_MAX {
        return Err(refused(
            "A key ends within a thousand years.",
            typed,
            "Name an earlier time.",
        ));
    }
    Ok(duration)
}

fn refused(rule: &str, typed: &str, fix: &str) -> EditError {
    EditError::new(rule, typed.escape_debug().take(100).collect::<String>(), fix)
}

/// Rounded up: what was asked for is granted in full.
pub fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() + u64::from(since.subsec_nanos() > 0);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_whole_seconds_rounded_up() {
        let now = UNIX_EPOCH + Duration::from_millis(1_790_000_000_250);
        for (typed, expected) in [
            ("30d", Some("2026-10-21T14:13:21Z")),
            ("2027-01-01", Some("2027-01-02T00:00:00Z")),
            ("2027-01-01T12:00:00Z", Some("2027-01-01T12:00:00Z")),
            ("2020-01-01", None),
            ("0s", None),
            ("tomorrow", None),
            ("2027-13-01", None),
            ("99999y", None),
            ("9999-12-31", None),
            ("", None),
        ] {
            assert_eq!(expiry(typed, now).ok().as_deref(), expected, "{typed}");
        }
        assert_eq!(end_of_grace("5s", now).expect("a grace"), "2026-09-21T14:13:26Z");
        assert!(end_of_grace("2027-01-01", now).is_err());
    }
}
