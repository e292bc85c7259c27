//! Events of a folder for somebody who looks at it now and then: they only say that it is worth to look now.
//!
//! What this crate's own watch is built on, without what it knows of mapping files.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use notify::RecommendedWatcher;

use super::events::{Identity, arm_with, is_news};
use super::log;

/// Events of one folder at a time.
pub struct Nudges {
    tell: Arc<dyn Fn() + Send + Sync>,
    /// Of the folder that is watched.
    identity: Option<Identity>,
    watcher: Option<RecommendedWatcher>,
}

impl Nudges {
    /// `tell` is called on the watcher's thread for whatever happens in the folder, reading aside; it must not block.
    pub fn new(tell: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            tell: Arc::new(tell),
            identity: None,
            watcher: None,
        }
    }

    /// Watches this folder from here on; costs one look at it where that is the one already. A folder that is not there,
    /// or cannot be watched, has no events: whoever looks now and then finds out all the same.
    pub fn follow(&mut self, folder: &Path) {
        let identity = Identity::of(folder).ok();
        if identity == self.identity {
            return;
        }
        self.watcher = None;
        if identity.is_some() {
            let tell = Arc::clone(&self.tell);
            let armed = arm_with(folder, move |event| {
                if event.as_ref().map_or(true, is_news) {
                    tell();
                }
            });
            self.watcher = armed.inspect_err(|error| log::not_armed(folder, error)).ok();
        }
        self.identity = identity;
    }
}

impl fmt::Debug for Nudges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nudges")
            .field("armed", &self.watcher.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_change_is_told_and_reading_is_not() {
        let (sender, told) = channel();
        let mut nudges = Nudges::new(move || {
            let _ = sender.send(());
        });
        let (one, two) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        for folder in [&one, &two] {
            nudges.follow(folder.path());
            nudges.follow(folder.path());
            std::fs::write(folder.path().join("a.yaml"), "x").expect("written");
            told.recv_timeout(Duration::from_secs(10)).expect("a nudge");
        }
        nudges.follow(&two.path().join("nowhere"));
        while told.try_recv().is_ok() {}
        assert_eq!(std::fs::read_to_string(two.path().join("a.yaml")).expect("read"), "x");
        std::fs::write(one.path().join("a.yaml"), "y").expect("written");
        assert!(told.try_recv().is_err(), "nobody is followed any more");
    }
}
