//! What is known of each server's health, and how it becomes known.
//!
//! ```text
//!                       refused, 5xx in a row, far slower than the others
//!  exchanges ─▶ passive ──────────────────────────────────────────────┐
//!                       503 "Loading model"                           ▼
//!                                                     State: may it be asked now? ─▶ balance
//!                                                                     ▲
//!  healthCheck ─▶ probe ──────────────────────────────────────────────┘
//!                       status, time-out (while nothing else came from it)
//! ```
//!
//! What is seen in passing is a suspicion: a server is left out for a while, then *one* request tries it, and if all are
//! suspect all are tried. What the operator's own check says is a fact: if all are down, requests are refused.
//! State belongs to a service's server by its URL and outlives every reload ([`Registry`]).

pub(crate) mod early;
mod outlier;
pub(crate) mod probe;
mod registry;
mod state;

pub(crate) use outlier::{Times, is_outlier};
pub(crate) use registry::{Registry, Shown};
pub(crate) use state::{Rules, Standing, State};
