//! The fields of a map, found without regard to case; unknown, unsupported and repeated ones reported.

use std::collections::HashMap;
use std::sync::Arc;

use crate::problem::Position;
use crate::report::{Report, shown_field, shown_name};
use crate::scalar::described;
use crate::tree::{Entry, Node, Value};

/// What a field that may stand in a file means to us.
#[derive(Debug, Clone, Copy)]
pub enum Support {
    Read,
    /// The file loads without it, with a warning: what that means, as the end of a sentence.
    Ignored(&'static str),
    /// To ignore it would let requests through that it stops: what to do instead.
    Refused(&'static str),
}

/// The fields of one kind of map, as they are spelled, and what each means to us.
pub type Schema = &'static [(&'static str, Support)];

#[derive(Debug)]
pub struct Field<'t> {
    /// As the schema spells it.
    pub name: &'static str,
    /// Of the name; the value's is the node's.
    pub position: Position,
    pub node: Node<'t>,
}

/// The fields that are there and that we read.
#[derive(Debug)]
pub struct Fields<'t> {
    found: Vec<Field<'t>>,
    /// Whether there are others, which are reported.
    others: bool,
}

impl<'t> Fields<'t> {
    /// `owner` names the map in messages: "router `alice`". `None` where it is no map, which is reported.
    pub fn of(node: Node<'t>, schema: Schema, owner: &str, report: &mut Report<'_>) -> Option<Self> {
        let mut fields = Self {
            found: Vec::new(),
            others: false,
        };
        for entry in entries(node, owner, report)? {
            let Some((name, support)) = schema.iter().find(|(name, _)| name.eq_ignore_ascii_case(&entry.key)) else {
                unknown(&entry, schema, owner, report);
                fields.others = true;
                continue;
            };
            match support {
                Support::Read => fields.add(
                    Field {
                        name,
                        position: entry.position,
                        node: entry.value,
                    },
                    report,
                ),
                Support::Ignored(consequence) => {
                    let rule = format!("`{name}` is not supported yet and has no effect: {consequence}");
                    report.warning(entry.position, *name, rule, "Remove it, or do not rely on it.");
                }
                Support::Refused(fix) => {
                    let rule = format!("`{name}` is not supported, and without it the file would mean something else.");
                    report.error(entry.position, *name, rule, *fix);
                }
            }
        }
        Some(fields)
    }

    /// The field, where it is there and not null.
    pub fn take(&mut self, name: &str) -> Option<Field<'t>> {
        let index = self.found.iter().position(|field| field.name == name)?;
        Some(self.found.swap_remove(index)).filter(|field| !matches!(field.node.value, Value::Null))
    }

    /// Of a map whose one field says what kind of `thing` it is: that field.
    pub fn into_kind(
        mut self,
        thing: &str,
        name: &str,
        at: Position,
        fix: &str,
        report: &mut Report<'_>,
    ) -> Option<Field<'t>> {
        let count = self.found.len();
        if count == 1 {
            return self.found.pop();
        }
        if count > 1 || !self.others {
            report.error(
                at,
                shown_name(name),
                format!("A {thing} has one kind; this one has {count}."),
                fix,
            );
        }
        None
    }

    fn add(&mut self, field: Field<'t>, report: &mut Report<'_>) {
        match self.found.iter().find(|first| first.name == field.name) {
            Some(first) => repeated(field.name.to_owned(), field.position, first.position, report),
            None => self.found.push(field),
        }
    }
}

/// One thing whose name is a person's own, before it is checked.
#[derive(Debug)]
pub struct Named<'t> {
    pub name: Arc<str>,
    pub position: Position,
    pub node: Node<'t>,
}

/// The entries of a map whose names are a person's own. A repeated name is reported, and the first kept.
pub fn named<'t>(node: Node<'t>, kind: &str, report: &mut Report<'_>) -> Vec<Named<'t>> {
    let entries = entries(node, &format!("`{kind}s`"), report).unwrap_or_default();
    let mut known: HashMap<Arc<str>, Position> = HashMap::with_capacity(entries.len());
    let mut all = Vec::with_capacity(entries.len());
    for Entry { key, position, value } in entries {
        let name = report.name(&key);
        if let Some(first) = known.get(&name) {
            repeated(shown_name(&name), position, *first, report);
            continue;
        }
        if name.is_empty() {
            report.error(
                position,
                "",
                format!("A {kind} needs a name."),
                "Write a name before the colon.",
            );
        }
        known.insert(name.clone(), position);
        all.push(Named {
            name,
            position,
            node: value,
        });
    }
    all
}

/// The entries of a map, as they stand. `None` where it is no map, which is reported.
pub fn entries<'t>(node: Node<'t>, owner: &str, report: &mut Report<'_>) -> Option<Vec<Entry<'t>>> {
    match node.value {
        Value::Map(entries) => Some(entries.into_vec()),
        Value::Null => Some(Vec::new()),
        other => {
            report.error(
                node.position,
                described(&other),
                format!("{owner} must be a map of fields."),
                INDENT,
            );
            None
        }
    }
}

const INDENT: &str = "Write `name: value` lines below it, indented.";

fn repeated(name: String, position: Position, first: Position, report: &mut Report<'_>) {
    let rule = format!(
        "A name must stand once in a map; this one stands in line {} already.",
        first.line
    );
    report.error(position, name, rule, "Rename or remove one of them.");
}

fn unknown(entry: &Entry<'_>, schema: Schema, owner: &str, report: &mut Report<'_>) {
    let rule = format!("{owner} has no such field.");
    let fix = match nearest(&entry.key, schema.iter().map(|(name, _)| *name)) {
        Some(name) => format!("Did you mean `{name}`?"),
        None => {
            let names: Vec<_> = schema.iter().map(|(name, _)| format!("`{name}`")).collect();
            format!("Use one of {}; check the indentation.", names.join(", "))
        }
    };
    report.unknown_field(entry.position, shown_field(&entry.key), rule, fix);
}

/// The name that was probably meant: at most a third of it (and at least one letter) may differ.
pub fn nearest(written: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    /// Nothing longer is a slip of the pen, and distances cost the product of the lengths.
    const WRITTEN_BYTES_MAX: usize = 40;
    if written.len() > WRITTEN_BYTES_MAX {
        return None;
    }
    let written = written.to_ascii_lowercase();
    let distances = names.map(|name| (distance(&written, &name.to_ascii_lowercase()), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.len() / 3).max(1)).then_some(name)
}

/// Levenshtein's: letters to insert, remove or change.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
