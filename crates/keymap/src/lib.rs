//! Mapping files → checked types → a compiled key table, kept current as the folder changes.
//!
//! ```text
//!  folder ──watch──▶ load ──text──▶ document ─nodes─▶ check ──▶ Mapping ──▶ Compiler ──▶ Arc<Table>
//!                                                    │                                  │
//!                                                    └──▶ Problem (path, line, column)   └─ route(Request) → Decision
//! ```
//!
//! The crate knows no HTTP server: both planes hand it a borrowed [`Request`] and act on the [`Decision`].
//! No key is ever kept in the clear: what a rule pins is held as its SHA-256.

mod attachment;
pub mod breaker;
mod check;
mod credential;
pub mod edit;
mod key;
mod load;
mod mapping;
pub mod rule;
mod table;
mod target;
mod watch;

pub use attachment::Attachment;
pub use check::{UrlRefusal, check, static_file};
pub use credential::{Credential, CredentialConflict};
pub use document::{Position, Problem, Severity};
pub use key::{ApiKey, KeyHash};
pub use mapping::{
    AddPrefix, Buffering, Capture, CaptureLoss, CaptureMode, Child, CircuitBreaker, Cookie, CountedTokens, CrossOrigin,
    Destination, Failover, FairShare, ForwardingTimeouts, HeaderChange, Headers, HealthCheck, HighestRandomWeight,
    InFlightReq, IpAllowList, KeySource, LoadBalancer, LoadBalancing, Mapping, Middleware, MiddlewareKind, Mirror,
    Mirroring, Models, PassiveHealth, PathPattern, Paths, RateLimit, ReplacePath, ReplacePathRegex, Retry, Router,
    SameSite, Server, ServerUrl, ServersTransport, Service, ServiceKind, Share, Strategy, StripPrefix, TokenLimit,
    TransportName, UpstreamKey, UrlScheme, Validity, ValidityState, Weighted,
};
pub use rule::{Network, Pattern};
pub use table::{Compiler, Decision, Model, Request, Route, Table};
pub use target::{Target, TargetError, is_server_wide};
pub use watch::{FileState, FileStatus, Nudges, Snapshot, Watch, WatchError, WatchOptions, load_once};
