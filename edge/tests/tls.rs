//! The edge over TLS, real sockets and certificates made on the spot: who is shown what, who is let in, what survives a
//! renewal, and that a stream is a stream under it.

#[path = "tls/back.rs"]
mod back;
#[path = "tls/frames.rs"]
mod frames;
#[path = "tls/front.rs"]
mod front;
#[path = "tls/http2.rs"]
mod http2;
#[path = "tls/pki.rs"]
mod pki;
#[path = "edge/corpus/recorder.rs"]
mod recorder;
#[path = "tls/streams.rs"]
mod streams;
#[path = "edge/corpus/strict.rs"]
mod strict;
#[path = "edge/corpus/table.rs"]
mod table;
#[path = "tls/world.rs"]
mod world;

const HTTP_11: &[u8] = b"http/1.1";
const KEY: &str = "x-api-key: sk\r\n";
