//! `${NAME}` → its value, in the scalars of a parsed file only.
//!
//! The text itself is never touched: a value that holds a `#`, a quote or a line break cannot change what the file
//! means. Names of fields are not replaced. `$${` stands for `${`. A variable that is not set is an error at its place,
//! but for the admin token: without it the admin endpoints are closed, which is no mistake.

use std::borrow::Cow;

use document::{Node, Report, Value};

use super::Lookup;

/// Where an unset variable means "none" instead of a mistake.
const MAY_BE_UNSET: &[&str] = &["admin", "auth", "token"];

pub(super) fn substitute(root: &mut Node<'_>, lookup: Lookup<'_>, report: &mut Report<'_>) {
    let mut path = Vec::new();
    walk(root, &mut path, lookup, report);
}

fn walk<'t>(node: &mut Node<'t>, path: &mut Vec<Cow<'t, str>>, lookup: Lookup<'_>, report: &mut Report<'_>) {
    match &mut node.value {
        Value::Null => {}
        Value::List(items) => {
            for item in items {
                walk(item, path, lookup, report);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                path.push(entry.key.clone());
                walk(&mut entry.value, path, lookup, report);
                path.pop();
            }
        }
        Value::Scalar(text) if text.contains("${") => {
            let text = text.clone();
            if let Some(value) = scalar(node, &text, may_be_unset(path), lookup, report) {
                node.value = value;
            }
        }
        Value::Scalar(_) => {}
    }
}

fn may_be_unset(path: &[Cow<'_, str>]) -> bool {
    path.len() == MAY_BE_UNSET.len() && path.iter().zip(MAY_BE_UNSET).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// The scalar with its variables replaced. `None`: it stays as it is, because of what is reported.
fn scalar<'t>(
    node: &Node<'t>,
    text: &str,
    may_be_unset: bool,
    lookup: Lookup<'_>,
    report: &mut Report<'_>,
) -> Option<Value<'t>> {
    let mut replaced = String::new();
    let mut sound = true;
    let mut rest = text;
    while let Some(index) = rest.find("${") {
        let (before, from) = rest.split_at(index);
        if let Some(before) = before.strip_suffix('$') {
            replaced.push_str(before);
            replaced.push_str("${");
            rest = &from[2..];
            continue;
        }
        replaced.push_str(before);
        let at = node.locate(report.text(), text.len() - from.len());
        let Some((name, after)) = from[2..].split_once('}').filter(|(name, _)| is_name(name)) else {
            let fix = "Write `${NAME}`: letters, digits and underscores; or `$${` for the two characters themselves.";
            report.error(at, "${", "After `${` come a variable's name and `}`.", fix);
            sound = false;
            rest = &from[2..];
            continue;
        };
        match lookup(name) {
            Some(value) => replaced.push_str(&value),
            None if may_be_unset => return Some(Value::Null),
            None => {
                let rule = format!("The variable `{name}` is not set.");
                report.error(
                    at,
                    format!("${{{name}}}"),
                    rule,
                    "Set it where Conclave is started, or write the value.",
                );
                sound = false;
            }
        }
        rest = after;
    }
    replaced.push_str(rest);
    sound.then_some(Value::Scalar(replaced.into()))
}

fn is_name(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
