//! The data plane: a keyed request goes to the server its key names, and streams come back chunk by chunk.
//!
//! ```text
//!            carrier (moves bytes, decides nothing)
//!  client ──▶ head ──▶ ┌─────────────── exchange ───────────────┐
//!                      │ target → credential → keymap::Table    │──▶ refusal (OpenAI-shaped)
//!             body ──▶ │ → model → server (balance, upstream)   │
//!                      │ → rewrite                              │──▶ server's request head
//!   response chunks ◀──│ count, stamp, account, log             │◀── server's response
//!                      └────────────────────────────────────────┘
//! ```
//!
//! Invariants: the edge never opens SQLite and never depends on the aggregator; a carrier asks the exchange and never
//! decides; a request in flight keeps the table it began with.

mod access_log;
mod admin;
mod admission;
mod balance;
mod breaker;
mod carrier;
mod complaints;
mod config;
mod crowd;
mod drain;
mod error;
mod exchange;
mod health;
mod keyless;
mod limits;
mod metrics;
mod middleware;
mod model;
mod plane;
mod pressure;
mod request_id;
mod response_facts;
mod rewrite;
mod server;
pub mod state;
mod streams;
mod takeover;
mod tap;
mod threads;
mod tls;
mod trusted;
mod upstream;
mod usage;

#[cfg(feature = "fuzzing")]
pub use carrier::forward::fuzzing;

pub use access_log::AccessLogTarget;
pub use affinity::VolatileLines;
pub use config::{
    Answers, Balancing, Bounds, CaptureConfig, Carrier, EdgeConfig, EntryPoint, HeadBounds, StateFolder, Timeouts,
};
pub use crowd::CrowdBounds;
pub use drain::Left;
pub use metrics::metrics_specimen;
pub use server::{BoundEdge, Pulse, RunningEdge, StartError, Successor};
pub use takeover::{Predecessor, Sockets, TakeoverError};
pub use tls::{
    AcmeSettings, CertificateFiles, ChallengeKind, ExternalAccount, Redirect, RedirectPoint, TlsFault, TlsSettings,
    UpstreamTls,
};
pub use trusted::TrustedProxies;
