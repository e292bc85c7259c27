//! The problems of one file, collected; and how a value is shown without showing a key.
//!
//! Invariant: nothing that a person wrote is quoted unless its form says that it is no key. A key can end up anywhere
//! (a rule pasted into `service`, a line indented wrongly), and what is reported here goes to logs and to `/health`.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::problem::{Position, Problem, Severity};

/// A file of a million routers can be wrong a million times; nobody reads more than this.
const PROBLEMS_MAX: usize = 1_000;

/// Longer than any of Traefik's names; a value is cut to this for display.
const SHOWN_CHARS_MAX: usize = 64;

pub struct Report<'a> {
    path: &'a Path,
    text: &'a str,
    unknown_fields: Severity,
    problems: Vec<Problem>,
    errors: usize,
    left_out: usize,
    /// Names that stand in the file: most stand there more than once, and each is kept once.
    names: HashSet<Arc<str>>,
}

/// Without the text: keys stand in it.
impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("path", &self.path)
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}

impl<'a> Report<'a> {
    /// A file in which a field that nobody knows is an error.
    pub fn new(path: &'a Path, text: &'a str) -> Self {
        Self {
            path,
            text,
            unknown_fields: Severity::Error,
            problems: Vec::new(),
            errors: 0,
            left_out: 0,
            names: HashSet::new(),
        }
    }

    /// A file in which a field that nobody knows is a warning: another program wrote it first, and may know more.
    pub fn tolerant(path: &'a Path, text: &'a str) -> Self {
        Self {
            unknown_fields: Severity::Warning,
            ..Self::new(path, text)
        }
    }

    /// The file's text, of which nodes know their places.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The name, kept once however often it stands in the file.
    pub fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    /// Something for which the file is not taken.
    pub fn error(
        &mut self,
        position: Position,
        value: impl Into<String>,
        rule: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.errors += 1;
        self.push(Severity::Error, position, value.into(), rule.into(), fix.into());
    }

    /// Something that has no effect, or hardly the one that was meant.
    pub fn warning(
        &mut self,
        position: Position,
        value: impl Into<String>,
        rule: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(Severity::Warning, position, value.into(), rule.into(), fix.into());
    }

    pub(crate) fn unknown_field(&mut self, position: Position, value: String, rule: String, fix: String) {
        match self.unknown_fields {
            Severity::Error => self.error(position, value, rule, fix),
            Severity::Warning => self.warning(position, value, rule, fix),
        }
    }

    fn push(&mut self, severity: Severity, position: Position, value: String, rule: String, fix: String) {
        // An error is what the file is refused for: it may take a warning's place, or nobody would learn why.
        if self.problems.len() >= PROBLEMS_MAX {
            self.left_out += 1;
            let spare = self
                .problems
                .last_mut()
                .filter(|last| last.severity == Severity::Warning);
            match spare {
                Some(spare) if severity == Severity::Error => {
                    *spare = Problem {
                        severity,
                        path: self.path.to_owned(),
                        position,
                        value,
                        rule,
                        fix,
                    };
                }
                _ => {}
            }
            return;
        }
        self.problems.push(Problem {
            severity,
            path: self.path.to_owned(),
            position,
            value,
            rule,
            fix,
        });
    }

    /// Whether nothing is an error, and the problems in the order of their lines.
    pub fn finish(mut self) -> (bool, Vec<Problem>) {
        self.problems.sort_by_key(|problem| problem.position);
        // One mistake in an anchor is met once for each alias.
        self.problems.dedup();
        if self.left_out > 0 {
            let severity = if self.errors > 0 {
                Severity::Error
            } else {
                Severity::Warning
            };
            let rule = format!("{} more problems are not listed.", self.left_out);
            let fix = "Mend those listed, then check again.".to_owned();
            let path = self.path.to_owned();
            self.problems.push(Problem {
                severity,
                path,
                position: Position::default(),
                value: String::new(),
                rule,
                fix,
            });
        }
        (self.errors == 0, self.problems)
    }
}

/// A name that a person chose for a router, a service or a middleware, and that logs and metrics show anyway.
pub fn shown_name(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect();
    if shown.len() < name.len() {
        format!("{shown}…")
    } else {
        shown
    }
}

/// A field's name: letters alone. Keys have digits or signs in them.
pub fn shown_field(name: &str) -> String {
    let plain = name.len() <= 32 && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic());
    if plain { name.to_owned() } else { described(name) }
}

/// A scalar: a short number or one of YAML's words; a text is only described.
pub fn shown_scalar(scalar: &str) -> String {
    let number = scalar.len() <= 12
        && scalar
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    let word = ["true", "false", "yes", "no", "on", "off", "null"]
        .iter()
        .any(|word| scalar.eq_ignore_ascii_case(word));
    if number || word {
        scalar.to_owned()
    } else {
        described(scalar)
    }
}

fn described(text: &str) -> String {
    match text.chars().count() {
        0 => "an empty text".to_owned(),
        1 => "a text of 1 character".to_owned(),
        count => format!("a text of {count} characters"),
    }
}
