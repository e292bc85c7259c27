//! What all exchanges of one edge share. Nothing here is locked on a request's way.

use std::sync::Arc;

use arc_swap::ArcSwap;
use keymap::{ServerUrl, Snapshot};

use crate::access_log::AccessLog;
use crate::balance::Balancer;
use crate::balance::mirror::Copies;
use crate::config::{Answers, Balancing, Bounds, Timeouts};
use crate::crowd::Crowd;
use crate::drain::{InFlight, Stop};
use crate::health;
use crate::limits::clock::Clock;
use crate::limits::registry::Registry;
use crate::metrics::Metrics;
use crate::pressure::Pressure;
use crate::state::Keeper;
use crate::streams::Streams;
use crate::takeover::Estate;
use crate::tap::Tap;
use crate::tls::Tls;
use crate::trusted::TrustedProxies;

pub(crate) struct Plane {
    pub(crate) mappings: Arc<ArcSwap<Snapshot>>,
    pub(crate) aggregator: Option<Arc<Balancer>>,
    pub(crate) bounds: Bounds,
    pub(crate) timeouts: Timeouts,
    pub(crate) balancing: Balancing,
    pub(crate) answers: Answers,
    /// What is known of the servers.
    pub(crate) servers: Arc<health::Registry>,
    pub(crate) copies: Copies,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) stop: Stop,
    pub(crate) crowd: Arc<Crowd>,
    /// `None`: keys are not bounded.
    pub(crate) streams: Option<Arc<Streams>>,
    pub(crate) pressure: Arc<Pressure>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) limits: Limiting,
    /// `None`: nothing is kept.
    pub(crate) tap: Option<Tap>,
    pub(crate) tls: Tls,
    /// `None`: traces are off.
    pub(crate) tracer: Option<traces::Tracer>,
}

/// What limits of all routers share.
pub(crate) struct Limiting {
    pub(crate) clock: Clock,
    pub(crate) registry: Arc<Registry>,
    /// Writes down what was used, once more when the edge ends.
    pub(crate) keeper: Keeper,
    /// What predecessors count for this edge.
    pub(crate) estate: Arc<Estate>,
}

pub(crate) fn aggregator(url: &ServerUrl, servers: &Arc<health::Registry>) -> Arc<Balancer> {
    let server = keymap::Server {
        url: url.clone(),
        weight: 1,
        preserve_path: false,
    };
    Arc::new(Balancer::lone(&"aggregator@internal".into(), &server, servers))
}
