//! Lists of names.

use std::sync::Arc;

use crate::fields::Field;
use crate::report::Report;
use crate::scalar;
use crate::tree::{Node, Value};

impl Field<'_> {
    /// A list of names, or one text that parts them with commas, as Traefik's decoder takes it.
    pub fn names(self, report: &mut Report<'_>) -> Box<[Arc<str>]> {
        let what = format!("Each of `{}`", self.name);
        match self.node.value {
            Value::List(items) => items.into_iter().filter_map(|item| name(item, &what, report)).collect(),
            Value::Scalar(text) => text
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .map(Arc::from)
                .collect(),
            _ => {
                self.text(report);
                Box::default()
            }
        }
    }
}

fn name(node: Node<'_>, what: &str, report: &mut Report<'_>) -> Option<Arc<str>> {
    let text = scalar::text(node, what, report)?;
    if text.value().is_empty() {
        report.error(
            text.node.position,
            "",
            format!("{what} is a name."),
            "Write the name, or remove the entry.",
        );
        return None;
    }
    Some(text.value().into())
}
