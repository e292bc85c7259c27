//! Things found by a name that they carry themselves.
//!
//! With a million of them, a map from names would hold each name a second time, and be larger than what it finds.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

pub(super) trait Indexed {
    fn key(&self) -> &str;
}

/// At most one of each name.
pub(super) struct Index<T> {
    /// With the names' hashes, so that growing does not visit every name in memory.
    entries: HashTable<(u64, T)>,
    /// Keyed anew in each process, so that nobody can choose names that collide.
    state: RandomState,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            entries: HashTable::new(),
            state: RandomState::new(),
        }
    }
}

impl<T> fmt::Debug for Index<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({} entries)", self.entries.len())
    }
}

impl<T: Indexed> Index<T> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        let found = self.entries.find(self.state.hash_one(name), is(name))?;
        Some(&found.1)
    }

    /// Puts it in and gives back what had its name.
    pub(super) fn insert(&mut self, item: T) -> Option<T> {
        let hash = self.state.hash_one(item.key());
        match self.entries.entry(hash, is(item.key()), |(hash, _)| *hash) {
            Entry::Occupied(mut entry) => Some(std::mem::replace(&mut entry.get_mut().1, item)),
            Entry::Vacant(entry) => {
                entry.insert((hash, item));
                None
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<T> {
        let found = self.entries.find_entry(self.state.hash_one(name), is(name)).ok()?;
        Some(found.remove().0.1)
    }
}

fn is<T: Indexed>(name: &str) -> impl Fn(&(u64, T)) -> bool {
    move |(_, item)| item.key() == name
}

impl Indexed for Arc<str> {
    fn key(&self) -> &str {
        self
    }
}
