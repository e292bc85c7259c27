//! Who defines a name: routers, services and middlewares are named across all files, and the first file in lexical
//! order wins. A later one takes over when the first is gone.

use std::collections::HashMap;
use std::sync::Arc;

use super::index::{Index, Indexed};
use crate::mapping::{Mapping, Middleware, Router, ServersTransport, Service};
use document::Position;

/// What has a name that all files share.
pub(super) trait Named {
    /// As it is called in messages.
    const KIND: &'static str;

    fn name(&self) -> &Arc<str>;
    fn position(&self) -> Position;
    /// Whether replacing one by the other changes nothing, so that routers need not be told.
    fn is_same(&self, other: &Self) -> bool;
}

impl Named for Router {
    const KIND: &'static str = "router";

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn position(&self) -> Position {
        self.position
    }

    /// A rule keeps nothing to compare it by.
    fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Named for Service {
    const KIND: &'static str = "service";

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn position(&self) -> Position {
        self.position
    }

    fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.position == other.position
    }
}

impl Named for Middleware {
    const KIND: &'static str = "middleware";

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn position(&self) -> Position {
        self.position
    }

    fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.position == other.position
    }
}

impl Named for ServersTransport {
    const KIND: &'static str = "serversTransport";

    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn position(&self) -> Position {
        self.position
    }

    fn is_same(&self, other: &Self) -> bool {
        Self::is_same(self, other)
    }
}

/// A file as it was last set.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: Arc<str>,
    pub(super) mapping: Arc<Mapping>,
}

#[derive(Debug)]
pub(super) struct Definition<T> {
    pub(super) file: Arc<File>,
    pub(super) item: Arc<T>,
}

impl<T: Named> Indexed for Definition<T> {
    fn key(&self) -> &str {
        self.item.name()
    }
}

#[derive(Debug)]
pub(super) struct Definitions<T> {
    winners: Index<Definition<T>>,
    /// Definitions of files that come later, in order; few names have any.
    losers: HashMap<Arc<str>, Vec<Definition<T>>>,
}

impl<T> Default for Definitions<T> {
    fn default() -> Self {
        Self {
            winners: Index::default(),
            losers: HashMap::new(),
        }
    }
}

impl<T: Named> Definitions<T> {
    pub(super) fn winner(&self, name: &str) -> Option<&Definition<T>> {
        self.winners.get(name)
    }

    pub(super) fn losers(&self, name: &str) -> &[Definition<T>] {
        self.losers.get(name).map_or(&[], Vec::as_slice)
    }

    /// Replaces what a file defines: `old` by `new`, which is of `file`. Returns the names whose definitions changed.
    pub(super) fn replace(&mut self, file: &Arc<File>, old: &[Arc<T>], new: &[Arc<T>]) -> Vec<Arc<str>> {
        let mut removed: HashMap<Arc<str>, Arc<T>> = old
            .iter()
            .filter_map(|item| Some((item.name().clone(), self.remove(&file.name, item.name())?)))
            .collect();
        let mut changed = Vec::with_capacity(new.len());
        for item in new {
            let same = removed.remove(item.name()).filter(|old| old.is_same(item));
            if same.is_none() {
                changed.push(item.name().clone());
            }
            self.insert(Definition {
                file: file.clone(),
                item: same.unwrap_or_else(|| item.clone()),
            });
        }
        changed.extend(removed.into_keys());
        changed
    }

    fn insert(&mut self, new: Definition<T>) {
        let Some(other) = self.winners.insert(new) else { return };
        let name = other.item.name().clone();
        let later = match self.winners.get(&name) {
            Some(new) if new.file.name > other.file.name => self.winners.insert(other),
            _ => Some(other),
        };
        if let Some(later) = later {
            let losers = self.losers.entry(name).or_default();
            let at = losers.partition_point(|other| other.file.name < later.file.name);
            losers.insert(at, later);
        }
    }

    fn remove(&mut self, file: &str, name: &str) -> Option<Arc<T>> {
        let removed = if *self.winners.get(name)?.file.name == *file {
            self.winners.remove(name)
        } else {
            None
        };
        let Some(losers) = self.losers.get_mut(name) else {
            return removed.map(|winner| winner.item);
        };
        let removed = match removed {
            Some(winner) => {
                self.winners.insert(losers.remove(0));
                winner
            }
            None => losers.remove(losers.iter().position(|other| *other.file.name == *file)?),
        };
        if losers.is_empty() {
            self.losers.remove(name);
        }
        Some(removed.item)
    }
}
