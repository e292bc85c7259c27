//! Waiting for one of a service's slots, where it has so many and no more.

use std::sync::Arc;
use std::time::Instant;

use keymap::{Destination, Route, ServiceKind};

use super::Exchange;
use super::limited::RouteState;
use crate::error::Refusal;
use crate::limits::fair::gate::{FairQueue, FairSlot};
use crate::limits::registry::Registry;

/// Every router has the same share.
const WEIGHT: u32 = 1;

/// An exchange's turn, to be waited for. Dropping what waits gives its place up.
pub(crate) struct Turn {
    gate: Arc<FairQueue>,
    router: Arc<str>,
    since: Instant,
}

impl Turn {
    pub(crate) async fn wait(&self) -> Result<FairSlot, Refusal> {
        let slot = self.gate.acquire(&self.router, WEIGHT).await;
        slot.map_err(|_| Refusal::Overloaded)
    }
}

impl Exchange {
    /// `None`: there is nothing to wait for.
    pub(crate) fn turn(&self) -> Option<Turn> {
        let route = self.route.as_ref().filter(|_| self.slot.is_none())?;
        let state = RouteState::of(route, &self.plane, self.plane.limits.clock.at(self.started))?;
        Some(Turn {
            gate: state.gate.clone()?,
            router: route.router.name.clone(),
            since: Instant::now(),
        })
    }

    pub(crate) fn has_turn(&mut self, turn: &Turn, slot: FairSlot) {
        self.waited(turn.since.elapsed());
        self.slot = Some(slot);
    }
}

/// Of a service that says how many requests it takes at once.
pub(super) fn gate_of(route: &Route, registry: &Registry) -> Option<Arc<FairQueue>> {
    let Ok(Destination::Service(service)) = &route.destination else {
        return None;
    };
    let ServiceKind::LoadBalancer(balancer) = &service.kind else {
        return None;
    };
    let slots = balancer.more.as_ref()?.max_in_flight?;
    Some(registry.gate(&service.name, slots))
}
