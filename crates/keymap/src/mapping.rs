//! One mapping file, checked: what the rest of the crate and both planes receive instead of YAML.
//!
//! Names are still names here. What a name stands for depends on all files, so the table resolves it: it hands out a
//! router as a [`crate::Route`], and a service that names others as a copy in which each [`Child`] is found.

mod middleware;
mod server;
mod service;
mod transport;

use std::sync::Arc;

pub use middleware::{
    AddPrefix, Buffering, Capture, CaptureLoss, CaptureMode, CircuitBreaker, CountedTokens, CrossOrigin, FairShare,
    HeaderChange, Headers, InFlightReq, IpAllowList, KeySource, Middleware, MiddlewareKind, Models, PathPattern, Paths,
    RateLimit, ReplacePath, ReplacePathRegex, Retry, StripPrefix, TokenLimit, UpstreamKey, Validity, ValidityState,
};
pub use server::{Server, ServerUrl, UrlScheme};
pub use service::{
    Child, Cookie, Failover, HealthCheck, HighestRandomWeight, LoadBalancer, LoadBalancing, Mirror, Mirroring,
    PassiveHealth, SameSite, Service, ServiceKind, Share, Strategy, Weighted,
};
pub use transport::{ForwardingTimeouts, ServersTransport, TransportName};

use crate::rule::Rule;
use document::Position;

/// What one file defines. Names are unique within the file; across files the table decides.
#[derive(Debug, Default)]
pub struct Mapping {
    pub routers: Vec<Arc<Router>>,
    pub services: Vec<Arc<Service>>,
    /// These two are slices, which are smaller: with a file for each of a million keys, a word here is 8 MB.
    pub middlewares: Box<[Arc<Middleware>]>,
    pub transports: Box<[Arc<ServersTransport>]>,
}

#[derive(Debug)]
pub struct Router {
    pub name: Arc<str>,
    pub rule: Rule,
    /// Never 0: an absent or zero priority is the rule's length in bytes, as in Traefik.
    pub priority: i64,
    /// The service's name without its `@file` suffix; `aggregator@internal` and `noop@internal` keep theirs.
    pub service: Arc<str>,
    /// `None`: on every entry point.
    pub entry_points: Option<Box<[Arc<str>]>>,
    /// In the order they apply.
    pub middlewares: Box<[Arc<str>]>,
    pub position: Position,
}

/// Where a router leads.
#[derive(Debug, Clone)]
pub enum Destination {
    /// Every [`Child`] and [`TransportName`] in it is found.
    Service(Arc<Service>),
    /// `aggregator@internal`
    Aggregator,
    /// `noop@internal`
    Noop,
}
