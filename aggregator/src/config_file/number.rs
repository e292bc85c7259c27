//! Numbers that may have a fraction: times in seconds, prices.

use std::time::Duration;

use dialect::chat::Cost;
use document::{Field, Report, shown_scalar};

/// A time in seconds between the two.
pub(super) fn seconds(field: Field<'_>, min: f64, max: f64, report: &mut Report<'_>) -> Option<Duration> {
    let name = field.name;
    let text = field.text(report)?;
    let number = text.value().parse::<f64>().ok();
    let taken = number.filter(|number| (min..=max).contains(number));
    if taken.is_none() {
        let rule = format!("`{name}` takes seconds, from {min} to {max}.");
        let fix = "Write a number such as 10 or 0.5, without a unit.";
        report.error(text.node.position, shown_scalar(text.value()), rule, fix);
    }
    taken.map(Duration::from_secs_f64)
}

/// What a million tokens cost, in whatever it is paid in.
pub(super) fn price(field: Field<'_>, report: &mut Report<'_>) -> Option<Cost> {
    const MOST: f64 = 1_000_000.0;
    let name = field.name;
    let text = field.text(report)?;
    let number = text.value().parse::<f64>().ok();
    let taken = number.filter(|number| (0.0..=MOST).contains(number));
    if taken.is_none() {
        let rule = format!("`{name}` takes what a million tokens cost, from 0 to {MOST}.");
        let fix = "Write a number such as 0.15, without a currency.";
        report.error(text.node.position, shown_scalar(text.value()), rule, fix);
    }
    taken.and_then(Cost::of)
}
