//! The Gemini dialect, seen from outside.

mod embeddings;
mod properties;
mod request;
mod response;
#[path = "../support/snapshot.rs"]
mod snapshot;
mod stream;

use dialect::Identity;

fn identity() -> Identity {
    Identity::new("x1", 1_795_335_534)
}
