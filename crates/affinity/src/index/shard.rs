//! One part of the index: entries found by hash, in the order of their last use.
//!
//! ```text
//!  heads[hash & mask] ─▶ entry ─chained▶ entry         found by hash
//!  oldest ─▶ entry ◀─older──newer─▶ entry ◀─ newest    a new entry takes the oldest one's place once all are taken
//! ```
//!
//! Invariant: every entry is in exactly one chain and once in the order of use; there are never more than `entries_max`, and
//! the holders beyond the entries never take more than `extra_max` bytes. Each operation costs a constant, amortised.

use std::num::NonZeroU32;

use super::Usage;
use super::holders::{Holder, Holders, Tick};

/// What one point may cost: the entry (48), its share of `heads` (at most 8), and of what shared points need besides (8).
const POINT_BYTES: usize = 64;
const EXTRA_BYTES: usize = POINT_BYTES - size_of::<Entry>() - 2 * size_of::<Link>();

/// An entry's place, counted from one: absent is zero, so that an untouched `heads` costs no memory.
type Link = Option<NonZeroU32>;

pub(super) struct Shard {
    heads: Box<[Link]>,
    entries: Vec<Entry>,
    entries_max: usize,
    newest: Link,
    oldest: Link,
    extra_bytes: usize,
    extra_max: usize,
    evictions: u64,
}

struct Entry {
    hash: u64,
    holders: Holders,
    newer: Link,
    older: Link,
    chained: Link,
    /// How many different continuations were noted, as far as 65,535.
    branches: u16,
}

impl Shard {
    /// A bound too small for anything is taken as room for four entries.
    pub(super) fn new(bytes_max: usize) -> Self {
        let entries_max = (bytes_max.saturating_sub(size_of::<Self>()) / POINT_BYTES).clamp(4, u32::MAX as usize / 2);
        Self {
            heads: vec![None; entries_max.next_power_of_two()].into_boxed_slice(),
            entries: Vec::new(),
            entries_max,
            newest: None,
            oldest: None,
            extra_bytes: 0,
            extra_max: entries_max * EXTRA_BYTES,
            evictions: 0,
        }
    }

    /// Shows the holders and the number of branches of a point, if it is known.
    pub(super) fn holders(&self, hash: u64, show: impl FnOnce(&Holders, u16)) {
        if let Some(at) = self.find(hash) {
            show(&self.entry(at).holders, self.entry(at).branches);
        }
    }

    /// The stamp of the last server to be noted, unless that was before `oldest`.
    pub(super) fn newest_holder(&self, hash: u64, oldest: Tick) -> Option<u32> {
        let newest = self.entry(self.find(hash)?).holders.newest()?;
        (newest.at >= oldest).then_some(newest.stamp)
    }

    /// Adds a holder to a point; `branches` says that a continuation of it was new. Returns whether the point itself was.
    pub(super) fn note(&mut self, hash: u64, holder: Holder, oldest: Tick, branches: bool) -> bool {
        let found = self.find(hash);
        let at = match found {
            Some(at) => {
                let extra_free = self.extra_max - self.extra_bytes;
                let holders = &mut self.entry_mut(at).holders;
                let before = holders.extra_bytes();
                holders.note(holder, extra_free);
                let grown = holders.extra_bytes() - before;
                self.extra_bytes += grown;
                self.use_now(at);
                at
            }
            None => self.create(hash, Holders::only(holder), oldest),
        };
        let entry = self.entry_mut(at);
        entry.branches = entry.branches.saturating_add(u16::from(branches));
        found.is_none()
    }

    /// Makes a point this server's alone: a session is where it was last.
    pub(super) fn claim(&mut self, hash: u64, holder: Holder, oldest: Tick) {
        match self.find(hash) {
            Some(at) => {
                self.extra_bytes -= self.entry(at).holders.extra_bytes();
                self.entry_mut(at).holders = Holders::only(holder);
                self.use_now(at);
            }
            None => {
                self.create(hash, Holders::only(holder), oldest);
            }
        }
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            entries: self.entries.len(),
            bytes: self.heads.len() * size_of::<Link>()
                + self.entries.capacity() * size_of::<Entry>()
                + self.extra_bytes
                + size_of::<Self>(),
            evictions: self.evictions,
        }
    }

    fn find(&self, hash: u64) -> Link {
        let mut link = self.heads[self.head(hash)];
        while let Some(at) = link {
            let entry = self.entry(at);
            if entry.hash == hash {
                break;
            }
            link = entry.chained;
        }
        link
    }

    fn create(&mut self, hash: u64, holders: Holders, oldest: Tick) -> NonZeroU32 {
        let at = self.place(oldest);
        let head = self.head(hash);
        *self.entry_mut(at) = Entry {
            hash,
            holders,
            newer: None,
            older: None,
            chained: self.heads[head],
            branches: 0,
        };
        self.heads[head] = Some(at);
        self.push_newest(at);
        at
    }

    /// A place for a new entry, in no chain and no order: the oldest one's if that is too old or all places are taken.
    fn place(&mut self, oldest: Tick) -> NonZeroU32 {
        let aged = |at: &NonZeroU32| self.entry(*at).holders.newest().is_none_or(|holder| holder.at < oldest);
        let full = self.entries.len() >= self.entries_max;
        match self.oldest {
            Some(at) if full || aged(&at) => {
                self.evictions += u64::from(!aged(&at));
                self.extra_bytes -= self.entry(at).holders.extra_bytes();
                self.unlink(at);
                self.unchain(at);
                at
            }
            _ => self.grow(),
        }
    }

    /// Doubling would pass the bound with its last step.
    fn grow(&mut self) -> NonZeroU32 {
        let count = self.entries.len();
        if count == self.entries.capacity() {
            let wanted = (count * 2).clamp(4, self.entries_max);
            self.entries.reserve_exact(wanted - count);
        }
        self.entries.push(Entry {
            hash: 0,
            holders: Holders::default(),
            newer: None,
            older: None,
            chained: None,
            branches: 0,
        });
        // `entries_max` keeps the count below a u32; after a push it is not zero.
        u32::try_from(count + 1)
            .ok()
            .and_then(NonZeroU32::new)
            .unwrap_or(NonZeroU32::MAX)
    }

    fn use_now(&mut self, at: NonZeroU32) {
        if self.newest != Some(at) {
            self.unlink(at);
            self.push_newest(at);
        }
    }

    fn push_newest(&mut self, at: NonZeroU32) {
        let second = self.newest.replace(at);
        let entry = self.entry_mut(at);
        (entry.older, entry.newer) = (second, None);
        match second {
            Some(second) => self.entry_mut(second).newer = Some(at),
            None => self.oldest = Some(at),
        }
    }

    fn unlink(&mut self, at: NonZeroU32) {
        let (older, newer) = (self.entry(at).older, self.entry(at).newer);
        match older {
            Some(older) => self.entry_mut(older).newer = newer,
            None => self.oldest = newer,
        }
        match newer {
            Some(newer) => self.entry_mut(newer).older = older,
            None => self.newest = older,
        }
    }

    fn unchain(&mut self, at: NonZeroU32) {
        let (head, after) = (self.head(self.entry(at).hash), self.entry(at).chained);
        if self.heads[head] == Some(at) {
            self.heads[head] = after;
            return;
        }
        let mut link = self.heads[head];
        while let Some(before) = link {
            link = self.entry(before).chained;
            if link == Some(at) {
                self.entry_mut(before).chained = after;
            }
        }
    }

    fn head(&self, hash: u64) -> usize {
        hash as u32 as usize & (self.heads.len() - 1)
    }

    fn entry(&self, at: NonZeroU32) -> &Entry {
        &self.entries[at.get() as usize - 1]
    }

    fn entry_mut(&mut self, at: NonZeroU32) -> &mut Entry {
        &mut self.entries[at.get() as usize - 1]
    }
}

#[cfg(test)]
impl Shard {
    /// Panics unless the order of use, the chains and the counted bytes are what the invariant says.
    pub(super) fn check(&self) {
        let (mut link, mut newer, mut count, mut extra) = (self.newest, None, 0, 0);
        while let Some(at) = link {
            let entry = self.entry(at);
            assert_eq!(entry.newer, newer);
            assert_eq!(self.find(entry.hash), Some(at));
            (link, newer, count) = (entry.older, Some(at), count + 1);
            extra += entry.holders.extra_bytes();
        }
        assert_eq!((newer, count), (self.oldest, self.entries.len()));
        assert_eq!(extra, self.extra_bytes);
        assert!(count <= self.entries_max && extra <= self.extra_max);
        let chained = self.heads.iter().map(|head| {
            std::iter::successors(*head, |at| self.entry(*at).chained)
                .take(count + 1)
                .count()
        });
        assert_eq!(chained.sum::<usize>(), count);
    }
}
