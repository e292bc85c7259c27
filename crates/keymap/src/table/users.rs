//! Which routers name a service or a middleware, defined or not: whom to tell when it changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

#[derive(Debug, Default)]
pub(super) struct Users(HashMap<Arc<str>, Routers>);

/// With a service for each key, a set for each service would be most of the memory.
#[derive(Debug)]
enum Routers {
    One(Arc<str>),
    #[expect(
        clippy::box_collection,
        reason = "a set in place would triple the size of each entry, and few are sets"
    )]
    Several(Box<HashSet<Arc<str>>>),
}

impl Users {
    pub(super) fn add(&mut self, used: &Arc<str>, router: &Arc<str>) {
        match self.0.get_mut(used) {
            None => {
                self.0.insert(used.clone(), Routers::One(router.clone()));
            }
            Some(Routers::Several(routers)) => {
                routers.insert(router.clone());
            }
            Some(one @ Routers::One(_)) => {
                let mut routers = HashSet::from([router.clone()]);
                if let Routers::One(first) = &*one {
                    routers.insert(first.clone());
                }
                *one = Routers::Several(Box::new(routers));
            }
        }
    }

    pub(super) fn remove(&mut self, used: &str, router: &str) {
        let is_empty = match self.0.get_mut(used) {
            None => false,
            Some(Routers::One(only)) => **only == *router,
            Some(Routers::Several(routers)) => {
                routers.remove(router);
                routers.is_empty()
            }
        };
        if is_empty {
            self.0.remove(used);
        }
    }

    pub(super) fn of(&self, used: &str) -> impl Iterator<Item = &Arc<str>> {
        let (one, several) = match self.0.get(used) {
            None => (None, None),
            Some(Routers::One(only)) => (Some(only), None),
            Some(Routers::Several(routers)) => (None, Some(routers.iter())),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }
}
