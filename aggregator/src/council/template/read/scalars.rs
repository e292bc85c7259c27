//! The single values of a template, each with its rule.

use std::sync::Arc;
use std::time::Duration;

use document::{Field, Report, shown_name, shown_scalar};

use crate::council::template::{bounds, is_name};

/// A name: it stands in model names, lists and prompts.
pub(super) fn name(field: Field<'_>, report: &mut Report<'_>) -> Option<Arc<str>> {
    let what = field.name;
    let text = field.text(report)?;
    if is_name(text.value()) {
        return Some(text.value().into());
    }
    let rule = format!(
        "`{what}` takes letters, digits, `-`, `_` and `.`, at most {}.",
        bounds::NAME_CHARS_MAX
    );
    report.error(
        text.node.position,
        shown_name(text.value()),
        rule,
        "Write a shorter, plainer name.",
    );
    None
}

/// Some lines of text, which may not be empty.
pub(super) fn text(field: Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let what = field.name;
    let text = field.text(report)?;
    let problem = match text.value() {
        blank if blank.trim().is_empty() => Some(("an empty text", format!("`{what}` must not be empty."))),
        long if long.len() > bounds::TEXT_BYTES_MAX => Some((
            "a longer text",
            format!("`{what}` takes at most {} bytes.", bounds::TEXT_BYTES_MAX),
        )),
        _ => None,
    };
    if let Some((value, rule)) = problem {
        report.error(
            text.node.position,
            value,
            rule,
            "Write some sentences, or remove the line.",
        );
        return None;
    }
    Some(text.value().to_owned())
}

/// A model's name.
pub(super) fn words(field: Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = self::text(field, report)?;
    Some(text.trim().to_owned())
}

/// A number from 1.
pub(super) fn count(field: Field<'_>, max: u64, report: &mut Report<'_>) -> Option<usize> {
    let number = field.integer(1, i64::try_from(max).unwrap_or(i64::MAX), report)?;
    usize::try_from(number).ok()
}

pub(super) fn decimal(field: Field<'_>, min: f64, max: f64, report: &mut Report<'_>) -> Option<f64> {
    let name = field.name;
    let text = field.text(report)?;
    let number = text.value().parse::<f64>().ok();
    let taken = number.filter(|number| (min..=max).contains(number));
    if taken.is_none() {
        let rule = format!("`{name}` takes a number from {min} to {max}.");
        report.error(
            text.node.position,
            shown_scalar(text.value()),
            rule,
            "Write a number such as 0.7.",
        );
    }
    taken
}

pub(super) fn seconds(field: Field<'_>, min: f64, max: f64, report: &mut Report<'_>) -> Option<Duration> {
    let name = field.name;
    let text = field.text(report)?;
    let number = text.value().parse::<f64>().ok();
    let taken = number.filter(|number| (min..=max).contains(number));
    if taken.is_none() {
        let rule = format!("`{name}` takes seconds, from {min} to {max}.");
        report.error(
            text.node.position,
            shown_scalar(text.value()),
            rule,
            "Write a number such as 120, without a unit.",
        );
    }
    taken.map(Duration::from_secs_f64)
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(field: Field<'_>, words: &[(&'static str, T)], report: &mut Report<'_>) -> Option<T> {
    let name = field.name;
    let text = field.text(report)?;
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.value()));
    if found.is_none() {
        let all: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let fix = match document::nearest(text.value(), words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "Write one of these words.".to_owned(),
        };
        report.error(
            text.node.position,
            shown_scalar(text.value()),
            format!("`{name}` takes {}.", all.join(" or ")),
            fix,
        );
    }
    found.map(|(_, value)| *value)
}
