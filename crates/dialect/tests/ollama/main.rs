//! The Ollama dialect, seen from outside.

#[path = "../support/backend.rs"]
mod backend;
#[path = "../support/decoding.rs"]
mod decoding;
mod embeddings;
mod listing;
mod request_in;
mod request_out;
mod response;
#[path = "../support/snapshot.rs"]
mod snapshot;
mod stream;
