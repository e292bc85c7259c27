//! The Gemini dialect, seen from outside.

#[path = "../support/backend.rs"]
mod backend;
#[path = "../support/decoding.rs"]
mod decoding;
mod embeddings;
mod request;
mod response;
#[path = "../support/snapshot.rs"]
mod snapshot;
mod stream;
