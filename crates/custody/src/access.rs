//! Who may write a file, or put one in its place.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::LazyLock;

use rustix::fs::StatVfsMountFlags;

use crate::{Refusal, Remark, Terms, is_trusting};

const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITE: u32 = 0o020;
const STICKY: u32 = 0o1000;

pub(crate) fn judged(path: &Path, metadata: &Metadata, terms: &Terms) -> io::Result<Option<Remark>> {
    let mode = metadata.mode();
    if mode & OTHERS_WRITE != 0 && !is_trusting() && !is_read_only(path) {
        return Err(Refusal::error(
            format!("everybody on this machine may write it (mode {:04o})", mode & 0o7777),
            format!("`chmod o-w {}`; {TRUST}", path.display()),
        ));
    }
    if terms.is_secret && mode & OTHERS_READ != 0 {
        return Ok(Some(Remark::Readable));
    }
    let foreign = mode & GROUP_WRITE != 0 && !is_known(metadata.gid(), metadata.uid());
    Ok(foreign.then(|| Remark::ForeignGroup { group: metadata.gid() }))
}

/// Where a single file lies: whoever may write there can put another one in its place, unless each may only move his own.
pub(crate) fn place(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let mode = fs::metadata(parent)?.mode();
    check_folder(parent, mode, mode & STICKY == 0)
}

/// A folder any file of which counts.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    check_folder(path, fs::metadata(path)?.mode(), true)
}

fn check_folder(path: &Path, mode: u32, counts: bool) -> io::Result<()> {
    if !counts || mode & OTHERS_WRITE == 0 || is_trusting() || is_read_only(path) {
        return Ok(());
    }
    Err(Refusal::error(
        format!(
            "everybody on this machine may put files into its folder (mode {:04o})",
            mode & 0o7777
        ),
        format!("`chmod o-w {}`; {TRUST}", path.display()),
    ))
}

/// Whether it is mounted for reading alone, so that nobody here writes it whatever its mode says: Kubernetes' ConfigMaps
/// and secrets are folders with the mode 0777 on such a mount.
fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

const TRUST: &str = "where the file system knows no better, --trust-writable-files";

/// Root's, one of this process's, or what many systems give each user for himself: a group of the user's own number.
fn is_known(group: u32, owner: u32) -> bool {
    static OWN: LazyLock<Vec<u32>> = LazyLock::new(|| {
        let groups = rustix::process::getgroups().unwrap_or_default();
        let own = groups.into_iter().chain([rustix::process::getegid()]);
        own.map(rustix::process::Gid::as_raw).collect()
    });
    group == 0 || group == owner || OWN.contains(&group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_root_of_ours_and_of_the_owner_alone_are_known() {
        let own = rustix::process::getegid().as_raw();
        let nobodys = u32::MAX - 7;
        for (group, owner, known) in [
            (0, 1000, true),
            (own, 1000, true),
            (1000, 1000, true),
            (nobodys, 1000, false),
        ] {
            assert_eq!(is_known(group, owner), known, "{group} {owner}");
        }
    }
}
