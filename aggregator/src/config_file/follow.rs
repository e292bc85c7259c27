//! `config.yaml`, kept current while the service runs.
//!
//! The file's bytes are the truth: it is small, so it is read at every look, and no event of the file system has to be
//! relied on. A new text counts once two looks in a row have seen it, for an editor may be in the middle of writing it.
//! One that does not check is reported once, and the last good content stays: a mistake never ends the service.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use custody::{Contents, Terms};
use document::{Problem, Severity};
use tokio::sync::watch;

use super::{ConfigFile, FILE_BYTES_MAX, FileText, whole_file};
use crate::tasks::Stop;

/// Between two looks at the file.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Between a changed text and the look that confirms it.
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// A configuration that was good at the start, and the file it came from.
#[derive(Clone)]
pub struct ConfigSource {
    path: PathBuf,
    first: Arc<ConfigFile>,
    /// What was read, so that the first look does not take it for a change.
    first_text: Arc<FileText>,
    look_pause: Duration,
}

/// Without the text: keys stand in it.
impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigSource")
            .field("path", &self.path)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

impl ConfigSource {
    /// Reads the file once, with the environment's variables; the warnings come with it.
    ///
    /// # Errors
    /// Every problem of the file, where one is an error.
    pub fn load(path: &Path) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let text = text_of(path).map_err(|problem| vec![problem])?;
        let (file, problems) = ConfigFile::check(path, &text, &environment);
        let Some(file) = file else { return Err(problems) };
        let source = Self {
            path: path.to_owned(),
            first: Arc::new(file),
            first_text: Arc::new(text),
            look_pause: LOOK_PAUSE,
        };
        Ok((source, problems))
    }

    /// Looks more often than twice a second: for tests.
    pub fn looking_every(self, look_pause: Duration) -> Self {
        Self { look_pause, ..self }
    }

    /// As it was at the start.
    pub fn config(&self) -> &Arc<ConfigFile> {
        &self.first
    }
}

/// The configuration as of now: one atomic load for whoever reads it.
#[derive(Debug)]
pub(crate) struct CurrentConfig {
    file: ArcSwap<ConfigFile>,
    changes: watch::Sender<u64>,
    is_broken: AtomicBool,
}

impl CurrentConfig {
    pub(crate) fn new(file: Arc<ConfigFile>) -> Self {
        Self {
            file: ArcSwap::new(file),
            changes: watch::Sender::new(0),
            is_broken: AtomicBool::new(false),
        }
    }

    pub(crate) fn load(&self) -> Arc<ConfigFile> {
        self.file.load_full()
    }

    /// Whether the file as it stands does not check, so that its last good content is what counts.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn replace(&self, file: ConfigFile) {
        self.file.store(Arc::new(file));
        self.changes.send_modify(|count| *count += 1);
    }
}

/// The task that looks.
pub(crate) struct ConfigFollower {
    path: PathBuf,
    look_pause: Duration,
    current: Arc<CurrentConfig>,
    digests: RandomState,
    /// Of the text that was last judged, well or ill. `None`: it could not be read.
    judged: Option<u64>,
}

impl ConfigFollower {
    pub(crate) fn new(source: &ConfigSource, current: Arc<CurrentConfig>) -> Self {
        let digests = RandomState::new();
        Self {
            path: source.path.clone(),
            look_pause: source.look_pause,
            current,
            judged: Some(digests.hash_one(source.first_text.as_str())),
            digests,
        }
    }

    pub(crate) async fn run(mut self, mut stop: Stop) {
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = tokio::time::sleep(self.look_pause) => {}
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let seen = self.read().await;
        if self.digest(&seen) == self.judged {
            return;
        }
        tokio::time::sleep(SETTLE_PAUSE.min(self.look_pause)).await;
        let settled = self.read().await;
        let digest = self.digest(&settled);
        if digest != self.digest(&seen) || digest == self.judged {
            return;
        }
        self.judged = digest;
        self.judge(settled);
    }

    /// On a thread of its own: a file system that hangs must not hold up the others' work.
    async fn read(&self) -> Result<FileText, Problem> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || text_of(&path)).await;
        read.unwrap_or_else(|_| {
            Err(whole_file(
                &self.path,
                "The file could not be read.".to_owned(),
                "Look again.",
            ))
        })
    }

    fn digest(&self, text: &Result<FileText, Problem>) -> Option<u64> {
        text.as_ref().ok().map(|text| self.digests.hash_one(text.as_str()))
    }

    fn judge(&self, text: Result<FileText, Problem>) {
        let (file, problems) = match text {
            Ok(text) => ConfigFile::check(&self.path, &text, &environment),
            Err(problem) => (None, vec![problem]),
        };
        self.current.is_broken.store(file.is_none(), Ordering::Relaxed);
        for problem in &problems {
            match problem.severity {
                Severity::Error => tracing::error!("{problem}"),
                Severity::Warning => tracing::warn!("{problem}"),
            }
        }
        let Some(file) = file else {
            tracing::error!(path = %self.path.display(), "the configuration's last good content stays in use");
            return;
        };
        if file.server != self.current.load().server {
            tracing::warn!(path = %self.path.display(), "`server` is read at the start only: restart to listen elsewhere");
        }
        tracing::info!(path = %self.path.display(), backends = file.backends.len(), "the configuration was read again");
        self.current.replace(file);
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A file's text, bounded.
pub(super) fn text_of(path: &Path) -> Result<FileText, Problem> {
    const FIX: &str = "Give the path of a regular UTF-8 file that this user may read.";
    let read = custody::read(path, &Terms::configuration(FILE_BYTES_MAX)).and_then(Contents::text);
    read.map_err(|error| {
        let fix = custody::fix(&error).unwrap_or(FIX);
        whole_file(path, format!("The file cannot be read: {error}."), fix)
    })
}
