//! The edge over TLS, real sockets and certificates made on the spot: who is shown what, who is let in, what survives a
//! renewal, and that a stream is a stream under it.

#[path = "tls/back.rs"]
mod back;
#[path = "tls/front.rs"]
mod front;
#[path = "tls/http2.rs"]
mod http2;
#[path = "tls/pki.rs"]
mod pki;
#[path = "tls/streams.rs"]
mod streams;
#[path = "tls/world.rs"]
mod world;

const HTTP_11: &[u8] = b"http/1.1";
const KEY: &str = "x-api-key: sk\r\n";
