//! What is wrong across files, kept by what it is about, so that a change replaces its own problems only.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::definitions::{Definition, Definitions, Named};
use super::ties::Pair;
use crate::mapping::Router;
use document::{Problem, Severity};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// A name that several files define.
    Duplicate(&'static str, Arc<str>),
    /// A router that cannot be used.
    Broken(Arc<str>),
    Tie(Pair),
}

#[derive(Debug, Default)]
pub(super) struct Problems(BTreeMap<Subject, Vec<Problem>>);

impl Problems {
    pub(super) fn set(&mut self, subject: Subject, problems: Vec<Problem>) {
        if problems.is_empty() {
            self.0.remove(&subject);
        } else {
            self.0.insert(subject, problems);
        }
    }

    /// All of them, by file and position.
    pub(super) fn list(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.0.values().flatten().cloned().collect();
        problems.sort_by(|left, right| (&left.path, left.position).cmp(&(&right.path, right.position)));
        problems
    }
}

pub(super) fn duplicates<T: Named>(definitions: &Definitions<T>, name: &str) -> Vec<Problem> {
    let losers = definitions.losers(name);
    let Some(winner) = definitions.winner(name).filter(|_| !losers.is_empty()) else {
        return Vec::new();
    };
    let losers = losers.iter();
    losers
        .map(|loser| {
            let rule = format!(
                "A {} is named once across all files; {} comes first in lexical order and wins.",
                T::KIND,
                winner.file.name
            );
            problem(
                Severity::Warning,
                loser,
                name,
                rule,
                "Rename one of the two, or remove it.",
            )
        })
        .collect()
}

pub(super) fn tie(preferred: &str, later: &Definition<Router>) -> Problem {
    let rule = format!(
        "Routers {preferred} and {} have the same priority for the same key, so {preferred}, first by name, is tried first.",
        later.item.name
    );
    problem(
        Severity::Warning,
        later,
        &later.item.name,
        rule,
        "Give one of the two a higher priority.",
    )
}

pub(super) fn problem<T: Named>(
    severity: Severity,
    at: &Definition<T>,
    value: &str,
    rule: String,
    fix: &str,
) -> Problem {
    let position = at.item.position();
    Problem {
        severity,
        path: PathBuf::from(&*at.file.name),
        position,
        value: value.into(),
        rule,
        fix: fix.into(),
    }
}
