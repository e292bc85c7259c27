//! Durations as Traefik reads them: Go's (`1h15m30.5s`), or a bare number of seconds.

use std::time::Duration;

/// `None` where it is none, is negative, or is over Go's 292 years.
pub(super) fn parse(text: &str) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse::<u64>().ok()?;
        return bounded(u128::from(seconds).checked_mul(NANOS_PER_SECOND)?);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanos: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = leading(rest, |c| c.is_ascii_digit() || c == '.');
        rest = &rest[number.len()..];
        let unit = leading(rest, |c| !c.is_ascii_digit() && c != '.');
        rest = &rest[unit.len()..];
        nanos = nanos.checked_add(of(number, nanos_of(unit)?)?)?;
    }
    bounded(nanos)
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

fn bounded(nanos: u128) -> Option<Duration> {
    let nanos = i64::try_from(nanos).ok()?;
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

fn leading(text: &str, wanted: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    &text[..end]
}

fn nanos_of(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3600 * NANOS_PER_SECOND,
        _ => return None,
    })
}

/// A decimal number of units. What is finer than a nanosecond is dropped, as in Go.
fn of(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole = if whole.is_empty() {
        0
    } else {
        whole.parse::<u64>().ok()?
    };
    let mut nanos = u128::from(whole).checked_mul(unit)?;
    let mut grain = unit;
    for digit in fraction.chars() {
        grain /= 10;
        nanos = nanos.checked_add(grain * u128::from(digit.to_digit(10)?))?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos_or_seconds() {
        for (text, millis) in [
            ("10", Some(10_000)),
            ("0", Some(0)),
            ("10s", Some(10_000)),
            ("1m", Some(60_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5s", Some(1500)),
            (".5s", Some(500)),
            ("1.s", Some(1000)),
            ("+1s", Some(1000)),
            ("250ms", Some(250)),
            ("2000us", Some(2)),
            ("2000µs", Some(2)),
            ("3000000ns", Some(3)),
            ("24h", Some(86_400_000)),
            ("", None),
            ("+", None),
            ("-1s", None),
            ("-1", None),
            ("1.5", None),
            ("s", None),
            (".s", None),
            ("1.2.3s", None),
            ("1d", None),
            ("1 s", None),
            ("1S", None),
            ("10 seconds", None),
            ("9999999999h", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
