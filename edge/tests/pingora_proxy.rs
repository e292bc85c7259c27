//! The whole edge over real sockets, HTTP/1.1 carried by pingora-proxy.

#[path = "edge/cases.rs"]
mod cases;
#[path = "edge/harness.rs"]
mod harness;

const CARRIER: edge::Carrier = edge::Carrier::PingoraProxy;
