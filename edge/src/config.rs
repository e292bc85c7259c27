//! What an edge is started with: checked by the binary, which composes it from flags, environment and files.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keymap::ServerUrl;

use crate::access_log::AccessLogTarget;

#[derive(Debug, Clone)]
pub struct EdgeConfig {
    pub entry_points: Vec<EntryPoint>,
    /// Where `/v1/models`, `/stats` and `aggregator@internal` lead. `None` to do without.
    pub aggregator: Option<ServerUrl>,
    /// Metrics and health. `None` to do without.
    pub admin: Option<SocketAddr>,
    pub threads: usize,
    pub bounds: Bounds,
    pub timeouts: Timeouts,
    pub access_log: Option<AccessLogTarget>,
    pub carrier: Carrier,
}

/// What carries HTTP/1.1. The outcome is the same; a test holds one against the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Carrier {
    /// Our own.
    #[default]
    Forwarder,
    PingoraProxy,
}

#[derive(Debug, Clone)]
pub struct EntryPoint {
    /// What routers call it. `None` where entry points are not told apart.
    pub name: Option<Arc<str>>,
    pub listen: SocketAddr,
}

#[derive(Debug, Clone)]
pub struct Bounds {
    /// The largest request body: long prompts with pictures fit, a runaway upload does not.
    pub body_bytes_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            body_bytes_max: 256 << 20,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Timeouts {
    /// For a request's head, from its first byte to its last.
    pub head: Duration,
    /// For reaching a server, TLS included.
    pub connect: Duration,
    /// Between two reads from a server. `None`: a slow prefill is never cut.
    pub read: Option<Duration>,
    /// How long stopping waits for what is in flight. `None`: as long as it takes.
    pub drain: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            connect: Duration::from_secs(5),
            read: None,
            drain: None,
        }
    }
}
