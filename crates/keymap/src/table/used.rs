//! Things of one kind that usable routes need at this moment, by name: kept with every route that comes and goes, so
//! that nobody has to look through all routes for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::definitions::Named;

#[derive(Debug)]
pub(super) struct Used<T> {
    /// By name, with the number of routes that use it.
    used: BTreeMap<Arc<str>, (Arc<T>, usize)>,
    changed: bool,
}

impl<T> Default for Used<T> {
    fn default() -> Self {
        Self {
            used: BTreeMap::new(),
            changed: false,
        }
    }
}

impl<T: Named> Used<T> {
    /// What one route uses.
    pub(super) fn insert<'a>(&mut self, items: impl Iterator<Item = &'a Arc<T>>)
    where
        T: 'a,
    {
        for item in items {
            let entry = self.used.entry(item.name().clone());
            let (known, routes) = entry.or_insert_with(|| (item.clone(), 0));
            *routes += 1;
            if *routes == 1 || !Arc::ptr_eq(known, item) {
                // While routes are resolved anew, some hold what a name stood for before.
                *known = item.clone();
                self.changed = true;
            }
        }
    }

    /// Undoes [`Self::insert`].
    pub(super) fn remove<'a>(&mut self, items: impl Iterator<Item = &'a Arc<T>>)
    where
        T: 'a,
    {
        for item in items {
            let Some((_, routes)) = self.used.get_mut(item.name()) else {
                continue;
            };
            *routes -= 1;
            if *routes == 0 {
                self.used.remove(item.name());
                self.changed = true;
            }
        }
    }

    pub(super) fn publish(&mut self, slice: &mut Arc<[Arc<T>]>) {
        if std::mem::take(&mut self.changed) {
            *slice = self.used.values().map(|(item, _)| item.clone()).collect();
        }
    }
}
