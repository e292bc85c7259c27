//! The order among routers: priority, the higher first, then name. It is total, so no reload changes the outcome.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Route;

type Rank = (Reverse<i64>, Arc<str>);

pub(super) fn compare(left: &Route, right: &Route) -> Ordering {
    let (left, right) = (&left.router, &right.router);
    right
        .priority
        .cmp(&left.priority)
        .then_with(|| left.name.cmp(&right.name))
}

/// Two lists, each in order and neither holding a router of the other, as one.
pub(super) fn merged<'a>(left: &'a [Arc<Route>], right: &'a [Arc<Route>]) -> impl Iterator<Item = &'a Arc<Route>> {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(first), Some(second)) if compare(first, second).is_gt() => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}

/// Routers in order, and the slice of them that tables share until the next change.
///
/// The slice is made anew after a change, at a cost that grows with the list. Lists are short, or requests would
/// already be paying for them: every request that gets here walks the list.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    routes: BTreeMap<Rank, Arc<Route>>,
    changed: bool,
}

impl Ordered {
    pub(super) fn insert(&mut self, route: &Arc<Route>) {
        self.routes.insert(rank(route), route.clone());
        self.changed = true;
    }

    pub(super) fn remove(&mut self, route: &Route) {
        self.changed |= self.routes.remove(&rank(route)).is_some();
    }

    pub(super) fn publish(&mut self, slice: &mut Arc<[Arc<Route>]>) {
        if std::mem::take(&mut self.changed) {
            *slice = self.routes.values().cloned().collect();
        }
    }
}

fn rank(route: &Route) -> Rank {
    (Reverse(route.router.priority), route.router.name.clone())
}
