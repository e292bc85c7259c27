//! Numbers that may have a fraction: times in seconds.

use std::time::Duration;

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
