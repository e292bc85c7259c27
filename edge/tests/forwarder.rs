//! The whole edge over real sockets, HTTP/1.1 carried by our own forwarder.

#[path = "edge/cases.rs"]
mod cases;
#[path = "edge/corpus.rs"]
mod corpus;
#[path = "edge/harness.rs"]
mod harness;
#[path = "edge/strict.rs"]
mod strict;

const CARRIER: edge::Carrier = edge::Carrier::Forwarder;
