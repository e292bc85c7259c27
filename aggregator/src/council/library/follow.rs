//! The folder of templates, kept current while the service runs.
//!
//! As with mapping files, what a slow look finds is the truth, and events of the file system only hasten it. A new state
//! counts once two looks in a row have seen it. A file that does not check keeps its last good content and is reported
//! once; one that is gone is gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use document::Severity;
use keymap::Nudges;
use tokio::sync::Notify;

use super::Library;
use super::folder::{self, Found};
use crate::catalogue::Catalogue;
use crate::config_file::CurrentConfig;
use crate::council::Council;
use crate::council::template::Template;
use crate::tasks::Stop;

/// Between two looks that nothing has hastened.
const LOOK_PAUSE: Duration = Duration::from_secs(3);

/// Between a change and the look that confirms it.
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// The templates as of now: one atomic load for whoever reads them.
#[derive(Debug)]
pub(crate) struct Current(ArcSwap<Library>);

impl Current {
    pub(crate) fn new() -> Self {
        Self(ArcSwap::from_pointee(Library::built_in()))
    }

    pub(crate) fn load(&self) -> Arc<Library> {
        self.0.load_full()
    }
}

/// The task that looks.
pub(crate) struct LibraryFollower {
    settings: Arc<CurrentConfig>,
    current: Arc<Current>,
    catalogue: Arc<Catalogue>,
    is_listed: bool,
    is_unreadable: bool,
    look_pause: Duration,
    /// Told by the folder's events.
    nudged: Arc<Notify>,
    nudges: Option<Nudges>,
    judged: Option<(PathBuf, Vec<Found>)>,
    /// By file: what was last good there.
    good: BTreeMap<PathBuf, Template>,
}

impl LibraryFollower {
    pub(crate) fn new(council: &Council, catalogue: Arc<Catalogue>) -> Self {
        catalogue.list_also(council.model_list());
        Self {
            is_listed: council.settings.load().council.is_listed,
            is_unreadable: false,
            settings: Arc::clone(&council.settings),
            current: Arc::clone(&council.templates),
            catalogue,
            look_pause: LOOK_PAUSE,
            nudged: Arc::default(),
            nudges: None,
            judged: None,
            good: BTreeMap::new(),
        }
    }

    pub(crate) async fn run(mut self, mut stop: Stop) {
        let mut settings = self.settings.changes();
        loop {
            self.look().await;
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = self.nudged.notified() => {}
                // It is held here, so that it never ends.
                _ = settings.changed() => {}
                () = tokio::time::sleep(self.look_pause) => {}
            }
        }
    }

    async fn look(&mut self) {
        let settings = self.settings.load();
        if settings.council.is_listed != self.is_listed {
            self.is_listed = settings.council.is_listed;
            self.list();
        }
        let folder = settings.council.templates_dir().to_owned();
        let Some(seen) = self.read(&folder).await else { return };
        let is_judged = |judged: &Option<(PathBuf, Vec<Found>)>, seen: &Vec<Found>| {
            judged
                .as_ref()
                .is_some_and(|(at, files)| *at == folder && files == seen)
        };
        if is_judged(&self.judged, &seen) {
            return;
        }
        // At the start nobody has seen a file half written.
        if self.judged.is_some() {
            tokio::time::sleep(SETTLE_PAUSE.min(self.look_pause)).await;
            if self.read(&folder).await.as_ref() != Some(&seen) {
                return;
            }
        }
        self.judge(&seen);
        self.judged = Some((folder, seen));
    }

    fn judge(&mut self, files: &[Found]) {
        let mut good = BTreeMap::new();
        for checked in folder::check(files) {
            for problem in &checked.problems {
                match problem.severity {
                    Severity::Error => tracing::error!("{problem}"),
                    Severity::Warning => tracing::warn!("{problem}"),
                }
            }
            let kept = checked.template.or_else(|| self.good.remove(&checked.path));
            if let Some(template) = kept {
                good.insert(checked.path, template);
            }
        }
        let mut library = Library::built_in();
        for template in good.values() {
            library.add(template.clone());
        }
        self.good = good;
        if library != *self.current.load() {
            tracing::info!(own = self.good.len(), "the councils' templates were read");
            self.current.0.store(Arc::new(library));
            self.list();
        }
    }

    fn list(&self) {
        let council = Council {
            templates: Arc::clone(&self.current),
            settings: Arc::clone(&self.settings),
        };
        self.catalogue.list_also(council.model_list());
    }

    /// On a thread of its own: a file system that hangs must not hold up the others' work.
    async fn read(&mut self, folder: &Path) -> Option<Vec<Found>> {
        let path = folder.to_owned();
        let nudged = Arc::clone(&self.nudged);
        let nudges = self.nudges.take();
        let mut nudges = nudges.unwrap_or_else(|| Nudges::new(move || nudged.notify_one()));
        let read = tokio::task::spawn_blocking(move || {
            // Watched first, so that what changes during the look is not missed.
            nudges.follow(&path);
            (nudges, folder::look(&path))
        });
        let read = match read.await {
            Ok((nudges, read)) => {
                self.nudges = Some(nudges);
                read
            }
            Err(_) => Ok(Vec::new()),
        };
        match read {
            Ok(files) => {
                self.is_unreadable = false;
                Some(files)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_unreadable, true) {
                    tracing::warn!(folder = %folder.display(), %error, "the folder of council templates cannot be read");
                }
                None
            }
        }
    }
}
