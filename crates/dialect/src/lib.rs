//! Four dialects of the same conversation, and the pure conversions between them.
//!
//! ```text
//!  client's bytes ──request::parse──▶ ChatRequest ──request::render──▶ backend's bytes
//!  client's bytes ◀─response::render─ ChatResponse ◀──response::parse─ backend's bytes
//!  client's bytes ◀─────Encoder────── Event* ◀─────────Decoder──────── backend's bytes
//!  client's bytes ◀──error::render─── Failure ◀────────error::parse─── backend's bytes
//! ```
//!
//! Every dialect's module has the same rooms:
//! - `request::{parse(&[u8]) -> Result<ChatRequest, BadRequest>, render(&ChatRequest, &RenderOptions) -> Result<Bytes, Unsupported>}`
//! - `response::{parse(&[u8], &Identity) -> Result<ChatResponse, BadResponse>, render(&ChatResponse) -> Bytes}`
//! - `stream::{Decoder::new(Identity), Encoder::new(EncoderOptions)}`, which are a [`Decoder`] and an [`Encoder`]
//! - `error::{render(&Failure) -> Bytes, parse(status, &[u8]) -> Failure}`
//!
//! Owns every wire shape. Refuses all input and output: no clock, no randomness, no socket; what a conversion needs
//! of the world (an id, a time) comes in as an [`Identity`]. Same dialect in and out never passes through here except
//! for [`splice`], [`usage`] and the framings: the bytes are the caller's.
//!
//! Invariants: what a dialect cannot express is an [`Unsupported`] that names the field, never dropped in silence; a
//! stream that is cut anywhere never ends cleanly.

pub mod anthropic;
mod base64;
pub mod chat;
mod convert;
pub mod embedding;
pub mod error;
pub mod failure;
pub mod gemini;
pub mod json;
pub mod ndjson;
pub mod ollama;
pub mod openai;
pub mod signatures;
pub mod splice;
pub mod sse;
pub mod stream;
pub mod think;
pub mod usage;

pub use chat::{ChatRequest, ChatResponse, Event};
pub use embedding::{EmbeddingRequest, EmbeddingResponse};
pub use error::{BadRequest, BadResponse, Failure, FailureKind, Problem, StreamError, Unsupported};
pub use json::Json;
pub use stream::{Decoder, Encoder, EncoderOptions, Identity};

/// A provider's way of writing a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    OpenAi,
    Ollama,
    Anthropic,
    Gemini,
}

impl Dialect {
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Ollama, Self::Anthropic, Self::Gemini];

    /// The name as it is written to people.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI",
            Self::Ollama => "Ollama",
            Self::Anthropic => "Anthropic",
            Self::Gemini => "Gemini",
        }
    }
}
