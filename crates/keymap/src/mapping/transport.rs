//! `http.serversTransports.NAME`: how servers are connected to.

use std::sync::Arc;
use std::time::Duration;

use document::Position;

#[derive(Debug)]
pub struct ServersTransport {
    pub name: Arc<str>,
    /// The name a server's certificate must be for; `None`: the host of its URL.
    pub server_name: Option<Arc<str>>,
    pub insecure_skip_verify: bool,
    /// Files of certificates, in PEM, that servers' certificates may be signed by.
    pub root_cas: Box<[Arc<str>]>,
    /// `disableHTTP2: false`: servers with TLS may choose HTTP/2. Unsaid, they are not offered it.
    pub http_2: bool,
    /// Connections to one server that are kept while idle; `None`: the edge's own bound.
    pub max_idle_conns_per_host: Option<u32>,
    pub timeouts: ForwardingTimeouts,
    pub position: Position,
}

/// `forwardingTimeouts`. `None` (also a zero in the file): the edge's own settings apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForwardingTimeouts {
    /// To reach a server, TLS included.
    pub dial: Option<Duration>,
    /// From the request's last byte to the response's head.
    pub response_header: Option<Duration>,
    /// How long an idle connection is kept.
    pub idle_conn: Option<Duration>,
}

/// A transport's name in a service, and, in the copy that the table hands out, the transport.
#[derive(Debug, Clone)]
pub struct TransportName {
    pub name: Arc<str>,
    pub(crate) found: Option<Arc<ServersTransport>>,
}

impl TransportName {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self { name, found: None }
    }

    /// `None` only in a mapping that no table has resolved.
    pub fn transport(&self) -> Option<&Arc<ServersTransport>> {
        self.found.as_ref()
    }
}

/// By name: what it stands for is the table's to say.
impl PartialEq for TransportName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TransportName {}

impl ServersTransport {
    /// Whether one may stand for the other, so that services need not be told.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let of = |it: &Self| {
            (
                it.insecure_skip_verify,
                it.http_2,
                it.max_idle_conns_per_host,
                it.timeouts,
                it.position,
            )
        };
        of(self) == of(other) && self.server_name == other.server_name && self.root_cas == other.root_cas
    }
}
