//! What predecessors still count for this edge: heard for as long as they live, and added to its own limits.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::line::{Line, unexpected};
use super::message::Message;
use crate::limits::clock::Clock;
use crate::limits::registry::Registry;
use crate::limits::remit::Carried;

/// So often is looked whether this edge still is the one to report to.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Estate {
    registry: Arc<Registry>,
    clock: Clock,
    /// False once another edge was handed the state folder: what is noted here from then on would be lost.
    is_ours: Mutex<bool>,
    /// By process, the connections it has left.
    predecessors: Mutex<BTreeMap<u32, usize>>,
}

impl Estate {
    pub(crate) fn new(registry: Arc<Registry>, clock: Clock) -> Self {
        Self {
            registry,
            clock,
            is_ours: Mutex::new(true),
            predecessors: Mutex::default(),
        }
    }

    /// Nothing is noted from here on; predecessors look for the next.
    pub(super) fn close(&self) {
        *self.is_ours.lock() = false;
    }

    pub(super) fn reopen(&self) {
        *self.is_ours.lock() = true;
    }

    pub(super) fn carried(&self) -> Carried {
        Carried::none(&self.registry)
    }

    /// Edges that were here before and still serve: their processes, and the connections they have left.
    pub(crate) fn predecessors(&self) -> BTreeMap<u32, usize> {
        self.predecessors.lock().clone()
    }

    /// Hears a predecessor out, on this thread. What it carried is free once it is gone.
    pub(super) fn hear(&self, mut line: Line, pid: u32, mut carried: Carried) {
        self.predecessors.lock().insert(pid, 0);
        let ended = self.hear_out(&mut line, pid, &mut carried);
        self.predecessors.lock().remove(&pid);
        match ended {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                tracing::info!(pid, "a predecessor has finished what it had");
            }
            Err(error) => tracing::warn!(pid, %error, "a predecessor can no longer be heard"),
            Ok(()) => tracing::debug!(pid, "a predecessor reports to the next edge"),
        }
    }

    /// Returns where this edge was succeeded itself.
    fn hear_out(&self, line: &mut Line, pid: u32, carried: &mut Carried) -> io::Result<()> {
        line.be_patient(Some(LOOK_EVERY))?;
        loop {
            if !*self.is_ours.lock() {
                return Ok(());
            }
            let (owed, connections) = match line.hear() {
                Ok(Message::Owed { owed, connections }) => (owed, connections),
                Ok(other) => return Err(unexpected(&other)),
                Err(error) if is_nothing_yet(&error) => continue,
                Err(error) => return Err(error),
            };
            let is_ours = self.is_ours.lock();
            if !*is_ours {
                return Ok(());
            }
            carried.note(owed, self.clock.now());
            self.predecessors.lock().insert(pid, connections);
            line.say(&Message::Noted)?;
        }
    }
}

/// The read's time is up. A message that has begun comes whole: its sender does nothing else.
fn is_nothing_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
