//! What moves the bytes. A carrier reads the head, asks [`crate::exchange::Exchange`] what becomes of it, and does that.
//!
//! It may not look into a key, a rule or a mapping: everything it does follows from the exchange's answers. There are
//! two, and every end-to-end test runs over both: [`forward`], our own from the accepted socket to the server's, which is
//! what serves, HTTP/1.1 and HTTP/2; and [`pingora`], on pingora-proxy, for HTTP/1.1 where it is asked for.

mod discard;
pub(crate) mod forward;
pub(crate) mod pingora;
