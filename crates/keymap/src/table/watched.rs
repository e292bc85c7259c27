//! The services in use whose servers are to be asked how they are, before any request comes.

use std::sync::Arc;

use super::Route;
use crate::mapping::{Destination, Service, ServiceKind, Strategy};

pub(super) fn of(route: &Route) -> impl Iterator<Item = &Arc<Service>> {
    let service = match &route.destination {
        Ok(Destination::Service(service)) => Some(service),
        _ => None,
    };
    service.into_iter().filter(|service| is_watched(service))
}

/// By itself, or through a service below it. The table hands out nothing that leads back to itself.
fn is_watched(service: &Service) -> bool {
    if let ServiceKind::LoadBalancer(balancer) = &service.kind {
        let asks_slots = balancer.strategy == Strategy::Prefix && balancer.servers.len() > 1;
        return balancer.health_check().is_some() || asks_slots;
    }
    let mut below = service.children().filter_map(|child| child.service());
    below.any(|child| is_watched(child))
}
