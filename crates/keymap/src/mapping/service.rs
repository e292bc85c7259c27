//! `http.services.NAME`: servers, or other services and how to choose among them.
//!
//! A folder may hold a service for each of a million keys, so a plain one is small: what few services set is boxed.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::server::{Server, UrlScheme};
use super::transport::{ServersTransport, TransportName};
use crate::attachment::Attachment;
use document::Position;

#[derive(Debug)]
pub struct Service {
    pub name: Arc<str>,
    pub kind: ServiceKind,
    pub position: Position,
    /// The edge's balancing state.
    pub attachment: Attachment,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ServiceKind {
    LoadBalancer(LoadBalancer),
    Weighted(Box<Weighted>),
    Failover(Box<Failover>),
    Mirroring(Box<Mirroring>),
    HighestRandomWeight(Box<HighestRandomWeight>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct LoadBalancer {
    /// May be empty: such a service answers 503.
    pub servers: Box<[Server]>,
    pub pass_host_header: bool,
    pub strategy: Strategy,
    /// `None`: nothing beyond the above is set.
    pub more: Option<Box<LoadBalancing>>,
}

/// What few load balancers set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LoadBalancing {
    pub sticky: Option<Cookie>,
    pub health_check: Option<HealthCheck>,
    pub passive: Option<PassiveHealth>,
    pub transport: Option<TransportName>,
    /// Conclave's: so many requests at once, the rest wait and are served fairly by router. Never 0.
    pub max_in_flight: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Weighted round robin.
    #[default]
    Wrr,
    /// The less busy of two drawn at random.
    P2c,
    LeastTime,
    /// By the client's address, highest random weight.
    Hrw,
    /// Conclave's: where the conversation's KV cache is.
    Prefix,
}

/// `sticky.cookie`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// `None`: made from the service's name.
    pub name: Option<Arc<str>>,
    pub secure: bool,
    pub http_only: bool,
    pub same_site: Option<SameSite>,
    /// `None` (0 in the file): until the browser closes. Negative: it ends at once.
    pub max_age_seconds: Option<i64>,
    pub path: Arc<str>,
    pub domain: Option<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    None,
    Lax,
    Strict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// `/…`, with a query if there is one.
    pub path: Arc<str>,
    pub method: Method,
    /// `None`: any from 200 to 399.
    pub status: Option<u16>,
    /// `None`: the server's own.
    pub scheme: Option<UrlScheme>,
    pub port: Option<u16>,
    pub hostname: Option<HeaderValue>,
    /// 30 s
    pub interval: Duration,
    /// While a server is unhealthy; the same as `interval` unless given.
    pub unhealthy_interval: Duration,
    /// 5 s
    pub timeout: Duration,
    pub follow_redirects: bool,
    pub headers: Box<[(HeaderName, HeaderValue)]>,
}

/// `passiveHealthCheck`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassiveHealth {
    /// 10 s
    pub failure_window: Duration,
    /// 1
    pub max_failed_attempts: u32,
}

/// Another service by name and, in the copy that the table hands out, the service.
#[derive(Debug, Clone)]
pub struct Child {
    pub name: Arc<str>,
    pub(crate) found: Option<Arc<Service>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    pub service: Child,
    /// 1 unless given; 0 takes no traffic.
    pub weight: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighted {
    pub shares: Box<[Share]>,
    pub sticky: Option<Cookie>,
    /// Whether a child without a healthy server is passed over.
    pub health_check: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HighestRandomWeight {
    pub shares: Box<[Share]>,
    pub health_check: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    pub service: Child,
    pub fallback: Child,
    pub health_check: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirroring {
    pub service: Child,
    pub mirrors: Box<[Mirror]>,
    /// Whether mirrors get the request's body.
    pub mirror_body: bool,
    /// A longer body is not mirrored; `None` (-1 in the file): any length is.
    pub body_bytes_max: Option<u64>,
    pub health_check: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    pub service: Child,
    /// 0 to 100: of the requests, so many are copied.
    pub percent: u8,
}

impl Service {
    /// Its own servers: none where it chooses among other services.
    pub fn servers(&self) -> &[Server] {
        match &self.kind {
            ServiceKind::LoadBalancer(balancer) => &balancer.servers,
            _ => &[],
        }
    }

    /// Services that it names, in the order they are tried or shown.
    pub fn children(&self) -> impl Iterator<Item = &Child> {
        let (shares, pair, mirrors): (&[Share], [Option<&Child>; 2], &[Mirror]) = match &self.kind {
            ServiceKind::LoadBalancer(_) => (&[], [None, None], &[]),
            ServiceKind::Weighted(it) => (&it.shares, [None, None], &[]),
            ServiceKind::HighestRandomWeight(it) => (&it.shares, [None, None], &[]),
            ServiceKind::Failover(it) => (&[], [Some(&it.service), Some(&it.fallback)], &[]),
            ServiceKind::Mirroring(it) => (&[], [Some(&it.service), None], &it.mirrors),
        };
        let shares = shares.iter().map(|share| &share.service);
        let mirrors = mirrors.iter().map(|mirror| &mirror.service);
        shares.chain(pair.into_iter().flatten()).chain(mirrors)
    }

    /// The transport that it names.
    pub fn transport_name(&self) -> Option<&TransportName> {
        match &self.kind {
            ServiceKind::LoadBalancer(balancer) => balancer.more.as_ref()?.transport.as_ref(),
            _ => None,
        }
    }

    /// Whether it is usable as it stands, so that no copy of it is needed.
    pub(crate) fn is_plain(&self) -> bool {
        self.transport_name().is_none() && self.children().next().is_none()
    }
}

impl ServiceKind {
    pub(crate) fn children_mut(&mut self) -> Vec<&mut Child> {
        match self {
            Self::LoadBalancer(_) => Vec::new(),
            Self::Weighted(it) => it.shares.iter_mut().map(|share| &mut share.service).collect(),
            Self::HighestRandomWeight(it) => it.shares.iter_mut().map(|share| &mut share.service).collect(),
            Self::Failover(it) => vec![&mut it.service, &mut it.fallback],
            Self::Mirroring(it) => {
                let mirrors = it.mirrors.iter_mut().map(|mirror| &mut mirror.service);
                std::iter::once(&mut it.service).chain(mirrors).collect()
            }
        }
    }

    pub(crate) fn transport_mut(&mut self) -> Option<&mut TransportName> {
        match self {
            Self::LoadBalancer(balancer) => balancer.more.as_mut()?.transport.as_mut(),
            _ => None,
        }
    }
}

impl LoadBalancer {
    /// Servers that take turns, and nothing else set.
    pub fn plain(servers: Box<[Server]>) -> Self {
        Self {
            servers,
            pass_host_header: true,
            strategy: Strategy::Wrr,
            more: None,
        }
    }

    pub fn sticky(&self) -> Option<&Cookie> {
        self.more.as_ref()?.sticky.as_ref()
    }

    pub fn health_check(&self) -> Option<&HealthCheck> {
        self.more.as_ref()?.health_check.as_ref()
    }

    pub fn passive(&self) -> Option<&PassiveHealth> {
        self.more.as_ref()?.passive.as_ref()
    }

    pub fn transport(&self) -> Option<&Arc<ServersTransport>> {
        self.more.as_ref()?.transport.as_ref()?.transport()
    }
}

impl Child {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self { name, found: None }
    }

    /// `None` only in a mapping that no table has resolved.
    pub fn service(&self) -> Option<&Arc<Service>> {
        self.found.as_ref()
    }
}

/// By name: what it stands for is the table's to say.
impl PartialEq for Child {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Child {}
