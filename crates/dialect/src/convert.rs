//! The backend's side of every conversation, by its dialect: what a caller that holds a [`Dialect`] needs.
//!
//! The client's side is not here: which of a dialect's endpoints was called decides there, and its module is named.

use bytes::Bytes;

use crate::chat::{ChatRequest, ChatResponse, RenderOptions};
use crate::error::{BadResponse, Failure, Unsupported};
use crate::stream::{Decoder, Identity};
use crate::{Dialect, anthropic, gemini, ollama, openai};

impl Dialect {
    /// The body for a backend that speaks this dialect.
    ///
    /// # Errors
    /// The first field it has no counterpart for.
    pub fn render_request(self, request: &ChatRequest, options: &RenderOptions) -> Result<Bytes, Unsupported> {
        match self {
            Self::OpenAi => openai::request::render(request, options),
            Self::Ollama => ollama::request::render(request, options),
            Self::Anthropic => anthropic::request::render(request, options),
            Self::Gemini => gemini::request::render(request, options),
        }
    }

    /// A backend's whole answer.
    ///
    /// # Errors
    /// Where the body is not what the dialect says.
    pub fn parse_response(self, body: &[u8], identity: &Identity) -> Result<ChatResponse, BadResponse> {
        match self {
            Self::OpenAi => openai::response::parse(body, identity),
            Self::Ollama => ollama::response::parse(body, identity),
            Self::Anthropic => anthropic::response::parse(body, identity),
            Self::Gemini => gemini::response::parse(body, identity),
        }
    }

    /// For a backend's stream.
    pub fn decoder(self, identity: Identity) -> Box<dyn Decoder + Send> {
        match self {
            Self::OpenAi => Box::new(openai::stream::Decoder::new(identity)),
            Self::Ollama => Box::new(ollama::stream::Decoder::new(identity)),
            Self::Anthropic => Box::new(anthropic::stream::Decoder::new(identity)),
            Self::Gemini => Box::new(gemini::stream::Decoder::new(identity)),
        }
    }

    /// A backend's refusal, of any status.
    pub fn parse_error(self, status: u16, body: &[u8]) -> Failure {
        match self {
            Self::OpenAi => openai::error::parse(status, body),
            Self::Ollama => ollama::error::parse(status, body),
            Self::Anthropic => anthropic::error::parse(status, body),
            Self::Gemini => gemini::error::parse(status, body),
        }
    }
}
