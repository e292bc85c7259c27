//! Nodes → a filter; every mistake of a file at once, each at its place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use keymap::{Position, Problem, Severity};

use super::StatsFilter;
use super::node::{Located, Node};
use crate::stats::shape::Stats;

const VALUE_CHARS_MAX: usize = 60;

/// Collects every problem of one file.
pub(super) struct Check<'a> {
    path: &'a Path,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    pub(super) fn new(path: &'a Path) -> Self {
        Self {
            path,
            problems: Vec::new(),
        }
    }

    /// The warnings, or everything where something is an error.
    pub(super) fn finish(self) -> Result<Vec<Problem>, Vec<Problem>> {
        let failed = self.problems.iter().any(|problem| problem.severity == Severity::Error);
        if failed { Err(self.problems) } else { Ok(self.problems) }
    }

    pub(super) fn syntax(&mut self, position: Position, message: &str) {
        self.error(
            position,
            String::new(),
            &format!("the file is YAML: {message}"),
            "correct the syntax",
        );
    }

    /// For a file that limits nothing. One that has errors has enough to tell.
    pub(super) fn without_effect(&mut self) {
        if self
            .problems
            .iter()
            .all(|problem| problem.severity == Severity::Warning)
        {
            self.warning(
                Position::default(),
                String::new(),
                "the file limits neither sections nor fields, so it has no effect",
                "name what to show under `enabled_sections` or `enabled_fields`",
            );
        }
    }

    pub(super) fn root(&mut self, root: &Located) -> StatsFilter {
        let mut filter = StatsFilter::default();
        let entries = match &root.node {
            Node::Null => return filter,
            Node::Map(entries) => entries,
            other => {
                let fix = "write `enabled_sections:` or `enabled_fields:` at its top level";
                self.error(root.position, other.shown(), "the file is a mapping", fix);
                return filter;
            }
        };
        for (key, value) in entries {
            match key.node.shown().as_str() {
                "enabled_sections" => filter.sections = self.sections(value),
                "enabled_fields" => filter.fields = self.fields(value),
                other => self.warning(
                    key.position,
                    other.to_owned(),
                    "there are `enabled_sections` and `enabled_fields`; anything else has no effect",
                    "correct the name, or remove it",
                ),
            }
        }
        filter
    }

    fn sections(&mut self, value: &Located) -> Option<BTreeSet<String>> {
        if matches!(value.node, Node::Null) {
            return None;
        }
        let names = self.names(value, "enabled_sections")?;
        Some(
            names
                .into_iter()
                .map(|(name, position)| self.known(name, position, None))
                .collect(),
        )
    }

    fn fields(&mut self, value: &Located) -> BTreeMap<String, BTreeSet<String>> {
        let Node::Map(entries) = &value.node else {
            let fix = "write a section and its fields, such as `memory: [percent]`, or remove it";
            self.error(value.position, value.node.shown(), "`enabled_fields` is a mapping", fix);
            return BTreeMap::new();
        };
        let mut fields = BTreeMap::new();
        for (key, value) in entries {
            let section = self.known(key.node.shown(), key.position, None);
            // Nothing after the colon is an empty list, as in the original.
            let names = match value.node {
                Node::Null => Some(Vec::new()),
                _ => self.names(value, &format!("enabled_fields.{section}")),
            };
            let names = names.unwrap_or_default().into_iter();
            let names = names
                .map(|(name, position)| self.known(name, position, Some(&section)))
                .collect();
            fields.insert(section, names);
        }
        fields
    }

    fn names(&mut self, value: &Located, what: &str) -> Option<Vec<(String, Position)>> {
        let Node::List(items) = &value.node else {
            let fix = "write it as `[one, two]`, or as lines that begin with `- `";
            self.error(
                value.position,
                value.node.shown(),
                &format!("`{what}` is a list of names"),
                fix,
            );
            return None;
        };
        let mut names = Vec::new();
        for item in items {
            match &item.node {
                Node::Scalar(name) => names.push((name.clone(), item.position)),
                other => {
                    let rule = format!("each item of `{what}` is a name");
                    self.error(item.position, other.shown(), &rule, "write one name an item");
                }
            }
        }
        Some(names)
    }

    /// Warns of a section, or a field of `section`, that does not exist.
    fn known(&mut self, name: String, position: Position, section: Option<&str>) -> String {
        let blank = Stats::blank();
        let (all, what) = match section {
            None => (Some(&blank), "section"),
            // The list of cards is represented by one card.
            Some(section) => (
                blank.get(section).map(|fields| fields.get(0).unwrap_or(fields)),
                "field",
            ),
        };
        // A section that does not exist was reported where it was named.
        if let Some(all) = all
            && all.get(&name).is_none()
        {
            let names = all
                .as_object()
                .map(|all| all.keys().cloned().collect::<Vec<_>>())
                .unwrap_or_default();
            let fix = match names.is_empty() {
                true => "remove it: this section has no fields".to_owned(),
                false => format!("choose from {}", names.join(", ")),
            };
            self.warning(
                position,
                name.clone(),
                &format!("there is no such {what}, so it has no effect"),
                &fix,
            );
        }
        name
    }

    fn error(&mut self, position: Position, value: String, rule: &str, fix: &str) {
        self.problems
            .push(problem(self.path, Severity::Error, position, value, rule, fix));
    }

    fn warning(&mut self, position: Position, value: String, rule: &str, fix: &str) {
        self.problems
            .push(problem(self.path, Severity::Warning, position, value, rule, fix));
    }
}

pub(super) fn problem(
    path: &Path,
    severity: Severity,
    position: Position,
    value: String,
    rule: &str,
    fix: &str,
) -> Problem {
    let value = value.chars().take(VALUE_CHARS_MAX).collect();
    Problem {
        severity,
        path: path.to_owned(),
        position,
        value,
        rule: rule.to_owned(),
        fix: fix.to_owned(),
    }
}
