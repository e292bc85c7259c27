//! Backends: which there are, how they are asked, and how they are.
//!
//! `targets` decides from mapping files whom to ask (pure); `client` asks once, bounded; `health` judges an answer
//! (pure); `roster` remembers each backend, `schedule` knows whose turn it is (both pure); `poller` is the one task
//! that drives them all, `publisher` its way to the catalogue.

mod client;
mod feed;
mod health;
mod identity;
mod keys;
mod poller;
mod publisher;
mod roster;
mod schedule;
mod targets;

pub use feed::MappingFeed;
pub use keys::BackendKeys;
pub use targets::SkipPatterns;

pub(crate) use client::Client;
pub(crate) use identity::Identity;
pub(crate) use poller::Poller;
pub(crate) use targets::TargetRules;
