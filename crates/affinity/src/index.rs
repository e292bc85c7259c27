//! Which server was sent which prefix, and when.
//!
//! ```text
//!  point ──hash──▶ shard (1 of 64, its own lock) ──▶ entry: holders, age, branches
//! ```
//!
//! Owns the memory of past choices and its bound. Refuses to judge: who gets the next request is `choice`'s.
//!
//! A conversation's points lie in different shards. Were a shard a model's or a router's, the usual case of one model behind
//! one router would have a single lock, and one shard's share of the memory. As it is, no lock is held for longer than one
//! entry takes, and the price is that the points of one trail are not read at one instant. Nothing needs them to be.
//!
//! Invariant: memory stays within [`Capacity::bytes_max`], whatever is noted; a server that was forgotten holds nothing.

mod holders;
mod known;
mod shard;

use std::fmt;
use std::hash::RandomState;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::holders::{Holder, Tick};
pub use self::known::{Held, Known};
use self::known::{Prefixes, Seen};
use self::shard::Shard;
use crate::trail::Trail;

/// Far more than there are cores, so that two threads seldom meet; few enough that an empty index is small.
const SHARDS: usize = 64;

/// Below this an index would hold next to nothing, and its bound would be smaller than its locks.
const INDEX_BYTES_MIN: usize = 64 << 10;

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// At most this much memory, in bytes; 64 KiB at least. 64 bytes go for one point, thus for up to [`crate::BLOCK_BYTES`]
    /// of text.
    pub bytes_max: usize,
    /// What has not been used for this long is unknown again: no server keeps a cache for ever.
    pub age_max: Duration,
}

/// 64 MiB: a million points, or half a gigabyte of long prompts; at four bytes a token and 128 KiB of cache for each, what
/// a thousand servers hold in 16 GiB. An hour: by then a server with anything to do has used its cache for others.
impl Default for Capacity {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 20,
            age_max: Duration::from_secs(3600),
        }
    }
}

/// The memory of which server was sent what. Shared by all threads.
pub struct Index {
    seed: RandomState,
    born: Instant,
    age_max: Duration,
    stamps: AtomicU32,
    shards: Box<[Mutex<Shard>]>,
}

/// One server's identity in an index, kept by its owner with the server's other state.
///
/// Dropping it forgets the server: its stamp is never given out again (but after four billion others), so what is still noted
/// under it means nobody, and ages.
#[derive(Debug)]
pub struct Server {
    stamp: AtomicU32,
}

/// What an index holds at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub entries: usize,
    /// Memory taken, in bytes.
    pub bytes: usize,
    /// Entries that were overwritten while still young enough to be used: the index is too small if this grows.
    pub evictions: u64,
}

impl Index {
    pub fn new(capacity: Capacity, now: Instant) -> Self {
        let share = capacity.bytes_max.max(INDEX_BYTES_MIN) / SHARDS;
        Self {
            seed: RandomState::new(),
            born: now,
            age_max: capacity.age_max,
            stamps: AtomicU32::new(1),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(share))).collect(),
        }
    }

    /// Begins the fingerprint of a request; see [`Trail::piece`]. `scope` is what must be equal before any prefix can be: the
    /// router or service, and the model.
    pub fn trail(&self, scope: &[&[u8]]) -> Trail {
        Trail::new(&self.seed, scope)
    }

    /// A new server, which holds nothing.
    pub fn enrol(&self) -> Server {
        Server {
            stamp: AtomicU32::new(self.fresh_stamp()),
        }
    }

    /// The server lost its cache (it was restarted, or swapped its model): it holds nothing from now on. Constant in time; what
    /// it held ages out.
    pub fn forget(&self, server: &Server) {
        server.stamp.store(self.fresh_stamp(), Ordering::Relaxed);
    }

    /// Who has seen how much of this trail.
    pub fn known(&self, trail: &Trail, now: Instant) -> Known {
        let oldest = self.oldest(now);
        let session = trail
            .session_hash()
            .and_then(|hash| self.shard(hash).newest_holder(hash, oldest));
        let (mut prefixes, mut seen) = (Prefixes::default(), Seen::default());
        let mut grows = true;
        for point in trail.points().iter().rev() {
            self.shard(point.hash).holders(point.hash, |holders, branches| {
                let held = Held {
                    session: false,
                    bytes: point.bytes,
                    branches: if grows { 0 } else { u32::from(branches) },
                };
                let young = holders.iter().filter(|holder| holder.at >= oldest);
                young.for_each(|holder| seen.add(&mut prefixes, holder.stamp, held));
            });
            grows = false;
        }
        Known { session, prefixes }
    }

    /// The request was sent to this server, which therefore holds the whole trail. To be called as it is sent, not when it is
    /// answered, so that what follows meanwhile finds it; a server that turns out to be down is forgotten as a whole.
    ///
    /// The deepest point goes first: so what is before a point is never older than the point itself, and age takes the ends of
    /// conversations before the beginnings they share.
    pub fn note(&self, trail: &Trail, server: &Server, now: Instant) {
        let (at, oldest) = (self.tick(now), self.oldest(now));
        let holder = Holder {
            stamp: server.stamp(),
            at,
        };
        if let Some(hash) = trail.session_hash() {
            self.shard(hash).claim(hash, holder, oldest);
        }
        let mut is_new = false;
        for point in trail.points().iter().rev() {
            is_new = self.shard(point.hash).note(point.hash, holder, oldest, is_new);
        }
    }

    pub fn usage(&self) -> Usage {
        self.shards.iter().fold(Usage::default(), |sum, shard| {
            let usage = shard.lock().usage();
            Usage {
                entries: sum.entries + usage.entries,
                bytes: sum.bytes + usage.bytes,
                evictions: sum.evictions + usage.evictions,
            }
        })
    }

    /// Zero marks an empty place in an entry, and is skipped.
    fn fresh_stamp(&self) -> u32 {
        loop {
            match self.stamps.fetch_add(1, Ordering::Relaxed) {
                0 => {}
                stamp => return stamp,
            }
        }
    }

    /// The upper bits choose the shard, the lower ones the place in it.
    fn shard(&self, hash: u64) -> parking_lot::MutexGuard<'_, Shard> {
        self.shards[(hash >> 32) as usize % SHARDS].lock()
    }

    fn tick(&self, now: Instant) -> Tick {
        Tick::after(now.saturating_duration_since(self.born))
    }

    /// What was used before this is too old to be believed.
    fn oldest(&self, now: Instant) -> Tick {
        Tick::after(now.saturating_duration_since(self.born).saturating_sub(self.age_max))
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

impl Server {
    fn stamp(&self) -> u32 {
        self.stamp.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
