//! The Ollama dialect, both ways: `/api/chat` and `/api/generate` as clients ask them, `/api/chat` as backends are
//! asked, NDJSON streams, embeddings, and the answers about models that Ollama's clients expect.
//!
//! What is particular here: durations in nanoseconds, times with nanoseconds, tool arguments as objects, tool results
//! that name the tool and often no call, streaming unless told otherwise, and a model that is loaded or unloaded by an
//! empty request ([`request::Asked`]).

pub mod embeddings;
pub mod error;
pub mod known;
pub mod listing;
pub mod request;
pub mod response;
pub mod stream;

mod line;
mod time;

/// Which of its two conversations a client holds. They are answered in different shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Endpoint {
    /// `/api/chat`
    #[default]
    Chat,
    /// `/api/generate`
    Generate,
}
