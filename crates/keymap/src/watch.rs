//! A folder of mapping files, kept current.
//!
//! ```text
//!  notify ──signs──▶ pending ──due──┐
//!                                   ├──▶ load ──▶ folder ──▶ Snapshot ──▶ ArcSwap, reactions
//!  poll ───────────▶ survey ──new───┘
//! ```
//!
//! Events only hasten: they are lost in overflows, on network file systems and behind bind mounts. What is true is what
//! a slow survey finds (names, sizes, times, inodes), and every event could be dropped without the outcome changing.
//!
//! A file that does not check keeps its last good content. A folder that cannot be listed keeps all of its content and
//! is reported: a network file system that hiccups must not lock everyone out. Once it is listed again, what is not
//! in it stops at once.

mod events;
mod folder;
mod follow;
mod log;
mod nudge;
mod pending;
mod survey;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::mapping::Mapping;
use crate::table::Table;
use document::Problem;
use events::Signals;
use folder::Folder;
use follow::{Follower, Reaction};
pub use nudge::Nudges;

#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// How often the folder is compared with what is loaded, whatever events say. Stretched where a comparison takes
    /// long, so that it never takes more than a twentieth of one core.
    pub poll_interval: Duration,
    /// See [`crate::Compiler::new`].
    pub entry_points: Option<Vec<String>>,
}

/// The state of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    Loaded,
    /// It does not check now; its last good content is served.
    KeptLastGood,
    /// It does not check and never did: its keys are refused.
    Refused,
}

#[derive(Debug)]
pub struct FileStatus {
    /// The file's name in the folder.
    pub name: Arc<str>,
    pub state: FileState,
    pub mapping: Option<Arc<Mapping>>,
    pub problems: Vec<Problem>,
}

/// Everything known of the folder at one moment.
#[derive(Debug)]
pub struct Snapshot {
    pub table: Arc<Table>,
    /// By name.
    pub files: Vec<Arc<FileStatus>>,
    /// Problems across files, and of the folder itself.
    pub problems: Vec<Problem>,
    /// Counts up with every change.
    pub generation: u64,
    /// Files read and parsed since the start: a change must cost its own file only.
    pub files_read: u64,
}

impl Snapshot {
    /// The files whose present content is not served.
    pub fn bad_files(&self) -> impl Iterator<Item = &Arc<FileStatus>> {
        self.files.iter().filter(|file| file.state != FileState::Loaded)
    }

    /// Problems of all files and across them, warnings included.
    pub fn problems_total(&self) -> usize {
        self.problems.len() + self.files.iter().map(|file| file.problems.len()).sum::<usize>()
    }
}

#[derive(Debug)]
pub enum WatchError {
    Thread(std::io::Error),
}

impl std::fmt::Display for WatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Thread(error) => write!(
                f,
                "The thread that watches the mapping folder cannot be started: {error}."
            ),
        }
    }
}

impl std::error::Error for WatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
        }
    }
}

/// A running watcher: one thread, ended and joined when dropped.
pub struct Watch {
    folder: PathBuf,
    snapshot: Arc<ArcSwap<Snapshot>>,
    reactions: Arc<Mutex<Vec<Reaction>>>,
    signals: Arc<Signals>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Loads the folder, then follows it. A folder that does not exist yet is an empty one, and a problem.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(folder: &Path, options: WatchOptions) -> Result<Self, WatchError> {
        let (signals, signs) = Signals::new();
        let reactions = Arc::default();
        let follower = Follower::start(folder, options, Arc::clone(&signals), signs, Arc::clone(&reactions));
        let snapshot = follower.snapshot();
        let thread = std::thread::Builder::new()
            .name("mappings".to_owned())
            .spawn(move || follower.run())
            .map_err(WatchError::Thread)?;
        Ok(Self {
            folder: folder.to_owned(),
            snapshot,
            reactions,
            signals,
            thread: Some(thread),
        })
    }

    /// Shared with request handlers: one atomic load a request.
    pub fn snapshot(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshot)
    }

    /// The folder that is followed.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Calls `react` after every change, on the watcher's thread; it must not block.
    pub fn on_change(&self, react: impl Fn(&Arc<Snapshot>) + Send + 'static) {
        self.reactions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(react));
    }

    /// Compares the folder with what is loaded now (SIGHUP).
    pub fn rescan(&self) {
        self.signals.rescan.store(true, Ordering::Release);
        self.signals.wake();
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.signals.stop.store(true, Ordering::Release);
        self.signals.wake();
        let Some(thread) = self.thread.take() else { return };
        // A reaction that drops the watch runs on its thread, which cannot wait for itself; it ends after the reaction.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the thread that watched the mapping folder had panicked");
        }
    }
}

/// Reads the folder once: `conclave check`.
///
/// # Errors
/// Where the folder cannot be listed.
pub fn load_once(folder: &Path, options: &WatchOptions) -> std::io::Result<Snapshot> {
    let mut loaded = Folder::new(folder, options.entry_points.clone());
    loaded.fill(survey::list(folder)?);
    Ok(loaded.snapshot())
}

#[cfg(test)]
mod tests;
