//! Which server gets a request, how often it is tried anew, and what the servers are known by.
//!
//! ```text
//!  exchange ── Ask ──▶ tree ──▶ pool ── candidates ──▶ strategy      one of them, or who to wait for
//!                                │  ▲                   schedule, rendezvous, affinity: pure
//!                                │  └─ health::State    in flight, ejected, times, cache; by service and URL
//!                                ▼
//!           ◀── Pick ──────── member                    counts as in flight for as long as it is held
//! ```
//!
//! A service's balancer is made when it is first asked and hangs on the service ([`keymap::Attachment`]); what is known of
//! its servers outlives it ([`crate::health::Registry`]). No lock is taken on a request's way, but for the prefix index's.

mod budget;
mod member;
pub(crate) mod mirror;
mod pool;
pub(crate) mod prefix;
mod rendezvous;
mod schedule;
mod settings;
mod sticky;
mod strategy;
mod tree;

pub(crate) use member::{LOADING_WAIT_MAX, Member, Mirror, Pick, Terms, Waiting};
pub(crate) use pool::{Ask, Found};
pub(crate) use tree::Balancer;
