//! One mapping file, checked: what the rest of the crate and both planes receive instead of YAML.

use std::sync::Arc;

use crate::attachment::Attachment;
use crate::rule::Rule;
use document::Position;

/// What one file defines. Names are unique within the file; across files the table decides.
#[derive(Debug, Default)]
pub struct Mapping {
    pub routers: Vec<Arc<Router>>,
    pub services: Vec<Arc<Service>>,
    pub middlewares: Vec<Arc<Middleware>>,
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

#[derive(Debug)]
pub struct Service {
    pub name: Arc<str>,
    /// May be empty: such a service answers 503.
    pub servers: Box<[Server]>,
    pub pass_host_header: bool,
    pub position: Position,
    /// The edge's balancing state.
    pub attachment: Attachment,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub url: ServerUrl,
    /// 1 unless given; 0 takes no traffic.
    pub weight: u32,
    /// Whether the URL's path is put before the request's. Traefik ignores it otherwise.
    pub preserve_path: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UrlScheme {
    Http,
    Https,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerUrl {
    pub scheme: UrlScheme,
    /// A name or an address; an IPv6 address without its brackets.
    pub host: Arc<str>,
    pub port: u16,
    /// Empty or `/…` without a slash at its end.
    pub path: Arc<str>,
}

/// Where a router leads.
#[derive(Debug, Clone)]
pub enum Destination {
    Service(Arc<Service>),
    /// `aggregator@internal`
    Aggregator,
    /// `noop@internal`
    Noop,
}

#[derive(Debug)]
pub struct Middleware {
    pub name: Arc<str>,
    pub kind: MiddlewareKind,
    pub position: Position,
}

/// Middlewares that this version does not act on are told apart by what ignoring them would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MiddlewareKind {
    /// It guards (authentication, allow-list, limit): a router that uses it refuses.
    UnsupportedGuard(Arc<str>),
    /// It decorates (headers, compression, …): a router that uses it works without, and a warning names it.
    UnsupportedOther(Arc<str>),
}
