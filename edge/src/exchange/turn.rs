//! Waiting for one of a service's slots, where it has so many and no more.
//!
//! A router's own service is waited for before a server is chosen, so that the choice is made when there is one. Of a
//! service among others it is only known then which one's slots count: those are waited for once it was chosen.

use std::sync::Arc;
use std::time::Instant;

use keymap::{Destination, MiddlewareKind, Route, ServiceKind};

use super::Exchange;
use super::limited::RouteState;
use crate::balance::Mirror;
use crate::error::Refusal;
use crate::limits::fair::gate::{FairQueue, FairSlot};
use crate::limits::registry::Registry;

/// Of a router that says nothing about its share.
const WEIGHT: u32 = 1;

/// An exchange's turn, to be waited for. Dropping what waits gives its place up.
pub(crate) struct Turn {
    gate: Arc<FairQueue>,
    router: Arc<str>,
    weight: u32,
    since: Instant,
}

impl Turn {
    pub(crate) async fn wait(&self) -> Result<FairSlot, Refusal> {
        let slot = self.gate.acquire(&self.router, self.weight).await;
        slot.map_err(|_| Refusal::Overloaded)
    }
}

impl Exchange {
    /// `None`: there is nothing to wait for. Asked before a server is chosen and after each choice; a slot of a service
    /// that was left for another is free from here on.
    pub(crate) fn turn(&mut self) -> Option<Turn> {
        let slots = match self.member() {
            Some(member) if member.terms.slots.is_none() => {
                self.slot = None;
                return None;
            }
            Some(member) => member.terms.slots.clone(),
            None => None,
        };
        let route = self.route.as_ref()?;
        let state = RouteState::of(route, &self.plane, self.plane.limits.clock.at(self.started))?;
        let gate = match slots {
            Some(slots) => slots.gate(&self.plane.limits.registry),
            None => state.gate.clone()?,
        };
        if self.slot.as_ref().is_some_and(|slot| slot.is_of(&gate)) {
            return None;
        }
        let turn = Turn {
            gate,
            router: route.router.name.clone(),
            weight: state.weight,
            since: Instant::now(),
        };
        self.slot = None;
        Some(turn)
    }

    pub(crate) fn has_turn(&mut self, turn: &Turn, slot: FairSlot) {
        self.waited(turn.since.elapsed());
        self.slot = Some(slot);
    }

    /// Those that get a copy of what is sent, which is handed over once. A service that has no slot left gets none: a
    /// copy stands in nobody's way.
    pub(crate) fn take_mirrors(&mut self) -> Vec<Mirror> {
        let Some(pick) = &mut self.attempts.pick else {
            return Vec::new();
        };
        let mut mirrors = std::mem::take(&mut pick.mirrors);
        let Some(route) = &self.route else { return mirrors };
        mirrors.retain_mut(|mirror| {
            let Some(slots) = &mirror.pick.member.terms.slots else {
                return true;
            };
            let gate = slots.gate(&self.plane.limits.registry);
            mirror.slot = gate.take_free(&route.router.name, WEIGHT);
            mirror.slot.is_some()
        });
        mirrors
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

/// What the router's requests weigh among those that wait: the first `fairShare` counts.
pub(super) fn weight_of(route: &Route) -> u32 {
    let mut shares = route.middlewares.iter().filter_map(|middleware| match middleware.kind {
        MiddlewareKind::FairShare(share) => Some(share.weight),
        _ => None,
    });
    shares.next().unwrap_or(WEIGHT)
}
