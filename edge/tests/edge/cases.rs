//! The scenarios.

#[path = "cases/balance.rs"]
mod balance;
#[path = "cases/capture.rs"]
mod capture;
#[path = "cases/credentials.rs"]
mod credentials;
#[path = "cases/failover.rs"]
mod failover;
#[path = "cases/forwarding.rs"]
mod forwarding;
#[path = "cases/framing.rs"]
mod framing;
#[path = "cases/keyless.rs"]
mod keyless;
#[path = "cases/lifecycle.rs"]
mod lifecycle;
#[path = "cases/limits.rs"]
mod limits;
#[path = "cases/limits_under_load.rs"]
mod limits_under_load;
#[path = "cases/middlewares.rs"]
mod middlewares;
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
