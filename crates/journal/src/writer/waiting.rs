//! Batches that many callers handed in and that become one write. Owns what waits and what each caller learns of it.
//!
//! ```text
//!  hand_in ── copies ──▶ waiting ──┐ taken by whoever enters the gate next: an append, a settle, the syncing thread
//!  hand_in ── copies ──▶    ·      ├──▶ one write(2) ──▶ fate: written, or lost, for all of them
//!  hand_in ── copies ──▶    ·      ┘
//! ```
//!
//! Invariants: what was handed in is written in its order, and before whatever is appended later; what waits is bounded,
//! and is never taken but inside the gate.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::{Acquire, Release};

use parking_lot::Mutex;

use crate::batch::Batch;

/// What waits, at most. It bounds what a stalled disk holds in memory, and what one write takes.
const WAITING_BYTES_MAX: usize = 256 * 1024;
/// A batch beyond this is not copied: against what its write costs, the call is nothing.
const HANDED_IN_BYTES_MAX: usize = 16 * 1024;

/// What becomes of what was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has not been tried yet, or is being written.
    Waiting,
    Written,
    /// It was counted, and the journal will tell.
    Lost,
}

const WAITING: u8 = 0;
const WRITTEN: u8 = 1;
const LOST: u8 = 2;

/// What was handed in, as its caller may ask after it.
#[derive(Clone)]
pub struct Ticket(Arc<AtomicU8>);

#[derive(Default)]
pub(super) struct Waiting(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    handed: Handed,
    /// The memory of what was written last.
    spare: Vec<u8>,
}

/// What one write takes.
#[derive(Default)]
pub(super) struct Handed {
    pub(super) bytes: Vec<u8>,
    pub(super) frames: u64,
    ticket: Option<Ticket>,
}

/// Whether it is worth a copy to spare a write.
pub(super) fn is_short(batch: &Batch) -> bool {
    batch.bytes.len() <= HANDED_IN_BYTES_MAX
}

impl Ticket {
    pub fn fate(&self) -> Fate {
        match self.0.load(Acquire) {
            WAITING => Fate::Waiting,
            WRITTEN => Fate::Written,
            _ => Fate::Lost,
        }
    }
}

impl Waiting {
    /// `None`: there is no room, or it is not worth a copy.
    pub(super) fn take_in(&self, batch: &Batch) -> Option<Ticket> {
        if !is_short(batch) {
            return None;
        }
        let handed = &mut self.0.lock().handed;
        if handed.bytes.len() + batch.bytes.len() > WAITING_BYTES_MAX {
            return None;
        }
        handed.bytes.extend_from_slice(&batch.bytes);
        handed.frames += batch.frames;
        Some(
            handed
                .ticket
                .get_or_insert_with(|| Ticket(Arc::new(AtomicU8::new(WAITING))))
                .clone(),
        )
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().handed.frames == 0
    }

    /// All that waits; called by who is in the gate.
    pub(super) fn take(&self) -> Option<Handed> {
        let mut inside = self.0.lock();
        if inside.handed.frames == 0 {
            return None;
        }
        let bytes = mem::take(&mut inside.spare);
        Some(mem::replace(
            &mut inside.handed,
            Handed {
                bytes,
                ..Handed::default()
            },
        ))
    }

    /// Its memory serves again.
    pub(super) fn give_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        self.0.lock().spare = bytes;
    }
}

impl Handed {
    pub(super) fn ends(&self, fate: Fate) {
        let told = match fate {
            Fate::Waiting => WAITING,
            Fate::Written => WRITTEN,
            Fate::Lost => LOST,
        };
        if let Some(ticket) = &self.ticket {
            ticket.0.store(told, Release);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?})", self.fate())
    }
}
