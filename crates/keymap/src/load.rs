//! One file of the folder: whether it counts, when it has changed, its text read and checked.
//!
//! Everything that touches a file's bytes is here. The text is wiped when it has been checked; what stays is the
//! mapping, the problems, and a digest that tells whether a later text is another one.

use std::fs::{self, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use custody::{Contents, Remark, Terms};

use crate::check::check;
use crate::key::KeyHash;
use crate::mapping::Mapping;
use crate::rule;
use document::{Position, Problem, Severity};

/// A million keys with their rules are 150 MB. A file over this is none of ours, or a way to take our memory.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Clocks of file systems are as coarse as this (FAT: 2 s). A file read so soon after its last change may change once
/// more without its times showing it.
pub(crate) const TIMESTAMP_GRAIN: Duration = Duration::from_secs(2);

/// Whether a file of this name is a mapping: `*.yml` and `*.yaml`, as spelled. Hidden files and what editors and
/// scripts leave behind (`#a.yml#`, `a.yml~`, `a.yml.bak.1`, `.a.yml.swp`) are not.
pub(crate) fn is_mapping(name: &str) -> bool {
    !name.starts_with(['.', '#']) && (name.ends_with(".yml") || name.ends_with(".yaml"))
}

/// What tells a file's states apart without reading it. Symlinks are followed: a new target is a new inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// Says what `modified` can be made to hide, and that permissions have changed.
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::from(&metadata))
    }

    /// Whether the file changed so lately that its next change might leave the same stamp.
    pub(crate) fn is_fresh(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        [self.modified, self.changed].iter().any(|(seconds, nanoseconds)| {
            let seconds = u64::try_from(*seconds).unwrap_or(0);
            let at = Duration::new(seconds, u32::try_from(*nanoseconds).unwrap_or(0));
            now.abs_diff(at) < TIMESTAMP_GRAIN
        })
    }
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a look at a file found.
#[derive(Debug)]
pub(crate) enum Loaded {
    Gone,
    /// It is there and cannot be read.
    Unreadable(Problem),
    /// It has no byte in it: either meant so, or seen between an editor's truncation and its first write.
    Empty(Stamp),
    /// The text that was there before.
    Same(Stamp),
    Checked(Box<Checked>),
}

#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) stamp: Stamp,
    pub(crate) digest: u64,
    /// `None`: it has errors.
    pub(crate) mapping: Option<Mapping>,
    pub(crate) problems: Vec<Problem>,
    /// Where there is no mapping: the keys that can be read from it all the same.
    pub(crate) salvaged: Vec<KeyHash>,
}

/// Reads and checks a file. `known` is the digest of what is loaded.
pub(crate) fn load(path: &Path, terms: &Terms, known: Option<u64>) -> Loaded {
    match custody::read(path, terms) {
        Ok(contents) if contents.bytes.is_empty() => Loaded::Empty(Stamp::from(&contents.metadata)),
        Ok(contents) => {
            let digest = digest(&contents);
            if known == Some(digest) {
                Loaded::Same(Stamp::from(&contents.metadata))
            } else {
                checked(path, digest, &contents)
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Loaded::Gone,
        Err(error) => Loaded::Unreadable(unreadable(path, &error)),
    }
}

/// What is asked of this folder's files: above all that a link does not lead out of it.
pub(crate) fn terms(folder: &Path) -> Terms {
    // Where even this fails the folder is going, and no link leads into what is named here.
    let home = fs::canonicalize(folder).unwrap_or_else(|_| PathBuf::from(folder));
    Terms::of_folder(home, FILE_BYTES_MAX)
}

/// Keyed anew in each process, so that nobody can make a file that looks unchanged.
/// What is remarked of the file counts as part of it, so that a remark comes and goes with its cause.
fn digest(contents: &Contents) -> u64 {
    static KEYED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEYED.hash_one((&**contents.bytes, contents.remark.is_some()))
}

fn checked(path: &Path, digest: u64, contents: &Contents) -> Loaded {
    let bytes = &**contents.bytes;
    let outcome = match std::str::from_utf8(bytes) {
        // A parser that panics would end the watcher, and removed keys would work for ever after.
        Ok(text) => catch_unwind(AssertUnwindSafe(|| check(path, text))).unwrap_or_else(|_| {
            (
                None,
                vec![problem(
                    path,
                    Position::default(),
                    "The file could not be checked: a bug of ours.",
                    "Split the file to find the line, and report it.",
                )],
            )
        }),
        Err(error) => (None, vec![not_utf8(path, bytes, error.valid_up_to())]),
    };
    let (mapping, mut problems) = outcome;
    problems.extend(contents.remark.map(|remark| remarked(path, remark)));
    let salvaged = if mapping.is_none() {
        rule::salvage_keys(&String::from_utf8_lossy(bytes))
    } else {
        Vec::new()
    };
    Loaded::Checked(Box::new(Checked {
        stamp: Stamp::from(&contents.metadata),
        digest,
        mapping,
        problems,
        salvaged,
    }))
}

fn not_utf8(path: &Path, bytes: &[u8], valid: usize) -> Problem {
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let line = before.split('\n').next_back().unwrap_or_default();
    let count = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    let position = Position {
        line: count(before.matches('\n').count()),
        column: count(line.chars().count()),
    };
    problem(path, position, "A mapping file is text in UTF-8.", "Save it as UTF-8.")
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let fix = custody::fix(error).unwrap_or("Make it a regular file that this user may read.");
    problem(
        path,
        Position::default(),
        &format!("The file cannot be read: {error}."),
        fix,
    )
}

fn remarked(path: &Path, remark: Remark) -> Problem {
    Problem {
        severity: Severity::Warning,
        ..problem(path, Position::default(), &remark.to_string(), remark.fix())
    }
}

pub(crate) fn problem(path: &Path, position: Position, rule: &str, fix: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        path: path.to_owned(),
        position,
        value: String::new(),
        rule: rule.to_owned(),
        fix: fix.to_owned(),
    }
}

/// A file to look at.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) name: Arc<str>,
    pub(crate) known: Option<u64>,
}

/// Loads many files on as many threads as the machine has cores.
pub(crate) fn load_all(folder: &Path, wanted: Vec<Wanted>) -> Vec<(Arc<str>, Loaded)> {
    /// Fewer are done before a thread has started.
    const PER_THREAD_MIN: usize = 32;
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(wanted.len() / PER_THREAD_MIN)
        .max(1);
    let share = wanted.len().div_ceil(threads).max(1);
    let terms = terms(folder);
    let load_share = |share: &[Wanted]| -> Vec<_> {
        share
            .iter()
            .map(|wanted| {
                let path = folder.join(&*wanted.name);
                (wanted.name.clone(), load(&path, &terms, wanted.known))
            })
            .collect()
    };
    if threads == 1 {
        return load_share(&wanted);
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = wanted
            .chunks(share)
            .map(|share| scope.spawn(move || load_share(share)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_default())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mapping_files_count() {
        for name in ["a.yml", "a.yaml", "a.b.yml", "ü.yml", "a b.yaml"] {
            assert!(is_mapping(name), "{name}");
        }
        for name in [
            "a.YML",
            "a.yml~",
            ".a.yml",
            "a.yml.bak",
            "a.yml.bak.1700000000",
            ".a.yml.swp",
            "#a.yml#",
            ".#a.yml",
            "a.json",
            "a.yml.tmp",
            "yml",
            "..data",
            "a.ymlx",
            "",
        ] {
            assert!(!is_mapping(name), "{name}");
        }
    }

    #[test]
    fn a_file_that_is_no_text_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yml");
        fs::write(&path, b"http:\n  \xc3\xa4 \xff").unwrap();
        let Loaded::Checked(checked) = load(&path, &terms(folder.path()), None) else {
            panic!()
        };
        assert!(checked.mapping.is_none());
        assert_eq!(checked.problems[0].position, Position { line: 2, column: 5 });
    }

    #[test]
    fn what_is_no_file_is_reported_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            load(folder.path(), &terms(folder.path()), None),
            Loaded::Unreadable(_)
        ));
        assert!(matches!(
            load(&folder.path().join("none.yml"), &terms(folder.path()), None),
            Loaded::Gone
        ));
    }

    #[test]
    fn the_same_text_is_not_checked_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yml");
        fs::write(&path, "http: {}\n").unwrap();
        let Loaded::Checked(first) = load(&path, &terms(folder.path()), None) else {
            panic!()
        };
        assert!(matches!(
            load(&path, &terms(folder.path()), Some(first.digest)),
            Loaded::Same(_)
        ));
        fs::write(&path, "http: { }\n").unwrap();
        assert!(matches!(
            load(&path, &terms(folder.path()), Some(first.digest)),
            Loaded::Checked(_)
        ));
    }

    #[test]
    fn many_files_are_loaded_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = (0..500).map(|i| {
            let name: Arc<str> = format!("{i}.yml").into();
            fs::write(folder.path().join(&*name), "http: {}\n").unwrap();
            Wanted { name, known: None }
        });
        let loaded = load_all(folder.path(), wanted.collect());
        let names: std::collections::BTreeSet<_> = loaded.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!((loaded.len(), names.len()), (500, 500));
        assert!(loaded.iter().all(|(_, loaded)| matches!(loaded, Loaded::Checked(_))));
    }
}
