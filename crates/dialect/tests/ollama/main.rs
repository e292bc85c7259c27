//! The Ollama dialect, seen from outside.

mod embeddings;
mod listing;
mod properties;
mod request_in;
mod request_out;
mod response;
#[path = "../support/snapshot.rs"]
mod snapshot;
mod stream;

use dialect::Identity;

/// 2026-11-22T08:18:54Z, and an id that is easy to spot.
fn identity() -> Identity {
    Identity::new("x1", 1_795_335_534)
}
