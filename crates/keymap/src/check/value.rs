//! Values as Traefik writes them: durations, moments, networks, patterns, headers, paths. What does not read is
//! reported where it stands, and never quoted, for it may be a key.

mod duration;
mod header;
mod moment;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(super) use header::{header_changes, header_name, header_text, header_values};

use crate::rule::{Network, Pattern, PatternError};
use crate::target::clean_path;
use document::{Field, Position, Report, Text, Value, shown_scalar, text};

/// A duration, which may be zero.
pub(super) fn duration(field: Field<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let name = field.name;
    let text = field.text(report)?;
    let read = duration::parse(text.value());
    if read.is_none() {
        let rule = format!("`{name}` takes a duration: a whole number of seconds, or numbers with units.");
        let fix = "Write for example 10s, 1m, 1h30m or 250ms; the units are ns, us, ms, s, m and h.";
        report.error(text.node.position, shown_scalar(text.value()), rule, fix);
    }
    read
}

/// A duration above zero.
pub(super) fn period(field: Field<'_>, report: &mut Report<'_>) -> Option<Duration> {
    let (name, position) = (field.name, field.node.position);
    let read = duration(field, report)?;
    if read.is_zero() {
        let rule = format!("`{name}` is longer than nothing.");
        report.error(
            position,
            "0",
            rule,
            "Write for example 10s, or take it out for the default.",
        );
        return None;
    }
    Some(read)
}

/// The first moment of what stands there.
pub(super) fn moment(field: Field<'_>, report: &mut Report<'_>) -> Option<SystemTime> {
    read_moment(field, false, report)
}

/// The first moment after it: of a plain date, the next day's beginning.
pub(super) fn end_moment(field: Field<'_>, report: &mut Report<'_>) -> Option<SystemTime> {
    read_moment(field, true, report)
}

fn read_moment(field: Field<'_>, ends: bool, report: &mut Report<'_>) -> Option<SystemTime> {
    let name = field.name;
    let text = field.text(report)?;
    let read = moment::parse(text.value(), ends);
    if read.is_none() {
        let rule = format!("`{name}` takes a date, or a date and time with its offset (RFC 3339).");
        let fix = "Write for example 2026-11-01 (a day in UTC) or 2026-11-01T08:00:00+01:00.";
        report.error(text.node.position, shown_scalar(text.value()), rule, fix);
    }
    read
}

/// A whole number that is at least `min`.
pub(super) fn whole(field: Field<'_>, min: i64, report: &mut Report<'_>) -> Option<u64> {
    let number = field.integer(min, i64::MAX, report)?;
    u64::try_from(number).ok()
}

/// The same where it has to be small.
pub(super) fn count(field: Field<'_>, min: u32, max: u32, report: &mut Report<'_>) -> Option<u32> {
    let number = field.integer(min.into(), max.into(), report)?;
    u32::try_from(number).ok()
}

/// A status of an answer, from 100 to 599.
pub(super) fn status(field: Field<'_>, min: u16, report: &mut Report<'_>) -> Option<u16> {
    let number = field.integer(min.into(), 599, report)?;
    u16::try_from(number).ok()
}

/// One of a few words, as they are spelled.
pub(super) fn word<T: Copy>(field: Field<'_>, words: &[(&str, T)], report: &mut Report<'_>) -> Option<T> {
    let name = field.name;
    let text = field.text(report)?;
    let found = words.iter().find(|(word, _)| *word == text.value());
    if found.is_none() {
        let rule = format!("`{name}` takes one of a few words.");
        let known: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let fix = format!("Write one of {}.", known.join(", "));
        report.error(text.node.position, shown_scalar(text.value()), rule, fix);
    }
    found.map(|(_, value)| *value)
}

/// A text that is not empty and holds no control characters.
pub(super) fn name(field: Field<'_>, report: &mut Report<'_>) -> Option<Arc<str>> {
    let name = field.name;
    let text = field.text(report)?;
    let value = text.value().trim();
    if value.is_empty() || value.contains(char::is_control) {
        let rule = format!("`{name}` is a text on one line, and not empty.");
        report.error(
            text.node.position,
            shown_scalar(value),
            rule,
            "Write it, or take the field out.",
        );
        return None;
    }
    Some(report.name(value))
}

/// The items of a list, or of one text parted by commas, as Traefik's decoder takes it.
pub(super) fn items<'t>(field: Field<'t>, report: &mut Report<'_>) -> Vec<Text<'t>> {
    let what = format!("Each of `{}`", field.name);
    let node = field.node;
    match node.value {
        Value::List(items) => {
            let read = items.into_iter().filter_map(|item| text(item, &what, report));
            read.collect()
        }
        Value::Scalar(ref all) => {
            let parts = all.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts
                // Not a copy of the whole, which may be long and have many parts.
                .map(|part| Text {
                    node: node.saying(part),
                })
                .collect()
        }
        _ => {
            text(node, &what, report);
            Vec::new()
        }
    }
}

/// Addresses and networks.
pub(super) fn networks(field: Field<'_>, report: &mut Report<'_>) -> Box<[Network]> {
    let name = field.name;
    let read = items(field, report).into_iter().filter_map(|item| {
        let network = Network::parse(item.value());
        if network.is_none() {
            let rule = format!("Each of `{name}` is an IP address, or a network as address/length.");
            let fix = "Write for example 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32.";
            report.error(item.node.position, shown_scalar(item.value()), rule, fix);
        }
        network
    });
    read.collect()
}

pub(super) fn pattern(text: &Text<'_>, report: &mut Report<'_>) -> Option<Pattern> {
    compiled(text, Pattern::compile(text.value()), report)
}

/// One whose groups a replacement may refer to.
pub(super) fn pattern_with_groups(text: &Text<'_>, report: &mut Report<'_>) -> Option<Pattern> {
    compiled(text, Pattern::compile_with_groups(text.value()), report)
}

fn compiled(text: &Text<'_>, compiled: Result<Pattern, PatternError>, report: &mut Report<'_>) -> Option<Pattern> {
    match compiled {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let rule = format!(
                "A regular expression must be valid in Go's syntax (RE2): {}.",
                error.reason
            );
            report.error(text.node.position, shown_scalar(text.value()), rule, error.fix);
            None
        }
    }
}

/// A path that begins with a slash, without query and fragment, as a request for it would be forwarded.
pub(super) fn path(text: &Text<'_>, what: &str, report: &mut Report<'_>) -> Option<Arc<str>> {
    let path = text.value();
    let valid = path.starts_with('/') && !path.contains(|c: char| matches!(c, '?' | '#' | '\\') || c.is_control());
    let clean = clean_path(path).ok().filter(|_| valid);
    if clean.is_none() {
        let rule = format!("{what} begins with a slash, and has no `?`, `#`, backslash or broken escape in it.");
        report.error(text.node.position, shown_scalar(path), rule, "Write for example /v1.");
    }
    clean.map(Arc::from)
}

/// Reports a field that is missing; `owner` begins the message.
pub(super) fn required<'t>(
    field: Option<Field<'t>>,
    owner: &str,
    at: Position,
    what: &str,
    fix: &str,
    report: &mut Report<'_>,
) -> Option<Field<'t>> {
    if field.is_none() {
        report.error(at, "", format!("{owner} needs `{what}`."), fix);
    }
    field
}
