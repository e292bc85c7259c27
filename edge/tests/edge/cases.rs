//! The scenarios.

#[path = "cases/credentials.rs"]
mod credentials;
#[path = "cases/forwarding.rs"]
mod forwarding;
#[path = "cases/framing.rs"]
mod framing;
#[path = "cases/keyless.rs"]
mod keyless;
#[path = "cases/lifecycle.rs"]
mod lifecycle;
#[path = "cases/models.rs"]
mod models;
#[path = "cases/paths.rs"]
mod paths;
#[path = "cases/reload.rs"]
mod reload;
#[path = "cases/servers.rs"]
mod servers;
#[path = "cases/streams.rs"]
mod streams;
