//! What moves the bytes. A carrier reads the head, asks [`crate::exchange::Exchange`] what becomes of it, and does that.
//!
//! It may not look into a key, a rule or a mapping: everything it does follows from the exchange's answers. There are
//! two, and every end-to-end test runs over both: [`forward`] for HTTP/1.1, on pingora-core alone, where the traffic and
//! the cost are; and [`pingora`], on pingora-proxy.

mod answer;
mod body;
pub(crate) mod forward;
mod head;
pub(crate) mod pingora;
