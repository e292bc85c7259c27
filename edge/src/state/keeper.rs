//! The thread that writes down what changed.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Folder;
use crate::limits::clock::Clock;
use crate::limits::registry::Registry;
use crate::limits::remit::Tab;

/// With the time that writing takes, less than a second of traffic is ever unwritten.
const EVERY: Duration = Duration::from_millis(500);

/// What nobody would miss is looked for so many rounds apart.
const SWEEP_ROUNDS: u32 = 120;

/// Writes until it is dropped, and once more then.
pub(crate) struct Keeper {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    /// Write all, give the folder back and say so with the words as they were written.
    Release(Sender<Tab>),
    Adopt(Folder),
}

impl Keeper {
    /// Without a folder nothing is written, and what nobody would miss is forgotten all the same.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(crate) fn start(folder: Option<Folder>, registry: Arc<Registry>, clock: Clock) -> io::Result<Self> {
        let (orders, ordered) = channel();
        let mut writer = folder.map(Writer::on);
        let keep = move || {
            for round in 1u32.. {
                let order = ordered.recv_timeout(EVERY);
                if let Some(writer) = &mut writer {
                    writer.write(&registry);
                }
                match order {
                    Ok(Order::Adopt(folder)) => writer = Some(Writer::on(folder)),
                    Ok(Order::Release(released)) => {
                        let tab = writer.take().map(|writer| writer.give_up(&registry));
                        // Who asked may have gone; the folder is free then all the same, and is asked for again.
                        let _ = released.send(tab.unwrap_or_else(|| Tab::of(&registry)));
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
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
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Writes all down, lets go of the folder, and tells what was written. Nothing is written from then on.
    pub(crate) fn release(&self) -> Option<Tab> {
        let (released, tab) = channel();
        self.orders.as_ref()?.send(Order::Release(released)).ok()?;
        tab.recv().ok()
    }

    /// Writes to this folder from now on.
    pub(crate) fn adopt(&self, folder: Folder) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(Order::Adopt(folder));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.orders = None;
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
    fn on(folder: Folder) -> Self {
        Self { folder, fails: false }
    }

    /// What is used while this happens is in the tab's future, not in the file: it is owed.
    fn give_up(mut self, registry: &Registry) -> Tab {
        let tab = Tab::of(registry);
        if let Err(error) = self.folder.log.write_anew(&tab.facts()) {
            tracing::error!(%error, "what is used of limits cannot be written down for the successor; it forgets the last second");
        }
        tab
    }

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
