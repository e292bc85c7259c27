//! One key's first router, and what that router asks of a request, where this can be said in a few bytes: then a
//! look-up ends here. Invariant: a slot may only say yes where evaluating the rule would.

use std::sync::Arc;

use crate::credential::Credential;
use crate::key::KeyHash;
use crate::rule::Opening;
use crate::table::Route;
use crate::table::entry_points::Points;

#[derive(Clone)]
pub(in crate::table) struct Slot {
    pub(super) key: KeyHash,
    pub(super) first: Arc<Route>,
    priority: Priority,
    points: Points,
    opening: Opening,
    /// Whether the first router is the only one.
    pub(super) is_alone: bool,
}

/// As much of a router's priority as fits into a slot. What is less here is less, and what is equal may be so or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::table) struct Priority(i32);

impl Slot {
    pub(super) fn new(key: KeyHash, first: Arc<Route>, is_alone: bool) -> Self {
        Self {
            key,
            priority: Priority::of(&first),
            points: first.points,
            opening: match first.destination {
                Ok(_) => first.router.rule.opening(),
                Err(_) => Opening::Unclear,
            },
            first,
            is_alone,
        }
    }

    /// The first router, if it can be seen from here that it takes the request: on the entry points `at` (`None`: they
    /// are not told apart), and before every router that is scanned, of which the first has priority `scanned`. `None`
    /// says nothing.
    pub(in crate::table) fn plainly_open(
        &self,
        credential: &Credential<'_>,
        at: Option<Points>,
        scanned: Option<Priority>,
    ) -> Option<&Arc<Route>> {
        let open = self.opening.is_met_by(credential)
            && at.is_none_or(|points| points.meet(self.points))
            && scanned.is_none_or(|scanned| scanned < self.priority);
        open.then_some(&self.first)
    }
}

impl Priority {
    pub(in crate::table) fn of(route: &Route) -> Self {
        let bounds = (i64::from(i32::MIN), i64::from(i32::MAX));
        Self(route.router.priority.clamp(bounds.0, bounds.1) as i32)
    }
}

/// A million of them are most of what a look-up finds outside the processor's caches.
const _: () = assert!(size_of::<Slot>() == 48);
