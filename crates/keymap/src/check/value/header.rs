//! Names and values of headers.

use std::collections::HashSet;

use http::{HeaderName, HeaderValue};

use crate::mapping::HeaderChange;
use document::{Field, Position, Report, Text, Value, entries, shown_field, shown_scalar};

/// What HTTP itself uses to frame messages and to keep connections: to set one would make two readers of a message.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// A header's name. `what` begins the message.
pub(in crate::check) fn header_name(
    name: &str,
    position: Position,
    what: &str,
    report: &mut Report<'_>,
) -> Option<HeaderName> {
    let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
        let rule = format!("{what} is a header's name: letters, digits and !#$%&'*+-.^_`|~.");
        report.error(
            position,
            shown_field(name),
            rule,
            "Write the bare name, without a colon.",
        );
        return None;
    };
    if HOP_BY_HOP.contains(&parsed.as_str()) {
        let rule = format!("{what} is none of the headers that HTTP frames messages by.");
        report.error(position, parsed.as_str(), rule, "Take it out.");
        return None;
    }
    Some(parsed)
}

/// A header's value, marked as one that is not shown.
fn header_value(text: &str, position: Position, what: &str, report: &mut Report<'_>) -> Option<HeaderValue> {
    match HeaderValue::from_bytes(text.trim().as_bytes()) {
        Ok(mut value) => {
            value.set_sensitive(true);
            Some(value)
        }
        Err(_) => {
            let rule = format!("{what} has no control characters or line breaks in it.");
            report.error(position, shown_scalar(text), rule, "Write it on one line.");
            None
        }
    }
}

/// A field that is one header's value.
pub(in crate::check) fn header_text(field: Field<'_>, report: &mut Report<'_>) -> Option<HeaderValue> {
    let what = format!("`{}`", field.name);
    let text = field.text(report)?;
    header_value(text.value(), text.node.position, &what, report)
}

/// Name → value, each name once.
pub(in crate::check) fn header_values(field: Field<'_>, report: &mut Report<'_>) -> Box<[(HeaderName, HeaderValue)]> {
    let changes = header_changes(field, report);
    let set = changes
        .into_iter()
        .filter_map(|change| Some((change.name, change.value?)));
    set.collect()
}

/// Name → value; an empty value takes the header away.
pub(in crate::check) fn header_changes(field: Field<'_>, report: &mut Report<'_>) -> Vec<HeaderChange> {
    let what = format!("Each of `{}`", field.name);
    let owner = format!("`{}`", field.name);
    let mut known = HashSet::new();
    let mut changes = Vec::new();
    for entry in entries(field.node, &owner, report).unwrap_or_default() {
        let Some(name) = header_name(&entry.key, entry.position, &what, report) else {
            continue;
        };
        if !known.insert(name.clone()) {
            let rule = format!("{what} stands there once; capitals do not count.");
            report.error(entry.position, shown_field(&entry.key), rule, "Remove one of them.");
            continue;
        }
        if matches!(entry.value.value, Value::Null) {
            changes.push(HeaderChange { name, value: None });
            continue;
        }
        let Some(text) = document::text(entry.value, &what, report) else {
            continue;
        };
        changes.extend(change(name, &text, &what, report));
    }
    changes
}

fn change(name: HeaderName, text: &Text<'_>, what: &str, report: &mut Report<'_>) -> Option<HeaderChange> {
    let value = match text.value().trim() {
        "" => None,
        value => Some(header_value(value, text.node.position, what, report)?),
    };
    Some(HeaderChange { name, value })
}
