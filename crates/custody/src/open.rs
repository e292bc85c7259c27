//! Opening a plain file, and nothing else, without ever waiting.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::{Refusal, is_trusting};

pub(crate) fn plain(path: &Path, home: Option<&Path>) -> io::Result<(File, Metadata)> {
    let itself = fs::symlink_metadata(path)?;
    let is_link = itself.is_symlink();
    let found = if is_link { fs::metadata(path)? } else { itself };
    // Before it is opened: to open a FIFO is to wait for its writer, and some devices act when they are opened.
    check_plain(&found)?;
    // And what has taken its place since is not waited for either.
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    if !is_link {
        flags |= OFlags::NOFOLLOW;
    }
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    check_plain(&metadata)?;
    if let Some(home) = home.filter(|_| is_link && !is_trusting()) {
        check_within(&real(path, &file)?, home)?;
    }
    Ok((file, metadata))
}

fn check_plain(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() {
        "a folder"
    } else {
        "a pipe, a socket or a device"
    };
    Err(Refusal::error(
        format!("it is no regular file but {what}"),
        "Put a regular file in its place, or remove it.",
    ))
}

fn check_within(real: &Path, home: &Path) -> io::Result<()> {
    if real.starts_with(home) {
        return Ok(());
    }
    Err(Refusal::error(
        "it is a link that leads out of the folder, where somebody else may decide what is in it",
        "Put the file itself here, or name the folder it leads to.",
    ))
}

/// Of the file that is open, so that no link can be swapped between the look and the reading.
fn real(path: &Path, file: &File) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).or_else(|_| fs::canonicalize(path))
}
