//! One shard: a slot for each key, and beside them what few keys have.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::slice;
use std::sync::Arc;

use hashbrown::HashTable;
use subtle::ConstantTimeEq as _;

use super::slot::Slot;
use crate::key::KeyHash;
use crate::table::{Route, order};

#[derive(Clone, Default)]
pub(super) struct Shard {
    slots: HashTable<Slot>,
    /// All routers, in order, of keys that have several.
    several: ByHash<Box<[Arc<Route>]>>,
    /// Keys of files that never checked, with the number of such files.
    refused: ByHash<u32>,
}

type ByHash<T> = HashMap<KeyHash, T, BuildHasherDefault<HashHasher>>;

impl Shard {
    pub(super) fn slot(&self, key: &KeyHash) -> Option<&Slot> {
        // Digests, compared whole: how long it takes says nothing of how much of one was met.
        self.slots
            .find(bits(key), |slot| slot.key.as_bytes().ct_eq(key.as_bytes()).into())
    }

    pub(super) fn routes<'a>(&'a self, slot: &'a Slot) -> &'a [Arc<Route>] {
        match slot.is_alone {
            true => slice::from_ref(&slot.first),
            false => self.several.get(&slot.key).map_or(&[], |routes| routes),
        }
    }

    pub(super) fn is_refused(&self, key: &KeyHash) -> bool {
        !self.refused.is_empty() && self.refused.contains_key(key)
    }

    pub(super) fn insert(&mut self, key: &KeyHash, route: &Arc<Route>) -> usize {
        let mut routes = self.slot(key).map_or(&[][..], |slot| self.routes(slot)).to_vec();
        let at = routes.partition_point(|other| order::compare(other, route).is_lt());
        routes.insert(at, route.clone());
        self.set(key, routes)
    }

    pub(super) fn remove(&mut self, key: &KeyHash, route: &Route) -> usize {
        let mut left = self.slot(key).map_or(&[][..], |slot| self.routes(slot)).to_vec();
        left.retain(|other| other.router.name != route.router.name);
        self.set(key, left)
    }

    /// Returns how many there are.
    fn set(&mut self, key: &KeyHash, routes: Vec<Arc<Route>>) -> usize {
        let count = routes.len();
        if let Ok(entry) = self.slots.find_entry(bits(key), |slot| slot.key == *key) {
            entry.remove();
        }
        if let Some(first) = routes.first() {
            let slot = Slot::new(*key, first.clone(), count == 1);
            self.slots.insert_unique(bits(key), slot, |slot| bits(&slot.key));
        }
        if count > 1 {
            self.several.insert(*key, routes.into());
        } else if !self.several.is_empty() {
            self.several.remove(key);
        }
        count
    }

    pub(super) fn refuse(&mut self, key: &KeyHash) {
        *self.refused.entry(*key).or_insert(0) += 1;
    }

    pub(super) fn forgive(&mut self, key: &KeyHash) {
        if let Some(files) = self.refused.get_mut(key) {
            *files -= 1;
            if *files == 0 {
                self.refused.remove(key);
            }
        }
    }
}

/// A key's hash is random already: eight of its bytes, not those that chose the shard, are hash enough.
fn bits(key: &KeyHash) -> u64 {
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        middle @ ..,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
    ] = *key.as_bytes();
    u64::from_le_bytes(middle)
}

/// The same for maps, which hash by themselves.
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
