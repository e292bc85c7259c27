//! The hash table of pinned keys, in shards that tables share.
//!
//! ```text
//!  by the hash's first 12 bits          by eight of its bytes
//!  ┌───────┬───────┬─ ··· ─┐        ┌──────┬──────┬──────┬─ ··· ─┐
//!  │ shard │ shard │       │ ─────▶ │ slot │      │ slot │       │ ─────▶ Route
//!  └───────┴───────┴─ ··· ─┘        └──────┴──────┴──────┴─ ··· ─┘
//!                                    one key; a router's rule is not touched where the slot says enough
//! ```
//!
//! A new table copies the shards that a change touched and points to the others, so that one file among a million
//! costs a few hundred slots.

mod shard;
mod slot;

use std::fmt;
use std::sync::Arc;

use super::{Decision, Route};
use crate::key::KeyHash;
use shard::Shard;
pub(super) use slot::{Priority, Slot};

/// With a million keys a shard holds some 250, and the list of shards is 32 KiB: copying either takes microseconds.
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 12;

#[derive(Clone)]
pub(super) struct Shards {
    shards: Box<[Arc<Shard>]>,
    keys: usize,
}

/// What the table holds of one key.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    shard: &'a Shard,
    key: &'a KeyHash,
    pub(super) slot: Option<&'a Slot>,
}

impl Default for Shards {
    fn default() -> Self {
        let empty = Arc::new(Shard::default());
        Self {
            shards: vec![empty; SHARDS].into(),
            keys: 0,
        }
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shards({} keys)", self.keys)
    }
}

impl Shards {
    /// Distinct keys that have a router.
    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    pub(super) fn entry<'a>(&'a self, key: &'a KeyHash) -> Entry<'a> {
        let shard = &*self.shards[index(key)];
        Entry {
            shard,
            key,
            slot: shard.slot(key),
        }
    }

    /// Returns how many routers the key has now.
    pub(super) fn insert(&mut self, key: &KeyHash, route: &Arc<Route>) -> usize {
        let routes = self.shard_mut(key).insert(key, route);
        self.keys += usize::from(routes == 1);
        routes
    }

    /// Returns how many routers the key has left.
    pub(super) fn remove(&mut self, key: &KeyHash, route: &Route) -> usize {
        if self.entry(key).slot.is_none() {
            return 0;
        }
        let routes = self.shard_mut(key).remove(key, route);
        self.keys -= usize::from(routes == 0);
        routes
    }

    /// Counts one more file that never checked and holds this key.
    pub(super) fn refuse(&mut self, key: &KeyHash) {
        self.shard_mut(key).refuse(key);
    }

    /// Takes back what one file's [`Self::refuse`] did.
    pub(super) fn forgive(&mut self, key: &KeyHash) {
        self.shard_mut(key).forgive(key);
    }

    /// A shard that a published table shares is copied first.
    fn shard_mut(&mut self, key: &KeyHash) -> &mut Shard {
        Arc::make_mut(&mut self.shards[index(key)])
    }
}

impl<'a> Entry<'a> {
    /// In order.
    pub(super) fn routes(&self) -> &'a [Arc<Route>] {
        self.slot.map_or(&[], |slot| self.shard.routes(slot))
    }

    /// What is said of the key where no router knows it.
    pub(super) fn stranger(&self) -> Decision {
        if self.shard.is_refused(self.key) {
            Decision::FileBroken
        } else {
            Decision::UnknownKey
        }
    }
}

fn index(key: &KeyHash) -> usize {
    let [first, second, ..] = *key.as_bytes();
    usize::from(u16::from_be_bytes([first, second]) >> (u16::BITS - SHARD_BITS))
}
