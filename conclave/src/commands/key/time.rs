//! Times as they are typed → as `validity` takes them, in whole seconds of UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};

/// Ten centuries: beyond it, what was typed is a slip, and RFC 3339 ends.
const AHEAD_MAX: Duration = Duration::from_secs(1_000 * 366 * 86_400);

/// When a key ends, from `30d`, `2027-01-01` (with that day, as `validity` has it) or `2027-01-01T12:00:00Z`.
pub(super) fn expiry(typed: &str, now: SystemTime) -> Result<String> {
    let at = match humantime::parse_duration(typed) {
        Ok(after) => now + bounded(after).with_context(|| format!("--expires: {typed:?}"))?,
        Err(_) => moment(typed).with_context(|| {
            format!(
                "--expires: {typed:?} is no duration (30d, 12h), date (2027-01-01) or UTC time (2027-01-01T12:00:00Z)"
            )
        })?,
    };
    if at <= now {
        bail!("--expires: {typed:?} is over already; name a time to come");
    }
    bounded(at.duration_since(now)?).with_context(|| format!("--expires: {typed:?}"))?;
    Ok(rfc3339(at))
}

/// Until when an old key works.
pub(super) fn end_of_grace(typed: &str, now: SystemTime) -> Result<String> {
    let grace = humantime::parse_duration(typed)
        .with_context(|| format!("--grace: {typed:?} is no duration; write it as 24h, 30m or 7d"))?;
    Ok(rfc3339(
        now + bounded(grace).with_context(|| format!("--grace: {typed:?}"))?,
    ))
}

fn moment(typed: &str) -> Result<SystemTime> {
    const DAY: Duration = Duration::from_secs(86_400);
    let midnight = humantime::parse_rfc3339(&format!("{typed}T00:00:00Z"));
    midnight
        .map(|begin| begin + DAY)
        .or_else(|_| Ok(humantime::parse_rfc3339(typed)?))
}

fn bounded(duration: Duration) -> Result<Duration> {
    if duration > AHEAD_MAX {
        bail!("that is more than a thousand years");
    }
    Ok(duration)
}

/// Rounded up: what was asked for is granted in full.
pub(super) fn rfc3339(at: SystemTime) -> String {
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
