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
mod check;
mod credential;
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
pub use mapping::{Destination, Mapping, Middleware, MiddlewareKind, Router, Server, ServerUrl, Service, UrlScheme};
pub use rule::Network;
pub use table::{Compiler, Decision, Model, Request, Route, Table};
pub use target::{Target, TargetError, is_server_wide};
pub use watch::{FileState, FileStatus, Snapshot, Watch, WatchError, WatchOptions, load_once};
