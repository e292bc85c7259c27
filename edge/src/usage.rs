//! Tokens of a request and its answer, counted as the answer passes.
//!
//! ```text
//!  path ──▶ Endpoint (dialect, kind)                          which words tell of tokens
//!  answer's bytes ──▶ Meter ─┬─ what the server tells: usage, else llama.cpp's timings
//!                            └─ Events: how many pieces of content passed, where nobody tells
//! ```
//!
//! Owns the counting; refuses the bytes: they go on as they came. While a stream runs its events are charged as they
//! pass, one token each; what the server tells at the end corrects that. An answer that failed counts nothing.

mod endpoint;
mod events;
mod meter;

pub(crate) use endpoint::Endpoint;
pub(crate) use events::Events;
pub(crate) use meter::Meter;
