//! The `headers` middlewares in use that say which other origins may call.
//!
//! A browser asks before it calls (a preflight), and asks without the key: no router of a key can be found by it. What
//! it is told allows nothing that the key does not open, so any of these may answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Route;
use crate::mapping::{Middleware, MiddlewareKind};

#[derive(Debug, Default)]
pub(super) struct CrossOrigins {
    /// By name, with the number of routes that use it.
    used: BTreeMap<Arc<str>, (Arc<Middleware>, usize)>,
    changed: bool,
}

impl CrossOrigins {
    pub(super) fn insert(&mut self, route: &Route) {
        for middleware in of(route) {
            let entry = self.used.entry(middleware.name.clone());
            let (known, routes) = entry.or_insert_with(|| (middleware.clone(), 0));
            *routes += 1;
            if *routes == 1 || !Arc::ptr_eq(known, middleware) {
                // While routes are resolved anew, some hold what a name stood for before.
                *known = middleware.clone();
                self.changed = true;
            }
        }
    }

    pub(super) fn remove(&mut self, route: &Route) {
        for middleware in of(route) {
            let Some((_, routes)) = self.used.get_mut(&middleware.name) else {
                continue;
            };
            *routes -= 1;
            if *routes == 0 {
                self.used.remove(&middleware.name);
                self.changed = true;
            }
        }
    }

    pub(super) fn publish(&mut self, slice: &mut Arc<[Arc<Middleware>]>) {
        if std::mem::take(&mut self.changed) {
            *slice = self.used.values().map(|(middleware, _)| middleware.clone()).collect();
        }
    }
}

fn of(route: &Route) -> impl Iterator<Item = &Arc<Middleware>> {
    let usable = route.destination.is_ok();
    route.middlewares.iter().filter(move |middleware| {
        let MiddlewareKind::Headers(headers) = &middleware.kind else {
            return false;
        };
        usable && headers.cross_origin.is_some()
    })
}
