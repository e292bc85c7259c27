//! Backends: which there are, how they are asked, and how they are.
//!
//! `targets` decides from `config.yaml` and mapping files whom to ask, `spec` is what is configured of each (both pure);
//! `client` asks once, bounded; `provider` and `gauge` know what each kind is asked and how its answers read, `health`
//! judges an answer (all pure); `roster` remembers each backend, `schedule` knows whose turn it is (both pure);
//! `poller` is the one task that drives them all, `publisher` its way to the catalogue and to the fleet.

mod client;
mod feed;
mod gauge;
mod health;
mod identity;
mod keys;
mod poller;
mod price;
mod provider;
mod publisher;
mod roster;
mod schedule;
mod spec;
mod targets;

pub use feed::MappingFeed;
pub use keys::BackendKeys;
pub use targets::SkipPatterns;

pub(crate) use client::{Client, install_crypto_provider, root_cause};
pub(crate) use feed::MappingFolder;
pub(crate) use identity::Identity;
pub(crate) use poller::{Poller, Sources};
pub(crate) use price::{Price, Prices};
pub(crate) use spec::{BackendId, BackendKind, Origin, Spec};
pub(crate) use targets::{BackendUrl, TargetRules};
