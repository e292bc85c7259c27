//! Conclave's companion service: what needs no key, and in time what needs more than forwarding.
//!
//! ```text
//!   mapping files ──MappingFeed────┐
//!   config.yaml ────ConfigFollower─┴▶ Targets ──▶ backend::Poller ──what it serves, how it is──▶ every backend
//!                                                   │
//!                                                   ▼ what changed
//!   GET /v1/models ◀── bytes from memory ── Catalogue (merged, serialised once)
//!   who answers a request ◀── choice (pure) ── Fleet (a view that is swapped whole)
//!   GET /stats     ◀── bytes from memory ── StatsBoard ◀── host sampler (every 2 s), GPU sampler
//!   /admin/responses, /admin/usage ◀── a few readers ── store::Store (SQLite) ◀── one writer
//! ```
//!
//! A request never waits for a backend or for a measurement: background tasks prepare the bytes, handlers hand
//! them out. The one exception is the very start, while nothing has been prepared yet; that wait is bounded.
//!
//! Life cycle in types: [`Aggregator::bind`] → [`Bound`] (its address is known) → [`Bound::serve`] until shutdown.
//! The crate knows mapping files through `keymap` alone; it knows neither the edge nor Pingora.

mod api;
mod app;
mod backend;
mod catalogue;
mod choice;
mod config;
mod config_file;
mod council;
mod desk;
mod door;
mod error;
mod fleet;
mod gateway;
mod history;
pub mod ingest;
mod keyring;
mod mapping_lines;
mod metrics;
mod router;
mod series;
mod server;
mod stats;
pub mod store;
mod tasks;
mod ui;

pub use app::{Aggregator, Bound, ServeError, StartError};
pub use backend::{BackendKeys, MappingFeed, SkipPatterns};
pub use config::{AggregatorConfig, BackendConfig, ConfigError, ServerBounds, seconds};
pub use config_file::{
    AdminAuth, ConfigFile, ConfigSource, Council, Fallbacks, InferenceAuth, Lookup, ResponseStorage, Routing,
    ServerSection, Strategy,
};
pub use council::template_problems as council_template_problems;
pub use door::AllowedHosts;
pub use gateway::CaptureConfig;
pub use metrics::metrics_specimen;
pub use stats::{LoadedFilter, StatsConfig, StatsFilter};
