//! Figures as people read them. What nobody told is a dash, never a zero.

use std::time::Duration;

pub(super) const NONE: &str = "–";

/// `1,234,567`
pub(super) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Three digits and a letter: `12.3k`.
pub(super) fn short(number: f64) -> String {
    for (unit, letter) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if number >= unit * 0.9995 {
            return format!("{}{letter}", digits(number / unit));
        }
    }
    digits(number)
}

/// As many decimals as there is room for.
fn digits(number: f64) -> String {
    let text = match number {
        _ if number >= 99.95 => format!("{number:.0}"),
        _ if number >= 9.995 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Of milliseconds: `210 ms`, `1.83 s`, `2.5 min`.
pub(super) fn time(ms: f64) -> String {
    match ms {
        _ if ms < 1_000.0 => format!("{} ms", digits(ms)),
        _ if ms < 120_000.0 => format!("{} s", digits(ms / 1_000.0)),
        _ => format!("{} min", digits(ms / 60_000.0)),
    }
}

pub(super) fn micros(us: u64) -> String {
    time(us as f64 / 1_000.0)
}

pub(super) fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => NONE.to_owned(),
        _ => format!("{} %", digits(part as f64 / whole as f64 * 100.0)),
    }
}

pub(super) fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    for (unit, name) in [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit as f64 {
            return format!("{} {name}", digits(bytes / unit as f64));
        }
    }
    format!("{bytes:.0} B")
}

/// `2026-11-22 10:00:00`, of microseconds since 1970, in UTC.
pub(super) fn moment(us: i64) -> String {
    let text = crate::api::time::rfc3339(us);
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

/// `10:00`
pub(super) fn clock(us: i64) -> String {
    moment(us).get(11..16).unwrap_or_default().to_owned()
}

/// `22 Nov`
pub(super) fn day(us: i64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = moment(us);
    let month = text.get(5..7).and_then(|month| month.parse::<usize>().ok());
    let month = month.and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    format!("{} {}", text.get(8..10).unwrap_or_default(), month.unwrap_or(&""))
}

/// `24h`, `1m`, of milliseconds.
pub(super) fn period(ms: u64) -> String {
    match humantime::format_duration(Duration::from_millis(ms)).to_string() {
        day if day == "1day" => "day".to_owned(),
        minute if minute == "1m" => "minute".to_owned(),
        hour if hour == "1h" => "hour".to_owned(),
        other => other,
    }
}

/// `3 keys`, `1 key`
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", whole(number as u64), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_as_long_as_they_must_be() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(whole(number), expected);
        }
        for (number, expected) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (9.996, "10"),
            (12.34, "12.3"),
            (999.4, "999"),
            (999.9, "1k"),
            (12_345.0, "12.3k"),
            (3e6, "3M"),
        ] {
            assert_eq!(short(number), expected);
        }
        for (ms, expected) in [
            (0.4, "0.4 ms"),
            (210.4, "210 ms"),
            (1832.9, "1.83 s"),
            (150_000.0, "2.5 min"),
        ] {
            assert_eq!(time(ms), expected);
        }
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(0, 0), NONE);
        assert_eq!(bytes(1536), "1.5 KiB");
    }

    #[test]
    fn moments_are_utcs() {
        let us = 1_795_341_600_000_000;
        assert_eq!(moment(us), "2026-11-22 10:00:00");
        assert_eq!((clock(us), day(us)), ("10:00".to_owned(), "22 Nov".to_owned()));
    }
}
