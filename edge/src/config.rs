//! What an edge is started with: checked by the binary, which composes it from flags, environment and files.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keymap::ServerUrl;

use crate::access_log::AccessLogTarget;
use crate::crowd::CrowdBounds;
use crate::tls::TlsSettings;
use crate::trusted::TrustedProxies;

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
    pub balancing: Balancing,
    pub answers: Answers,
    pub access_log: Option<AccessLogTarget>,
    pub carrier: Carrier,
    pub trusted_proxies: TrustedProxies,
    /// Where it remembers what was used of limits. `None`: it forgets with its end.
    pub state: Option<StateFolder>,
    /// Where exchanges are kept. `None`: they are not.
    pub capture: Option<CaptureConfig>,
    pub tls: TlsSettings,
    /// Who takes the spans. `None`: traces are off.
    pub tracer: Option<traces::Tracer>,
}

impl EdgeConfig {
    /// One entry point here, one thread, and nothing else that was not asked for.
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            entry_points: vec![EntryPoint { name: None, listen }],
            aggregator: None,
            admin: None,
            threads: 1,
            bounds: Bounds::default(),
            timeouts: Timeouts::default(),
            access_log: None,
            carrier: Carrier::default(),
            trusted_proxies: TrustedProxies::default(),
            balancing: Balancing::default(),
            answers: Answers::default(),
            state: None,
            capture: None,
            tls: TlsSettings::default(),
            tracer: None,
        }
    }
}

/// What is kept of exchanges, and where.
#[derive(Debug, Clone)]
pub struct CaptureConfig {
    /// The journals' folder; the edge's own is below it.
    pub journal: PathBuf,
    pub options: capture::Options,
    /// For routers whose middlewares do not say. `None`: those are not kept.
    pub terms: Option<capture::Terms>,
    /// Of each body, where a router's middleware does not say.
    pub body_bytes_max: u64,
}

/// Where limits are remembered across restarts.
#[derive(Debug, Clone)]
pub struct StateFolder {
    pub path: PathBuf,
    /// Somebody asked for this folder, so that an edge which cannot use it does not start. Else it goes on without.
    pub required: bool,
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
    pub head: HeadBounds,
    pub crowd: CrowdBounds,
    /// Exchanges that one key may have at once. `None`: only its routers' limits bound them.
    pub streams_per_key_max: Option<u32>,
    /// Resident memory of the process beyond which new requests are refused. `None`: not looked at.
    pub memory_bytes_max: Option<u64>,
}

/// What a request's head may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadBounds {
    /// Line and headers together. Clients with large cookies stay below 16 KiB.
    pub bytes_max: usize,
    /// One line: a signed token in a header is a few KiB.
    pub line_bytes_max: usize,
    pub fields_max: usize,
}

impl HeadBounds {
    /// Whatever is configured: a head is parsed into an array of this size.
    pub const FIELDS_MAX: usize = 256;
}

impl Default for HeadBounds {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 10,
            line_bytes_max: 8 << 10,
            fields_max: 100,
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            body_bytes_max: 256 << 20,
            head: HeadBounds::default(),
            crowd: CrowdBounds::default(),
            streams_per_key_max: None,
            memory_bytes_max: None,
        }
    }
}

/// What holds for all services.
#[derive(Debug, Clone, Default)]
pub struct Balancing {
    /// Each answer names its server and the attempts in `x-conclave-server`.
    pub tells_server: bool,
    /// Lines at the top of a system prompt that `strategy: prefix` leaves out.
    pub volatile_lines: affinity::VolatileLines,
}

/// What is done with answers as they pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answers {
    /// An event stream that is silent for so long before its first token gets a comment. `None`: never.
    pub keepalive: Option<Duration>,
    /// Tokens are counted for the metrics of every router, not only of those whose limits need them.
    pub counts_tokens: bool,
}

#[derive(Debug, Clone)]
pub struct Timeouts {
    /// For a request's head, from its first byte to its last.
    pub head: Duration,
    /// For a client in the middle of a request: to take something of its answer, or to bring a little of its body.
    pub client: Duration,
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
            client: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            read: None,
            drain: None,
        }
    }
}
