//! What is logged of a change: once, by file name and position. Problems are masked where they are made.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use super::folder::Change;
use super::{FileState, Snapshot};
use document::{Problem, Severity};

/// Names in one line, and lines for one change. The rest is in `conclave check` and in `/health`.
const NAMES_MAX: usize = 10;
const PROBLEMS_MAX: usize = 100;

pub(super) fn changed(folder: &Path, change: &Change, before: &Snapshot, now: &Snapshot, took: Duration) {
    info!(
        folder = %folder.display(),
        loaded = names(change.loaded.iter().map(|file| &file.name)),
        removed = names(change.removed.iter()),
        files = now.files.len(),
        bad_files = now.bad_files().count(),
        routers = now.table.routers(),
        keys = now.table.keys(),
        generation = now.generation,
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "mappings changed"
    );
    for file in change.loaded.iter().take(PROBLEMS_MAX) {
        match file.state {
            FileState::Loaded => {}
            FileState::KeptLastGood => warn!(file = &*file.name, "does not check: its last good content is served"),
            FileState::Refused => error!(
                file = &*file.name,
                "does not check, and never did: its keys are refused"
            ),
        }
    }
    let place = |problem: &Problem| (problem.path.clone(), problem.position, problem.rule.clone());
    let known: BTreeSet<_> = before.problems.iter().map(place).collect();
    let across = now.problems.iter().filter(|problem| !known.contains(&place(problem)));
    let problems: Vec<_> = change
        .loaded
        .iter()
        .flat_map(|file| &file.problems)
        .chain(across)
        .collect();
    for problem in problems.iter().take(PROBLEMS_MAX) {
        one(problem);
    }
    if problems.len() > PROBLEMS_MAX {
        warn!(
            more = problems.len() - PROBLEMS_MAX,
            "more problems are not logged; `conclave check` lists them"
        );
    }
}

/// Events cannot be had: inotify's limits, a file system without them.
pub(super) fn not_armed(folder: &Path, error: &notify::Error) {
    warn!(folder = %folder.display(), %error, "no file system events: changes are seen by polling alone");
}

fn one(problem: &Problem) {
    let at = problem.place();
    match problem.severity {
        Severity::Error => error!(at, value = problem.value, fix = problem.fix, "{}", problem.rule),
        Severity::Warning => warn!(at, value = problem.value, fix = problem.fix, "{}", problem.rule),
    }
}

fn names<'a>(names: impl ExactSizeIterator<Item = &'a Arc<str>>) -> String {
    let count = names.len();
    let shown: Vec<_> = names.take(NAMES_MAX).map(|name| &**name).collect();
    match count - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
