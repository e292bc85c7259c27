//! Who defines a name: routers, services and middlewares are named across all files, and the first file in lexical
//! order wins. A later one takes over when the first is gone.

use std::collections::HashMap;
use std::sync::Arc;

use crate::mapping::{Middleware, Router, Service};
use crate::problem::Position;

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
        let of = |service: &Self| (service.pass_host_header, service.position);
        of(self) == of(other) && self.servers == other.servers
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

#[derive(Debug, Clone)]
pub(super) struct Definition<T> {
    pub(super) file: Arc<str>,
    pub(super) item: Arc<T>,
}

/// A name's definitions, by file. Nearly every name has one, and an empty list costs no allocation.
#[derive(Debug)]
struct Contenders<T> {
    winner: Definition<T>,
    losers: Vec<Definition<T>>,
}

#[derive(Debug)]
pub(super) struct Definitions<T>(HashMap<Arc<str>, Contenders<T>>);

impl<T> Default for Definitions<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Named> Definitions<T> {
    pub(super) fn winner(&self, name: &str) -> Option<&Definition<T>> {
        self.0.get(name).map(|contenders| &contenders.winner)
    }

    /// Definitions of files that come later.
    pub(super) fn losers(&self, name: &str) -> &[Definition<T>] {
        self.0.get(name).map_or(&[], |contenders| &contenders.losers)
    }

    /// Replaces what a file defines. Returns the names whose definitions changed.
    pub(super) fn replace(&mut self, file: &Arc<str>, old: &[Arc<T>], new: &[Arc<T>]) -> Vec<Arc<str>> {
        let mut removed: HashMap<Arc<str>, Arc<T>> = old
            .iter()
            .filter_map(|item| Some((item.name().clone(), self.remove(file, item.name())?)))
            .collect();
        let mut changed = Vec::new();
        for item in new {
            let same = removed.remove(item.name()).filter(|old| old.is_same(item));
            if same.is_none() {
                changed.push(item.name().clone());
            }
            self.insert(file, same.unwrap_or_else(|| item.clone()));
        }
        changed.extend(removed.into_keys());
        changed
    }

    fn insert(&mut self, file: &Arc<str>, item: Arc<T>) {
        let name = item.name().clone();
        let mut new = Definition {
            file: file.clone(),
            item,
        };
        let Some(contenders) = self.0.get_mut(&name) else {
            self.0.insert(
                name,
                Contenders {
                    winner: new,
                    losers: Vec::new(),
                },
            );
            return;
        };
        if new.file < contenders.winner.file {
            std::mem::swap(&mut new, &mut contenders.winner);
        }
        let at = contenders.losers.partition_point(|other| other.file < new.file);
        contenders.losers.insert(at, new);
    }

    fn remove(&mut self, file: &str, name: &str) -> Option<Arc<T>> {
        let contenders = self.0.get_mut(name)?;
        if *contenders.winner.file != *file {
            let at = contenders.losers.iter().position(|other| *other.file == *file)?;
            return Some(contenders.losers.remove(at).item);
        }
        if contenders.losers.is_empty() {
            return self.0.remove(name).map(|contenders| contenders.winner.item);
        }
        let next = contenders.losers.remove(0);
        Some(std::mem::replace(&mut contenders.winner, next).item)
    }
}
