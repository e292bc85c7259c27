//! What is counted of handshakes and of files taken in.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a client's handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    Complete,
    /// Either side did not like what the other showed.
    Failed,
    /// The client left before it said anything.
    Gone,
    TooSlow,
    /// Turned away: so many others are under way.
    TooMany,
    /// It spoke HTTP without TLS.
    Plain,
    /// An authority looked whether a name leads here.
    Challenge,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    handshakes: [AtomicU64; RESULTS.len()],
    /// Files that were taken in after the start.
    pub(crate) reloads: AtomicU64,
    /// Changed files that could not be used.
    pub(crate) reload_failures: AtomicU64,
    /// Certificates that an authority issued.
    pub(crate) orders_complete: AtomicU64,
    /// Orders that ended without one.
    pub(crate) orders_failed: AtomicU64,
}

/// In the order of [`Handshake`].
const RESULTS: [&str; 7] = [
    "complete",
    "failed",
    "gone",
    "too_slow",
    "too_many",
    "plain_http",
    "acme_challenge",
];

impl Tally {
    pub(super) fn count(&self, handshake: Handshake) {
        self.handshakes[handshake as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// By result.
    pub(crate) fn handshakes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.handshakes.iter().map(|count| count.load(Ordering::Relaxed));
        RESULTS.into_iter().zip(counts)
    }
}
