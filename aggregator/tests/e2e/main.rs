//! The aggregator end to end, over real sockets: tiny backends on one side, an HTTP client on the other.

mod backend;
mod catalogue;
mod council;
mod door;
mod fleet;
mod gateway;
mod http;
mod logs;
mod oracle;
mod provider;
mod service;
mod stats;
