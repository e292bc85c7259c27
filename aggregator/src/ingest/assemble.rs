//! Records of many exchanges, interleaved, into whole exchanges.
//!
//! ```text
//!   record ──▶ Open, by exchange ── ended ─────────────────▶ Assembled
//!                │    └─ its writer is gone, or it is silent for too long ──▶ Assembled, interrupted
//!                └─ too old or too much to hold ──▶ Lot (a file), and back once it is over
//! ```
//! Owns which exchanges are open, and the bounds on holding them. Knows neither what the bytes say nor where rows go.
//! Invariants: a record counts once, however often it is read; what is missing is marked; of all that is open nothing but
//! what is in the [`Lot`]'s files is older than [`Assembler::oldest`].

mod lot;
mod open;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use journal::{Cursor, ExchangeId, Kind};

pub(super) use open::Assembled;

use lot::Lot;
use open::Open;

/// What holding open exchanges may cost.
#[derive(Debug, Clone, Copy)]
pub struct Holding {
    /// Of each direction's body.
    pub body_bytes_max: usize,
    /// Of all open exchanges together, in memory.
    pub open_bytes_max: usize,
    /// Far more than an edge has connections. Beyond it the one that has been silent for longest is given up.
    pub open_max: usize,
    /// So many segments an open exchange may keep from being removed.
    pub segments_max: usize,
    /// An exchange of which nothing was heard for so long is given up, though its writer lives: its end was lost.
    pub silence_max: Duration,
    /// The same where records are known to be lost since it began.
    pub silence_after_loss_max: Duration,
}

impl Default for Holding {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            open_bytes_max: 256 << 20,
            open_max: 65_536,
            segments_max: 1,
            silence_max: Duration::from_secs(6 * 3600),
            silence_after_loss_max: Duration::from_secs(600),
        }
    }
}

/// One record, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) from: Cursor,
    pub(super) kind: Kind,
    pub(super) exchange: ExchangeId,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

pub(super) struct Assembler {
    open: HashMap<ExchangeId, Open>,
    /// By those in memory.
    held_bytes: usize,
    lot: Lot,
    holding: Holding,
}

/// Of what is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) exchanges: usize,
    pub(super) bytes: usize,
    pub(super) parked: usize,
}

impl Assembler {
    /// Takes up what was parked before.
    ///
    /// # Errors
    /// Where the parked files cannot be read.
    pub(super) fn open(parked: PathBuf, holding: Holding) -> io::Result<Self> {
        let (lot, parked) = Lot::open(parked, holding.body_bytes_max)?;
        let open: HashMap<_, _> = parked.into_iter().collect();
        Ok(Self {
            open,
            held_bytes: 0,
            lot,
            holding,
        })
    }

    /// Takes one record; gives out the exchange that it ends.
    pub(super) fn take(&mut self, record: &Placed<'_>) -> Option<Assembled> {
        let open = self
            .open
            .entry(record.exchange)
            .or_insert_with(|| Open::at(record.from));
        let before = open.held_bytes();
        let ends = open.take(record, self.holding.body_bytes_max);
        let after = open.held_bytes();
        self.held_bytes = (self.held_bytes + after).saturating_sub(before);
        if ends {
            return self.close(record.exchange);
        }
        None
    }

    /// Records were lost, nobody knows whose.
    pub(super) fn mark_loss(&mut self) {
        self.open.values_mut().for_each(Open::mark_shaken);
    }

    /// A record of this exchange was lost.
    pub(super) fn mark_lossy(&mut self, exchange: ExchangeId) {
        if let Some(open) = self.open.get_mut(&exchange) {
            open.mark_lossy();
        }
    }

    /// Their writer is gone: nothing more comes of any of them.
    pub(super) fn close_all(&mut self) -> Vec<Assembled> {
        let mut ids: Vec<_> = self.open.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.close(id)).collect()
    }

    /// Gives up what has been silent for too long, and the most silent where there are too many.
    pub(super) fn close_silent(&mut self, now: Instant) -> Vec<Assembled> {
        let holding = self.holding;
        let is_silent = |open: &Open| {
            let patience = match open.is_shaken() {
                true => holding.silence_after_loss_max,
                false => holding.silence_max,
            };
            now.saturating_duration_since(open.heard_at()) > patience
        };
        let mut given_up: Vec<_> = self
            .open
            .iter()
            .filter(|(_, open)| is_silent(open))
            .map(|(id, _)| *id)
            .collect();
        let left = self.open.len() - given_up.len();
        if left > holding.open_max {
            let mut by_silence: Vec<_> = self.open.iter().filter(|(_, open)| !is_silent(open)).collect();
            by_silence.sort_unstable_by_key(|(_, open)| open.heard_at());
            given_up.extend(by_silence.iter().take(left - holding.open_max).map(|(id, _)| **id));
        }
        given_up.sort_unstable();
        let close = |id| {
            self.mark_lossy(id);
            self.close(id)
        };
        given_up.into_iter().filter_map(close).collect()
    }

    /// The place from which on the journal is needed for what is open.
    pub(super) fn oldest(&self) -> Option<Cursor> {
        self.open.values().map(Open::needs_from).min()
    }

    /// Parks what is older than `segment`, and the largest while they are too much to hold. All before `now_at` was taken.
    ///
    /// # Errors
    /// Where the parked files cannot be written: nothing of what they were to hold is lost by that.
    pub(super) fn relieve(&mut self, segment: u64, now_at: Cursor) -> io::Result<usize> {
        let mut parked = 0;
        let old: Vec<_> = self
            .open
            .iter()
            .filter(|(_, open)| open.needs_from().segment < segment)
            .map(|(id, _)| *id)
            .collect();
        for id in old {
            parked += self.park(id, now_at)?;
        }
        if self.held_bytes > self.holding.open_bytes_max {
            let mut by_size: Vec<_> = self.open.iter().map(|(id, open)| (open.held_bytes(), *id)).collect();
            by_size.sort_unstable_by(|one, other| other.cmp(one));
            for (_, id) in by_size {
                if self.held_bytes <= self.holding.open_bytes_max / 2 {
                    break;
                }
                parked += self.park(id, now_at)?;
            }
        }
        Ok(parked)
    }

    /// Forgets the bodies of the largest: there is no room on the disk to park them, and none in memory.
    pub(super) fn shed(&mut self) -> usize {
        let mut shed = 0;
        let mut by_size: Vec<_> = self.open.iter().map(|(id, open)| (open.held_bytes(), *id)).collect();
        by_size.sort_unstable_by(|one, other| other.cmp(one));
        for (bytes, id) in by_size {
            if self.held_bytes <= self.holding.open_bytes_max {
                break;
            }
            if let Some(open) = self.open.get_mut(&id) {
                open.shed();
                self.held_bytes = self.held_bytes.saturating_sub(bytes) + open.held_bytes();
                shed += 1;
            }
        }
        shed
    }

    /// Its row is committed: what was parked of it is not needed any more.
    pub(super) fn forget(&mut self, exchange: ExchangeId) {
        self.lot.remove(exchange);
    }

    pub(super) fn held(&self) -> Held {
        Held {
            exchanges: self.open.len(),
            bytes: self.held_bytes,
            parked: self.lot.len(),
        }
    }

    fn park(&mut self, id: ExchangeId, now_at: Cursor) -> io::Result<usize> {
        let Some(open) = self.open.get_mut(&id) else {
            return Ok(0);
        };
        let before = open.held_bytes();
        self.lot.park(id, open)?;
        open.parked_at(now_at);
        self.held_bytes = (self.held_bytes + open.held_bytes()).saturating_sub(before);
        Ok(1)
    }

    fn close(&mut self, id: ExchangeId) -> Option<Assembled> {
        let open = self.open.remove(&id)?;
        self.held_bytes = self.held_bytes.saturating_sub(open.held_bytes());
        let parked = if open.is_parked() {
            self.lot.load(id)
        } else {
            Vec::new()
        };
        Some(open.assemble(id, parked, self.holding.body_bytes_max))
    }
}
