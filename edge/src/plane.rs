//! What all exchanges of one edge share. Nothing here is locked on a request's way.

use std::sync::Arc;

use arc_swap::ArcSwap;
use keymap::{ServerUrl, Snapshot};

use crate::access_log::AccessLog;
use crate::balance::ServerSet;
use crate::config::{Bounds, Timeouts};
use crate::crowd::Crowd;
use crate::drain::{InFlight, Stop};
use crate::metrics::Metrics;
use crate::pressure::Pressure;
use crate::trusted::TrustedProxies;

pub(crate) struct Plane {
    pub(crate) mappings: Arc<ArcSwap<Snapshot>>,
    pub(crate) aggregator: Option<Arc<ServerSet>>,
    pub(crate) bounds: Bounds,
    pub(crate) timeouts: Timeouts,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) stop: Stop,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) pressure: Arc<Pressure>,
    pub(crate) trusted_proxies: TrustedProxies,
}

pub(crate) fn aggregator_servers(url: &ServerUrl) -> Arc<ServerSet> {
    let server = keymap::Server {
        url: url.clone(),
        weight: 1,
        preserve_path: false,
    };
    Arc::new(ServerSet::new(&[server]))
}
