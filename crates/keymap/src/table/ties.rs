//! Routers of equal priority for one key: their names decide, which their author may not have meant.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Route;
use crate::key::KeyHash;

/// Each router is compared with so many before it: thousands of equal ones make one point, and not their square.
const COMPARED_MAX: usize = 16;

/// The router that is preferred, and the one that comes after it.
pub(super) type Pair = (Arc<str>, Arc<str>);

#[derive(Debug, Default)]
pub(super) struct Ties {
    by_key: HashMap<KeyHash, Vec<Pair>>,
    /// With the number of keys that both routers pin: a list of keys is one problem.
    pairs: BTreeMap<Pair, usize>,
}

impl Ties {
    /// Notes a key's routers as they are now. Returns the pairs that are new or gone.
    pub(super) fn update(&mut self, key: &KeyHash, routes: &[Arc<Route>]) -> Vec<Pair> {
        let new = pairs(routes);
        if new.is_empty() && !self.by_key.contains_key(key) {
            return Vec::new();
        }
        let old = self.by_key.remove(key).unwrap_or_default();
        for pair in &new {
            *self.pairs.entry(pair.clone()).or_insert(0) += 1;
        }
        for pair in &old {
            if let Some(keys) = self.pairs.get_mut(pair) {
                *keys -= 1;
                if *keys == 0 {
                    self.pairs.remove(pair);
                }
            }
        }
        let concerned = [old, new.clone()].concat();
        if !new.is_empty() {
            self.by_key.insert(*key, new);
        }
        concerned
    }

    /// Whether routers of this key are tied, as far as was noted.
    pub(super) fn knows(&self, key: &KeyHash) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn contains(&self, pair: &Pair) -> bool {
        self.pairs.contains_key(pair)
    }
}

fn pairs(routes: &[Arc<Route>]) -> Vec<Pair> {
    let mut found = Vec::new();
    for (at, later) in routes.iter().enumerate() {
        let before = routes[at.saturating_sub(COMPARED_MAX)..at].iter().rev();
        if let Some(preferred) = before
            .take_while(|route| is_equal(route, later))
            .find(|route| may_meet(route, later))
        {
            found.push((preferred.router.name.clone(), later.router.name.clone()));
        }
    }
    found
}

fn is_equal(left: &Route, right: &Route) -> bool {
    left.router.priority == right.router.priority
}

/// Whether one request could be for both.
fn may_meet(left: &Route, right: &Route) -> bool {
    let share_entry_point = match (&left.router.entry_points, &right.router.entry_points) {
        (Some(left), Some(right)) => left.iter().any(|name| right.contains(name)),
        _ => true,
    };
    share_entry_point && !left.router.rule.excludes(&right.router.rule)
}
