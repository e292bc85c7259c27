//! Where a decided request goes: a service's servers, the aggregator, or nowhere.

use std::sync::Arc;

use keymap::{Route, Service};

use crate::balance::Balancer;
use crate::error::Refusal;
use crate::plane::Plane;

pub(crate) enum Destination {
    Service(Arc<Service>),
    Aggregator(Arc<Balancer>),
}

impl Destination {
    pub(super) fn balancer(&self, plane: &Plane) -> Option<&Balancer> {
        match self {
            Self::Service(service) => Balancer::of(service, &plane.servers),
            Self::Aggregator(balancer) => Some(balancer),
        }
    }

    pub(crate) fn name(&self) -> Arc<str> {
        match self {
            Self::Service(service) => service.name.clone(),
            Self::Aggregator(_) => "aggregator@internal".into(),
        }
    }
}

pub(super) fn of_route(route: &Route, plane: &Plane) -> Result<Destination, Refusal> {
    match &route.destination {
        Ok(keymap::Destination::Service(service)) => Ok(Destination::Service(service.clone())),
        Ok(keymap::Destination::Aggregator) => aggregator(plane),
        Ok(keymap::Destination::Noop) => Err(Refusal::Noop),
        Err(_) => Err(Refusal::BrokenRouter),
    }
}

pub(super) fn aggregator(plane: &Plane) -> Result<Destination, Refusal> {
    plane
        .aggregator
        .clone()
        .map(Destination::Aggregator)
        .ok_or(Refusal::NoAggregator)
}
