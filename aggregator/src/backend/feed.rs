//! Where mapping files come from: a folder watch, or whatever a test makes up.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use keymap::{Compiler, FileStatus, Snapshot, Table, Watch};
use tokio::sync::watch;

type Read = dyn Fn() -> Vec<Arc<FileStatus>> + Send + Sync;
type ReadTable = dyn Fn() -> Arc<Table> + Send + Sync;

/// The current mapping files, and word when they change.
pub struct MappingFeed {
    read: Arc<Read>,
    /// The keys that the files hold.
    table: Arc<ReadTable>,
    /// Counts up with every change; several changes in a row are seen as one.
    changes: watch::Receiver<u64>,
    /// The folder they are in, where it is one.
    folder: Option<MappingFolder>,
    /// Its other end is gone: the files stay as they are.
    ended: bool,
}

/// A folder that is followed: whoever shows or edits mappings reads and writes it.
#[derive(Clone)]
pub(crate) struct MappingFolder {
    path: PathBuf,
    snapshot: Arc<ArcSwap<Snapshot>>,
}

impl MappingFolder {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
}

impl MappingFeed {
    /// Follows a folder. The watch must outlive the service, else the files stay as they are.
    pub fn follow(watch: &Watch) -> Self {
        let snapshot = watch.snapshot();
        let (sender, changes) = watch::channel(0_u64);
        // The watcher's thread only leaves word here: the work is done by the poller's task.
        watch.on_change(move |_| sender.send_modify(|count| *count += 1));
        let files = Arc::clone(&snapshot);
        let folder = MappingFolder {
            path: watch.folder().to_owned(),
            snapshot: Arc::clone(&snapshot),
        };
        Self {
            folder: Some(folder),
            table: Arc::new(move || Arc::clone(&snapshot.load().table)),
            ..Self::new(move || files.load().files.clone(), changes)
        }
    }

    /// `read` gives the files as of now; it is called at the start and after each change.
    pub fn new(read: impl Fn() -> Vec<Arc<FileStatus>> + Send + Sync + 'static, changes: watch::Receiver<u64>) -> Self {
        let read: Arc<Read> = Arc::new(read);
        let files = Arc::clone(&read);
        Self {
            // Files that nobody watches are few: they are compiled whenever somebody asks.
            table: Arc::new(move || compiled(&files())),
            read,
            changes,
            folder: None,
            ended: false,
        }
    }

    /// The keys as of now, for as long as anybody asks.
    pub(crate) fn table(&self) -> Arc<ReadTable> {
        Arc::clone(&self.table)
    }

    pub(crate) fn folder(&self) -> Option<MappingFolder> {
        self.folder.clone()
    }

    pub(crate) fn files(&self) -> Vec<Arc<FileStatus>> {
        (self.read)()
    }

    /// Resolves at the next change; never, once nobody can change anything.
    pub(crate) async fn changed(&mut self) {
        if self.ended || self.changes.changed().await.is_err() {
            self.ended = true;
            std::future::pending::<()>().await;
        }
    }
}

fn compiled(files: &[Arc<FileStatus>]) -> Arc<Table> {
    let mut compiler = Compiler::new(None);
    for file in files {
        compiler.set(&file.name, file.mapping.clone());
    }
    compiler.table().0
}

impl fmt::Debug for MappingFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappingFeed")
            .field("changes", &*self.changes.borrow())
            .finish_non_exhaustive()
    }
}
