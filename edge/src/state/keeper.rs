//! The thread that writes down what changed.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Folder;
use crate::limits::clock::Clock;
use crate::limits::registry::Registry;

/// With the time that writing takes, less than a second of traffic is ever unwritten.
const EVERY: Duration = Duration::from_millis(500);

/// What nobody would miss is looked for so many rounds apart.
const SWEEP_ROUNDS: u32 = 120;

/// Writes until it is dropped, and once more then.
pub(crate) struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Without a folder nothing is written, and what nobody would miss is forgotten all the same.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(crate) fn start(folder: Option<Folder>, registry: Arc<Registry>, clock: Clock) -> io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let mut writer = folder.map(|folder| Writer { folder, fails: false });
        let keep = move || {
            for round in 1u32.. {
                let ended = stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout);
                if let Some(writer) = &mut writer {
                    writer.write(&registry);
                }
                if ended {
                    return;
                }
                if round % SWEEP_ROUNDS == 0 {
                    registry.sweep(clock.now());
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("limits-state".to_owned())
            .spawn(keep)?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Writer {
    folder: Folder,
    /// The last write failed: said once, and all of it is written anew.
    fails: bool,
}

impl Writer {
    fn write(&mut self, registry: &Registry) {
        let log = &mut self.folder.log;
        let written = if self.fails || log.is_worth_writing_anew() {
            log.write_anew(&registry.facts(true))
        } else {
            let facts = registry.facts(false);
            if facts.is_empty() {
                return;
            }
            log.append(&facts)
        };
        if let Err(error) = &written
            && !self.fails
        {
            tracing::error!(%error, "what is used of limits cannot be written down; a restart would forget it");
        }
        self.fails = written.is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::clock::Instant64;

    #[test]
    fn what_was_used_is_there_after_a_restart_and_soon_without_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, registry) = (Clock::start(), Arc::new(Registry::default()));
        let open = || Folder::open(folder.path()).expect("opened");
        let keeper = Keeper::start(Some(open().0), registry.clone(), clock).expect("a thread");
        registry.last_use(&"a".into()).touch(Instant64(7_000_000_000));
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while super::super::last_uses(folder.path()).expect("readable").is_empty() {
            assert!(
                std::time::Instant::now() < deadline,
                "it is written without being asked"
            );
            std::thread::yield_now();
        }
        registry.last_use(&"b".into()).touch(Instant64(8_000_000_000));
        drop(keeper);
        assert_eq!(open().1.len(), 2, "and what came last is written at the end");
    }
}
