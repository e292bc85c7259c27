//! Where a decided request goes: a service's servers, the aggregator, or nowhere.

use std::sync::Arc;

use keymap::{Route, Service};

use crate::balance::ServerSet;
use crate::error::Refusal;
use crate::plane::Plane;

pub(super) enum Destination {
    Service(Arc<Service>),
    Aggregator(Arc<ServerSet>),
}

impl Destination {
    pub(super) fn servers(&self) -> Option<&ServerSet> {
        match self {
            Self::Service(service) => service.attachment.get_or_attach(|| Arc::new(ServerSet::of(service))),
            Self::Aggregator(servers) => Some(servers),
        }
    }

    pub(super) fn passes_host(&self) -> bool {
        match self {
            Self::Service(service) => service.pass_host_header,
            Self::Aggregator(_) => true,
        }
    }

    pub(super) fn name(&self) -> Arc<str> {
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
