//! Files that appear, change and vanish whole, whatever happens meanwhile.
//!
//! A text is written to a hidden temporary beside its place (the watch does not look at hidden files), brought to disk,
//! and renamed. A file's permissions are kept and never widened; a link that leads out of the folder is not followed.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use document::Position;
use rustix::fs::{FlockOperation, Gid, Uid};
use tempfile::NamedTempFile;

use super::error::EditError;
use super::plan::Step;

/// Of a folder's mode: new files have its group.
const SET_GROUP: u32 = 0o2000;

/// How often a lock that another run holds is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// The kernel lets go of it however its holder ends, so nothing is left behind.
pub(super) fn lock(folder: &Path, patience: Duration) -> Result<File, EditError> {
    let failed = |error: io::Error| EditError::io("The folder cannot be opened", folder, error);
    let handle = File::open(folder).map_err(failed)?;
    if !handle.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    let deadline = Instant::now() + patience;
    loop {
        match rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(handle),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => std::thread::sleep(LOCK_RETRY),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let rule = format!("Another run has held this folder for {} seconds.", patience.as_secs());
                return Err(EditError::new(rule, "", "Wait for it; `fuser` names it.").at(folder, Position::default()));
            }
            Err(error) => return Err(EditError::io("The folder cannot be locked", folder, error.into())),
        }
    }
}

pub(super) fn step(folder: &Path, step: &Step) -> Result<(), EditError> {
    match step {
        Step::Create { path, text } => {
            create(folder, path, text).map_err(|error| EditError::io("The file cannot be written", path, error))
        }
        Step::Replace { path, before, after } => {
            let real = unchanged(folder, path, before)?;
            replace(&real, after).map_err(|error| EditError::io("The file cannot be written", path, error))
        }
        Step::Remove { path, before } => {
            let real = unchanged(folder, path, before)?;
            remove(path, &real).map_err(|error| EditError::io("The file cannot be removed", path, error))
        }
    }
}

/// Under a name that nobody has, not even a link that leads nowhere.
fn create(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let unfinished = unfinished(folder, text)?;
    give_to_owner_of(folder, unfinished.as_file())?;
    open_to_group_of(folder, unfinished.as_file())?;
    unfinished.as_file().sync_all()?;
    unfinished.persist_noclobber(path).map_err(|error| error.error)?;
    sync(folder)
}

fn replace(real: &Path, text: &str) -> io::Result<()> {
    let folder = real.parent().unwrap_or(Path::new("."));
    let unfinished = unfinished(folder, text)?;
    keep_access(&fs::metadata(real)?, unfinished.as_file())?;
    unfinished.as_file().sync_all()?;
    unfinished.persist(real).map_err(|error| error.error)?;
    sync(folder)
}

/// A link goes first, so that nothing ever leads nowhere.
fn remove(path: &Path, real: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    if real != path && real.exists() {
        fs::remove_file(real)?;
    }
    sync(path.parent().unwrap_or(Path::new(".")))
}

/// Where the file is, after links; and that it still holds what was decided on.
fn unchanged(folder: &Path, path: &Path, before: &str) -> Result<PathBuf, EditError> {
    let unreadable = |error| EditError::io("The file cannot be read", path, error);
    let real = path.canonicalize().map_err(unreadable)?;
    if !real.starts_with(folder) {
        let rule = "This file is a link that leads out of the folder; what is there belongs to somebody else.";
        let fix = "Edit the file it leads to, or put the file itself here.";
        return Err(EditError::new(rule, "", fix).at(path, Position::default()));
    }
    let now = zeroize::Zeroizing::new(fs::read(&real).map_err(unreadable)?);
    if *now != *before.as_bytes() {
        let rule = "Somebody else has changed this file meanwhile.";
        return Err(EditError::new(rule, "", "Run the command again.").at(path, Position::default()));
    }
    Ok(real)
}

/// Hidden, and for its owner alone.
fn unfinished(folder: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(".conclave-key.").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// An operator's root makes keys for an edge that runs as the folder's owner, who must be able to read them.
fn give_to_owner_of(folder: &Path, file: &File) -> io::Result<()> {
    let owner = fs::metadata(folder)?;
    let own = file.metadata()?;
    if rustix::process::geteuid().is_root() && (owner.uid(), owner.gid()) != (own.uid(), own.gid()) {
        chown(file, &owner)?;
    }
    Ok(())
}

/// A folder whose set-group bit gives every file its group, as the package's does, is read by that group: an edge that runs
/// as one of it could not read what root makes there. Without the bit a file is for its owner alone.
fn open_to_group_of(folder: &Path, file: &File) -> io::Result<()> {
    let (folder, own) = (fs::metadata(folder)?, file.metadata()?);
    if folder.mode() & SET_GROUP != 0 && folder.gid() == own.gid() {
        file.set_permissions(Permissions::from_mode(0o640))?;
    }
    Ok(())
}

/// The mode and owner that the file had. Where its group cannot be kept, the new one must not read it in its stead.
fn keep_access(before: &Metadata, file: &File) -> io::Result<()> {
    let own = file.metadata()?;
    let same_owner = (before.uid(), before.gid()) == (own.uid(), own.gid());
    let kept = same_owner || chown(file, before).is_ok();
    let mode = before.permissions().mode() & if kept { 0o777 } else { 0o707 };
    file.set_permissions(Permissions::from_mode(mode))
}

fn chown(file: &File, owner: &Metadata) -> io::Result<()> {
    let (user, group) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    Ok(rustix::fs::fchown(file, Some(user), Some(group))?)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
