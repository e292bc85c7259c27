//! The hash table of pinned keys, in shards that tables share.
//!
//! A new table copies the shards that a change touched and points to the others, so that one file among a million
//! costs a few hundred entries.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::slice;
use std::sync::Arc;

use super::Route;
use super::order;
use crate::key::KeyHash;

/// With a million keys a shard holds some 250, and the list of shards is 32 KiB: copying either takes microseconds.
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 12;

#[derive(Clone)]
pub(super) struct Shards {
    shards: Box<[Arc<Shard>]>,
    keys: usize,
}

type ByHash<T> = HashMap<KeyHash, T, BuildHasherDefault<HashHasher>>;

#[derive(Clone, Default)]
struct Shard {
    routes: ByHash<Bucket>,
    /// Keys of files that never checked, with the number of such files.
    refused: ByHash<u32>,
}

/// A key's routers, in order. Nearly every key has one, which then needs no list.
#[derive(Clone)]
enum Bucket {
    One(Arc<Route>),
    Several(Box<[Arc<Route>]>),
}

/// What the table holds of one key.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    shard: &'a Shard,
    key: &'a KeyHash,
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
        Entry {
            shard: &self.shards[index(key)],
            key,
        }
    }

    pub(super) fn insert(&mut self, key: KeyHash, route: &Arc<Route>) {
        let shard = self.shard_mut(&key);
        let Some(bucket) = shard.routes.get_mut(&key) else {
            shard.routes.insert(key, Bucket::One(route.clone()));
            self.keys += 1;
            return;
        };
        let mut routes = bucket.routes().to_vec();
        let at = routes.partition_point(|other| order::compare(other, route).is_lt());
        routes.insert(at, route.clone());
        *bucket = Bucket::Several(routes.into());
    }

    pub(super) fn remove(&mut self, key: &KeyHash, route: &Route) {
        let shard = self.shard_mut(key);
        let Some(bucket) = shard.routes.get_mut(key) else {
            return;
        };
        let mut left: Vec<_> = bucket.routes().to_vec();
        left.retain(|other| other.router.name != route.router.name);
        match left.pop() {
            None => {
                shard.routes.remove(key);
                self.keys -= 1;
            }
            Some(only) if left.is_empty() => *bucket = Bucket::One(only),
            Some(last) => {
                left.push(last);
                *bucket = Bucket::Several(left.into());
            }
        }
    }

    pub(super) fn refuse(&mut self, key: KeyHash) {
        *self.shard_mut(&key).refused.entry(key).or_insert(0) += 1;
    }

    /// Takes back what one file's [`Self::refuse`] did.
    pub(super) fn forgive(&mut self, key: &KeyHash) {
        let refused = &mut self.shard_mut(key).refused;
        if let Some(files) = refused.get_mut(key) {
            *files -= 1;
            if *files == 0 {
                refused.remove(key);
            }
        }
    }

    /// A shard that a published table shares is copied first.
    fn shard_mut(&mut self, key: &KeyHash) -> &mut Shard {
        Arc::make_mut(&mut self.shards[index(key)])
    }
}

impl<'a> Entry<'a> {
    pub(super) fn routes(&self) -> &'a [Arc<Route>] {
        self.shard.routes.get(self.key).map_or(&[], Bucket::routes)
    }

    pub(super) fn is_refused(&self) -> bool {
        self.shard.refused.contains_key(self.key)
    }
}

impl Bucket {
    fn routes(&self) -> &[Arc<Route>] {
        match self {
            Self::One(route) => slice::from_ref(route),
            Self::Several(routes) => routes,
        }
    }
}

fn index(key: &KeyHash) -> usize {
    let [first, second, ..] = *key.as_bytes();
    usize::from(u16::from_be_bytes([first, second]) >> (u16::BITS - SHARD_BITS))
}

/// A key's hash is random already: eight of its bytes, not those that chose the shard, are hash enough.
#[derive(Default)]
struct HashHasher(u64);

impl Hasher for HashHasher {
    fn write(&mut self, bytes: &[u8]) {
        // The array's length is written before it, and is passed over as too short.
        if let Some(middle) = bytes.get(8..16).and_then(|middle| middle.try_into().ok()) {
            self.0 = u64::from_le_bytes(middle);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
