//! Streams of every dialect, decoded.

use dialect::{Dialect, Event, Identity, StreamError};

/// 2026-11-22T08:18:54Z, and an id that is easy to spot.
pub(crate) fn identity() -> Identity {
    Identity::new("x1", 1_795_335_534)
}

pub(crate) fn decode(dialect: Dialect, bytes: &[u8]) -> (Vec<Event>, Result<(), StreamError>) {
    let (mut decoder, mut events) = (dialect.decoder(identity()), Vec::new());
    let outcome = decoder
        .push(bytes, &mut events)
        .and_then(|()| decoder.finish(&mut events));
    (events, outcome)
}
