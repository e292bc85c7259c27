//! What is loaded: every file's state, and the compiler that is told of each change.
//!
//! It holds the rules of what a change of one file does. It never lists the folder: what there is to look at is
//! for its caller to say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::survey::Seen;
use super::{FileState, FileStatus, Snapshot};
use crate::key::KeyHash;
use crate::load::{Checked, Loaded, Stamp, Wanted, load_all};
use crate::mapping::Mapping;
use crate::table::Compiler;
use document::Problem;

/// A file that is emptied loses its keys only when it has stayed empty for this: editors that write in place truncate
/// first.
const EMPTY_FOR: Duration = Duration::from_millis(500);

pub(super) struct Folder {
    path: PathBuf,
    compiler: Compiler,
    files: BTreeMap<Arc<str>, File>,
    /// What is wrong with the folder itself.
    problem: Option<Problem>,
    generation: u64,
    files_read: u64,
    /// The number of the survey that is under way, or of the last one.
    survey: u64,
}

struct File {
    /// The survey that last listed it, or that was under way when it was read.
    survey: u64,
    mark: Mark,
    /// Since when its last good content is served although it is empty.
    empty_since: Option<Instant>,
    status: Arc<FileStatus>,
}

/// By what a file's next state is told from this one.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// `None`: look again whenever somebody looks.
    stamp: Option<Stamp>,
    digest: Option<u64>,
}

/// What looking at some files did.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) loaded: Vec<Arc<FileStatus>>,
    pub(super) removed: Vec<Arc<str>>,
    /// Names to look at again, and when.
    pub(super) later: Vec<(Arc<str>, Instant)>,
    /// Names whose stamp cannot be trusted yet.
    pub(super) fresh: Vec<Arc<str>>,
}

impl Change {
    pub(super) fn is_none(&self) -> bool {
        self.loaded.is_empty() && self.removed.is_empty()
    }
}

impl Folder {
    pub(super) fn new(path: &Path, entry_points: Option<Vec<String>>) -> Self {
        Self {
            path: path.to_owned(),
            compiler: Compiler::new(entry_points),
            files: BTreeMap::new(),
            problem: None,
            generation: 0,
            files_read: 0,
            survey: 0,
        }
    }

    /// The first load: everything that is listed.
    pub(super) fn fill(&mut self, seen: Vec<Seen>) -> Change {
        self.look(seen.into_iter().map(|seen| seen.name), || true)
    }

    pub(super) fn begin_survey(&mut self) {
        self.survey += 1;
    }

    /// Of a part of a listing, the names that have to be looked at: new ones and changed ones.
    pub(super) fn differing(&mut self, seen: Vec<Seen>) -> Vec<Arc<str>> {
        let differs = |seen: &Seen| {
            let Some(file) = self.files.get_mut(&seen.name) else {
                return true;
            };
            file.survey = self.survey;
            file.mark.stamp.is_none() || file.mark.stamp != seen.stamp
        };
        seen.into_iter().filter(differs).map(|seen| seen.name).collect()
    }

    /// What is loaded and was not listed. A listing may miss names that are renamed meanwhile, so these are looked at
    /// before they are taken for gone.
    pub(super) fn unlisted(&self) -> Vec<Arc<str>> {
        let unlisted = self.files.iter().filter(|(_, file)| file.survey != self.survey);
        unlisted.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Reads these files, and applies what they hold now. That a file is gone means something only while the folder is
    /// there: `present` is asked after reading.
    pub(super) fn look(&mut self, names: impl IntoIterator<Item = Arc<str>>, present: impl Fn() -> bool) -> Change {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        let wanted = names.into_iter().map(|name| {
            let known = self.files.get(&name).and_then(|file| file.mark.digest);
            Wanted { name, known }
        });
        let mut loaded = load_all(&self.path, wanted.collect());
        if custody::folder(&self.path).is_err() {
            // The next survey says so. Nothing is taken from it meanwhile, and what is gone is gone.
            loaded.retain(|(_, loaded)| matches!(loaded, Loaded::Gone));
        }
        let present = !loaded.iter().any(|(_, loaded)| matches!(loaded, Loaded::Gone)) || present();
        let mut change = Change::default();
        for (name, loaded) in loaded {
            match loaded {
                Loaded::Gone if present => self.remove(&name, &mut change),
                Loaded::Gone => {}
                Loaded::Unreadable(problem) => self.unreadable(name, problem, &mut change),
                Loaded::Empty(stamp) => self.empty(name, stamp, &mut change),
                Loaded::Same(stamp) => self.same(name, stamp, &mut change),
                Loaded::Checked(checked) => self.checked(name, *checked, &mut change),
            }
        }
        change
    }

    fn checked(&mut self, name: Arc<str>, checked: Checked, change: &mut Change) {
        let Checked {
            stamp,
            digest,
            mapping,
            problems,
            salvaged,
        } = checked;
        self.files_read += 1;
        note_fresh(&name, stamp, change);
        let mark = Mark {
            stamp: Some(stamp),
            digest: Some(digest),
        };
        match mapping {
            Some(mapping) => self.good(name, mark, mapping, problems, change),
            None => self.bad(name, mark, problems, salvaged, change),
        }
    }

    fn good(&mut self, name: Arc<str>, mark: Mark, mapping: Mapping, problems: Vec<Problem>, change: &mut Change) {
        let mapping = Arc::new(mapping);
        self.compiler.set(&name, Some(Arc::clone(&mapping)));
        self.compiler.set_refused(&name, Vec::new());
        self.put(
            FileStatus {
                name,
                state: FileState::Loaded,
                mapping: Some(mapping),
                problems,
            },
            mark,
            change,
        );
    }

    /// The last good content stays. Where there is none, the keys that could be read are refused.
    fn bad(&mut self, name: Arc<str>, mark: Mark, problems: Vec<Problem>, salvaged: Vec<KeyHash>, change: &mut Change) {
        let mapping = self.files.get(&name).and_then(|file| file.status.mapping.clone());
        let state = if mapping.is_some() {
            FileState::KeptLastGood
        } else {
            FileState::Refused
        };
        if state == FileState::Refused {
            self.compiler.set_refused(&name, salvaged);
        }
        self.put(
            FileStatus {
                name,
                state,
                mapping,
                problems,
            },
            mark,
            change,
        );
    }

    /// Looked at again with every survey, so it is news only once.
    fn unreadable(&mut self, name: Arc<str>, problem: Problem, change: &mut Change) {
        let problems = vec![problem];
        let known = self
            .files
            .get(&name)
            .is_some_and(|file| file.status.problems == problems);
        if !known {
            self.bad(name, Mark::default(), problems, Vec::new(), change);
        }
    }

    fn same(&mut self, name: Arc<str>, stamp: Stamp, change: &mut Change) {
        note_fresh(&name, stamp, change);
        if let Some(file) = self.files.get_mut(&name) {
            file.mark.stamp = Some(stamp);
            file.empty_since = None;
        }
    }

    fn empty(&mut self, name: Arc<str>, stamp: Stamp, change: &mut Change) {
        note_fresh(&name, stamp, change);
        let mark = Mark {
            stamp: Some(stamp),
            digest: None,
        };
        if let Some(file) = self.files.get_mut(&name)
            && file.serves_something()
        {
            let now = Instant::now();
            let until = *file.empty_since.get_or_insert(now) + EMPTY_FOR;
            if now < until {
                file.mark.stamp = Some(stamp);
                change.later.push((name, until));
                return;
            }
        }
        self.good(name, mark, Mapping::default(), Vec::new(), change);
    }

    fn put(&mut self, status: FileStatus, mark: Mark, change: &mut Change) {
        let status = Arc::new(status);
        change.loaded.push(Arc::clone(&status));
        self.files.insert(
            Arc::clone(&status.name),
            File {
                survey: self.survey,
                mark,
                empty_since: None,
                status,
            },
        );
    }

    fn remove(&mut self, name: &Arc<str>, change: &mut Change) {
        if self.files.remove(name).is_none() {
            return;
        }
        self.compiler.set(name, None);
        self.compiler.set_refused(name, Vec::new());
        change.removed.push(Arc::clone(name));
    }

    /// Sets or clears what is wrong with the folder itself. Whether that is news.
    pub(super) fn set_problem(&mut self, problem: Option<Problem>) -> bool {
        let news = self.problem != problem;
        self.problem = problem;
        news
    }

    /// Compiles what is loaded.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        let (table, across) = self.compiler.table();
        let across = across.into_iter().map(|problem| Problem {
            path: self.path.join(problem.path),
            ..problem
        });
        self.generation += 1;
        Snapshot {
            table,
            files: self.files.values().map(|file| Arc::clone(&file.status)).collect(),
            problems: self.problem.iter().cloned().chain(across).collect(),
            generation: self.generation,
            files_read: self.files_read,
        }
    }
}

impl File {
    fn serves_something(&self) -> bool {
        let nothing = |mapping: &Arc<Mapping>| {
            mapping.routers.is_empty() && mapping.services.is_empty() && mapping.middlewares.is_empty()
        };
        self.status.mapping.as_ref().is_some_and(|mapping| !nothing(mapping))
    }
}

fn note_fresh(name: &Arc<str>, stamp: Stamp, change: &mut Change) {
    if stamp.is_fresh(SystemTime::now()) {
        change.fresh.push(Arc::clone(name));
    }
}
