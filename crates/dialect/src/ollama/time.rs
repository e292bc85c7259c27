//! Times as Ollama's server writes them: RFC 3339 in UTC with nanoseconds. No clock is read here.

/// Go's zero time, which Ollama's own client takes for "not known".
pub(super) const ZERO: &str = "0001-01-01T00:00:00Z";

/// The last second of the year 9999: RFC 3339 has no later one.
const LAST: u64 = 253_402_300_799;

const DAY: u64 = 86_400;

/// Seconds since 1970 as `2026-11-22T08:18:54.000000000Z`.
pub(super) fn rfc3339(seconds: u64) -> String {
    let seconds = seconds.min(LAST);
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3_600, seconds % 3_600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000000Z")
}

/// Whole seconds since 1970; `None` before it and where `text` is no such time.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock.split('.').next()?, ':')?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second;
    match zone {
        "Z" | "z" => Some(local),
        _ => {
            let [hours, minutes] = numbers(&zone[1..], ':')?;
            let offset = (hours < 24 && minutes < 60).then_some(hours * 3_600 + minutes * 60)?;
            if zone.starts_with('+') {
                local.checked_sub(offset)
            } else {
                Some(local + offset)
            }
        }
    }
}

fn numbers<const N: usize>(text: &str, separator: char) -> Option<[u64; N]> {
    let mut fields = text.split(separator);
    let mut numbers = [0; N];
    for number in &mut numbers {
        let digits = fields
            .next()
            .filter(|digits| digits.len() <= 4 && digits.bytes().all(|it| it.is_ascii_digit()))?;
        *number = digits.parse().ok()?;
    }
    fields.next().is_none().then_some(numbers)
}

/// Days since 1970-01-01. The year is counted from March, so that the leap day comes last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The other way round.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{parse, rfc3339};

    #[test]
    fn known_instants() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (1_795_335_534, "2026-11-22T08:18:54.000000000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000000000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000000000Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
            assert_eq!(parse(text), Some(seconds));
        }
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59.000000000Z");
    }

    #[test]
    fn offsets_and_fractions_are_read() {
        assert_eq!(parse("2026-11-22T00:18:54.639712648-08:00"), Some(1_795_335_534));
        assert_eq!(parse("2026-11-22T10:18:54+02:00"), Some(1_795_335_534));
        for not in [
            "",
            "0001-01-01T00:00:00Z",
            "2026-11-22",
            "2026-13-22T00:00:00Z",
            "1970-01-01T00:00:00+01:00",
            "T-",
        ] {
            assert_eq!(parse(not), None, "{not}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for day in 0..146_097 * 2 {
            assert_eq!(parse(&rfc3339(day * super::DAY)), Some(day * super::DAY));
        }
    }
}
