//! A folder, its watcher, and a wait with a deadline.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::HeaderMap;
use tempfile::TempDir;

use super::super::*;
use crate::credential::Credential;
use crate::table::{Decision, Model, Request};

/// Long enough for a busy machine; a scenario that fails takes this long, one that passes does not.
const PATIENCE: Duration = Duration::from_secs(10);

/// The parent holds the folder `mappings`, and whatever is to be moved into it.
pub(super) struct Scene {
    parent: TempDir,
    poll_interval: Duration,
    watch: Option<Watch>,
}

impl Scene {
    pub(super) fn new(files: &[(&str, String)]) -> Self {
        let scene = Self {
            parent: tempfile::tempdir().unwrap(),
            poll_interval: Duration::from_secs(60),
            watch: None,
        };
        fs::create_dir(scene.folder()).unwrap();
        for (name, text) in files {
            fs::write(scene.path(name), text).unwrap();
        }
        scene
    }

    pub(super) fn poll_every(self, poll_interval: Duration) -> Self {
        Self { poll_interval, ..self }
    }

    pub(super) fn start(mut self) -> Self {
        self.watch = Some(Watch::start(&self.folder(), self.options()).unwrap());
        self
    }

    pub(super) fn stop(&mut self) {
        self.watch = None;
    }

    pub(super) fn options(&self) -> WatchOptions {
        WatchOptions {
            poll_interval: self.poll_interval,
            entry_points: None,
        }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.outside("mappings")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(super) fn outside(&self, name: &str) -> PathBuf {
        self.parent.path().join(name)
    }

    /// Atomically, as create-mapping does.
    pub(super) fn put(&self, name: &str, text: &str) {
        fs::write(self.outside("new"), text).unwrap();
        fs::rename(self.outside("new"), self.path(name)).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub(super) fn watch(&self) -> &Watch {
        self.watch.as_ref().expect("the scene has been started")
    }

    pub(super) fn now(&self) -> Arc<Snapshot> {
        self.watch().snapshot().load_full()
    }

    pub(super) fn served(&self, key: &str) -> Served {
        served(&self.now(), key)
    }

    /// Counts the changes that `what` holds of.
    pub(super) fn count(&self, what: impl Fn(&Snapshot) -> bool + Send + 'static) -> Arc<AtomicUsize> {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        self.watch().on_change(move |now| {
            counter.fetch_add(usize::from(what(now)), Ordering::AcqRel);
        });
        count
    }

    pub(super) fn until(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.now()) {
            let now = self.now();
            assert!(
                Instant::now() < deadline,
                "not so: {what}\n{:#?}\n{:?}",
                now.files.iter().take(5).collect::<Vec<_>>(),
                now.problems
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A mapping with one key; its service always exists.
pub(super) fn good(key: &str) -> String {
    format!("http:\n  routers:\n    r-{key}:\n      rule: Key(`{key}`)\n      service: noop@internal\n")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    Forwarded,
    /// 503, since its file is bad.
    Refused,
    /// 401
    Unknown,
}

pub(super) fn served(snapshot: &Snapshot, key: &str) -> Served {
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", key.parse().unwrap());
    let credential = Credential::from_headers(&headers).unwrap();
    let decision = snapshot.table.decide(&Request {
        credential: credential.as_ref(),
        method: "GET",
        host: "h",
        path: "/",
        query: None,
        headers: &headers,
        client_ip: [127, 0, 0, 1].into(),
        entry_point: None,
        model: Model::Unread,
    });
    match decision {
        Decision::Forward(_) => Served::Forwarded,
        Decision::FileBroken => Served::Refused,
        Decision::UnknownKey => Served::Unknown,
        other => panic!("{other:?}"),
    }
}

/// What is logged on this thread meanwhile.
pub(super) fn listening<T>(act: impl FnOnce() -> T) -> (T, String) {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let outcome = tracing::subscriber::with_default(subscriber, act);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (outcome, text)
}
