//! From file system events to signs: a name that was touched, or a reason to look at everything.
//!
//! Signs go through a bounded channel. When it is full, which one is lost does not matter: a flag asks for a survey.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::SystemTime;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::load::is_mapping;

/// A burst of more names than this is cheaper to survey than to follow.
pub(super) const SIGNS_MAX: usize = 4_096;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// `settled`: closed, renamed or removed. Otherwise somebody may be writing to it still.
    Touched {
        name: Arc<str>,
        settled: bool,
    },
    /// Files may have changed without a name of theirs: a link that they go through has.
    Unclear,
    /// The watched folder itself was removed or renamed.
    FolderMoved,
    Wake,
}

/// What others ask of the thread.
pub(super) struct Signals {
    pub(super) stop: AtomicBool,
    pub(super) rescan: AtomicBool,
    signs: SyncSender<Sign>,
}

impl Signals {
    pub(super) fn new() -> (Arc<Self>, Receiver<Sign>) {
        let (sender, signs) = sync_channel(SIGNS_MAX);
        let signals = Self {
            stop: AtomicBool::new(false),
            rescan: AtomicBool::new(false),
            signs: sender,
        };
        (Arc::new(signals), signs)
    }

    /// A full channel wakes as well.
    pub(super) fn wake(&self) {
        let _ = self.signs.try_send(Sign::Wake);
    }

    fn give(&self, sign: Sign) {
        if self.signs.try_send(sign).is_err() {
            self.rescan.store(true, Ordering::Release);
        }
    }
}

/// Which folder a path leads to, so that a swapped link, a new mount or a folder made anew is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    /// Inodes are used again, often at once. Not every file system knows it.
    created: Option<SystemTime>,
}

impl Identity {
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(folder)?;
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            created: metadata.created().ok(),
        })
    }
}

/// Begins to watch the folder's entries; the watcher ends when dropped.
pub(super) fn arm(folder: &Path, signals: &Arc<Signals>) -> notify::Result<RecommendedWatcher> {
    // Events name their files absolutely, however the folder was named.
    let folder = std::path::absolute(folder).map_err(notify::Error::io)?;
    let (watched, signals) = (folder.clone(), Arc::clone(signals));
    let handler = move |event: notify::Result<Event>| match event {
        Ok(event) => signs(&event, &watched, &mut |sign| signals.give(sign)),
        Err(_) => signals.give(Sign::Unclear),
    };
    arm_with(&folder, handler)
}

/// The same for a handler of one's own.
pub(super) fn arm_with(
    folder: &Path,
    handler: impl Fn(notify::Result<Event>) + Send + 'static,
) -> notify::Result<RecommendedWatcher> {
    let config = notify::Config::default().with_follow_symlinks(false);
    let mut watcher = RecommendedWatcher::new(handler, config)?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Whether something may have changed: somebody who only reads, we ourselves above all, changes nothing.
pub(super) fn is_news(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => event.need_rescan(),
        _ => true,
    }
}

fn signs(event: &Event, folder: &Path, give: &mut impl FnMut(Sign)) {
    if event.need_rescan() {
        return give(Sign::Unclear);
    }
    if !is_news(event) {
        return;
    }
    let settled = match event.kind {
        EventKind::Access(_) | EventKind::Remove(_) => true,
        // Both names had an event of their own.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return,
        EventKind::Modify(ModifyKind::Name(_)) => true,
        _ => false,
    };
    for path in &event.paths {
        if let Some(sign) = sign(path, folder, event.kind, settled) {
            give(sign);
        }
    }
}

fn sign(path: &PathBuf, folder: &Path, kind: EventKind, settled: bool) -> Option<Sign> {
    if path == folder {
        let moved = matches!(kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
        return moved.then_some(Sign::FolderMoved);
    }
    let name = path.strip_prefix(folder).ok()?.to_str()?;
    if is_mapping(name) {
        return Some(Sign::Touched {
            name: name.into(),
            settled,
        });
    }
    // Kubernetes swaps `..data`, which every file is a link through. Other links are asked for; editors' swap files and
    // the temporary names of atomic writes come and go here all the time and concern nobody.
    let appeared = matches!(
        kind,
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To))
    );
    let linked = name.starts_with("..") || (appeared && path.is_symlink());
    linked.then_some(Sign::Unclear)
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind};

    #[test]
    fn events_become_signs() {
        let touched = |name: &str, settled| {
            Some(Sign::Touched {
                name: name.into(),
                settled,
            })
        };
        let rename = |mode| EventKind::Modify(ModifyKind::Name(mode));
        let cases = [
            (
                EventKind::Access(AccessKind::Close(AccessMode::Write)),
                "/m/a.yml",
                touched("a.yml", true),
            ),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), "/m/a.yml", None),
            (
                EventKind::Create(CreateKind::File),
                "/m/a.yaml",
                touched("a.yaml", false),
            ),
            (
                EventKind::Modify(ModifyKind::Data(DataChange::Any)),
                "/m/a.yml",
                touched("a.yml", false),
            ),
            (
                EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)),
                "/m/a.yml",
                touched("a.yml", false),
            ),
            (EventKind::Remove(RemoveKind::File), "/m/a.yml", touched("a.yml", true)),
            (rename(RenameMode::To), "/m/a.yml", touched("a.yml", true)),
            (rename(RenameMode::From), "/m/a.yml", touched("a.yml", true)),
            (rename(RenameMode::Both), "/m/a.yml", None),
            (rename(RenameMode::To), "/m/a.yml~", None),
            (EventKind::Create(CreateKind::File), "/m/.a.yml.swp", None),
            (rename(RenameMode::To), "/m/..data", Some(Sign::Unclear)),
            (EventKind::Remove(RemoveKind::Folder), "/m", Some(Sign::FolderMoved)),
            (EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), "/m", None),
        ];
        for (kind, path, expected) in cases {
            let mut given = Vec::new();
            signs(&Event::new(kind).add_path(path.into()), Path::new("/m"), &mut |sign| {
                given.push(sign)
            });
            assert_eq!(given, Vec::from_iter(expected), "{kind:?} {path}");
        }
        let mut given = Vec::new();
        signs(
            &Event::new(EventKind::Other).set_flag(Flag::Rescan),
            Path::new("/m"),
            &mut |sign| given.push(sign),
        );
        assert_eq!(given, [Sign::Unclear]);
    }

    #[test]
    fn a_folder_that_is_named_relatively_has_its_events_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = std::env::current_dir().expect("a working directory");
        let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
        let relative = up.join(folder.path().strip_prefix("/").expect("absolute"));
        let (signals, signs) = Signals::new();
        let _watcher = arm(&relative, &signals).expect("armed");
        std::fs::write(folder.path().join("a.yml"), "").expect("written");
        let sign = signs.recv_timeout(std::time::Duration::from_secs(10)).expect("a sign");
        assert!(matches!(sign, Sign::Touched { name, .. } if &*name == "a.yml"));
    }

    #[test]
    fn a_full_channel_asks_for_a_survey() {
        let (signals, signs) = Signals::new();
        for _ in 0..=SIGNS_MAX {
            assert!(!signals.rescan.load(Ordering::Acquire));
            signals.give(Sign::Unclear);
        }
        assert!(signals.rescan.load(Ordering::Acquire));
        assert_eq!(signs.try_iter().count(), SIGNS_MAX);
    }
}
