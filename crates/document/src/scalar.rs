//! Scalars, taken as Traefik's decoder takes them: a quoted `"5"` is a number, ten words are booleans, `a, b` is a list.

use std::borrow::Cow;

use crate::fields::Field;
use crate::report::{Report, shown_scalar};
use crate::tree::{Node, Value};

impl<'t> Field<'t> {
    /// A scalar of any kind.
    pub fn text(self, report: &mut Report<'_>) -> Option<Text<'t>> {
        text(self.node, &format!("`{}`", self.name), report)
    }

    /// One of the ten words for a truth value.
    pub fn boolean(self, report: &mut Report<'_>) -> Option<bool> {
        let name = self.name;
        let text = self.text(report)?;
        match text.value() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            other => {
                let rule = format!("`{name}` takes `true` or `false`.");
                report.error(
                    text.node.position,
                    shown_scalar(other),
                    rule,
                    "Write `true` or `false`.",
                );
                None
            }
        }
    }

    /// A whole number between the two.
    pub fn integer(self, min: i64, max: i64, report: &mut Report<'_>) -> Option<i64> {
        let name = self.name;
        let text = self.text(report)?;
        let written = text.value().parse::<i64>().ok();
        let number = written.filter(|number| (min..=max).contains(number));
        if number.is_none() {
            let rule = format!("`{name}` takes a whole number from {min} to {max}.");
            let fix = match written {
                Some(_) => "Write a number within these bounds.",
                None => "Write digits only, without a unit.",
            };
            report.error(text.node.position, shown_scalar(text.value()), rule, fix);
        }
        number
    }
}

/// A scalar, with the node that knows where it stands.
#[derive(Debug)]
pub struct Text<'t> {
    pub node: Node<'t>,
}

impl Text<'_> {
    /// As spelled.
    pub fn value(&self) -> &str {
        match &self.node.value {
            Value::Scalar(text) => text,
            _ => "",
        }
    }
}

/// The node as a scalar; `what` names it in messages.
pub fn text<'t>(node: Node<'t>, what: &str, report: &mut Report<'_>) -> Option<Text<'t>> {
    if matches!(node.value, Value::Scalar(_)) {
        return Some(Text { node });
    }
    report.error(
        node.position,
        described(&node.value),
        format!("{what} takes a single value."),
        "Write it as `name: value`.",
    );
    None
}

/// What stands there, by kind. A scalar is not quoted: it may be a key.
pub fn described(value: &Value<'_>) -> String {
    match value {
        Value::Null => Cow::Borrowed("nothing"),
        Value::Scalar(text) => Cow::Owned(shown_scalar(text)),
        Value::List(_) => Cow::Borrowed("a list"),
        Value::Map(_) => Cow::Borrowed("a map"),
    }
    .into_owned()
}
