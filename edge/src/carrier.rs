//! What moves the bytes. A carrier reads the head, asks [`crate::exchange::Exchange`] what becomes of it, and does that.
//!
//! It may not look into a key, a rule or a mapping: everything it does follows from the exchange's answers.

pub(crate) mod pingora;
