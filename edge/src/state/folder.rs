//! The folder: made, locked, and its file read.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::file::{self, Log};
use crate::limits::registry::Fact;

/// A folder that is this process's own for as long as this lives.
pub(crate) struct Folder {
    /// The lock goes with it.
    _lock: File,
    pub(super) log: Log,
}

#[derive(Debug)]
pub enum StateError {
    /// Another edge runs on the folder.
    Held(PathBuf),
    Unusable {
        path: PathBuf,
        error: io::Error,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(path) => write!(
                f,
                "the state folder {} is held by another edge, and two would each forget what the other counts; end the \
                 other one, or give this one a folder of its own with --state",
                path.display()
            ),
            Self::Unusable { path, error } => write!(
                f,
                "the state folder cannot be used: {}: {error}; make it writable for this user, or choose another with \
                 --state",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StateError {}

impl Folder {
    /// Writes its file anew, with these facts.
    pub(crate) fn write_anew(&mut self, facts: &[Fact]) -> io::Result<()> {
        self.log.write_anew(facts)
    }

    /// # Errors
    /// Where another edge holds it, or it cannot be made or written.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Fact>), StateError> {
        let unusable = |error| StateError::Unusable {
            path: path.to_owned(),
            error,
        };
        let make = DirBuilder::new().recursive(true).mode(0o700).create(path);
        make.map_err(unusable)?;
        close_to_others(path).map_err(unusable)?;
        let lock = private_file(&path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::Held(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let file = path.join(file::NAME);
        let facts = recover(&file).map_err(unusable)?;
        // At once, so that a folder that cannot be written is an error now and not a surprise later.
        let log = Log::anew(&file, &facts).map_err(unusable)?;
        Ok((Self { _lock: lock, log }, facts))
    }
}

/// What the file says; a damaged one is set aside and said so.
fn recover(file: &Path) -> io::Result<Vec<Fact>> {
    let read = match file::read(file) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if let Some(damage) = read.damage {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let aside = file.with_extension(format!("log.damaged-{}", now.as_secs()));
        std::fs::rename(file, &aside)?;
        tracing::error!(
            file = %file.display(),
            set_aside = %aside.display(),
            kept = read.facts.len(),
            "what was used of limits was read only in part: {damage}; keys may use again what the lost part counted"
        );
    }
    Ok(read.facts)
}

/// A successor is let in here: a folder that others can write would let them in too.
fn close_to_others(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.permissions().mode() & 0o777 != 0o700 {
        std::fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(at_unix_s: u64) -> Fact {
        Fact::Used {
            router: "a".into(),
            at_unix_s,
        }
    }

    #[test]
    fn one_edge_at_a_time_and_nobody_else_reads_it() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("deep/state");
        let (mut held, facts) = Folder::open(&path).expect("opened");
        assert!(facts.is_empty());
        held.log.append(&[used(7)]).expect("written");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(
            (mode(&path), mode(&path.join(file::NAME)), mode(&path.join("lock"))),
            (0o700, 0o600, 0o600)
        );
        let Err(error) = Folder::open(&path) else {
            panic!("two at once")
        };
        assert!(error.to_string().contains("held by another edge"), "{error}");
        let seen = super::super::last_uses(&path).expect("readable while it is held");
        assert_eq!(seen["a"], UNIX_EPOCH + std::time::Duration::from_secs(7));
        drop(held);
        assert_eq!(Folder::open(&path).expect("free again").1, [used(7)]);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_work_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(file::NAME), "nonsense, and long enough to be told").expect("written");
        let (_held, facts) = Folder::open(folder.path()).expect("opened");
        assert!(facts.is_empty());
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .expect("readable")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        assert!(
            names.iter().any(|name| name.starts_with("limits.log.damaged-")),
            "{names:?}"
        );
    }

    #[test]
    fn a_folder_that_was_open_to_others_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("set");
        let _held = Folder::open(folder.path()).expect("opened");
        let mode = std::fs::metadata(folder.path()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_which() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "").expect("written");
        let Err(error) = Folder::open(&path) else {
            panic!("a file is no folder")
        };
        assert!(
            error.to_string().contains("file") && error.to_string().contains("--state"),
            "{error}"
        );
    }
}
