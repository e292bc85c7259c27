//! What moves the bytes. A carrier reads the head, asks [`crate::exchange::Exchange`] what becomes of it, and does that.
//!
//! It may not look into a key, a rule or a mapping: everything it does follows from the exchange's answers. There are
//! two, and every end-to-end test runs over both: [`forward`] for HTTP/1.1, our own from the accepted socket to the
//! server's, where the traffic and the cost are; and [`pingora`], on pingora-proxy.

mod discard;
pub(crate) mod forward;
pub(crate) mod pingora;
mod rate;
