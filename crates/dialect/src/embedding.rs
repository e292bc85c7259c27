//! Embeddings as no dialect writes them.
//!
//! Owns the meaning of the fields, as [`crate::chat`] does for conversations. Texts only: token arrays mean nothing to
//! another provider's tokenizer.

use std::fmt;

use crate::Json;
use crate::error::Unsupported;

#[derive(Clone, PartialEq, Default)]
pub struct EmbeddingRequest {
    pub model: String,
    /// In order; the answer has as many vectors.
    pub inputs: Vec<String>,
    pub dimensions: Option<u64>,
    /// The client wants each vector as base64 of little-endian `f32` (OpenAI).
    pub base64: bool,
    /// Cut an input that is too long rather than refuse it (Ollama).
    pub truncate: Option<bool>,
    pub keep_alive: Option<Json>,
    pub user: Option<String>,
    pub extra: Vec<(String, Json)>,
    pub inexpressible: Vec<Unsupported>,
}

#[derive(Clone, PartialEq, Default)]
pub struct EmbeddingResponse {
    pub model: String,
    pub vectors: Vec<Vec<f32>>,
    pub input_tokens: Option<u64>,
}

impl EmbeddingRequest {
    /// Refuses what was noted when the request was parsed. Every renderer asks this first.
    pub fn expressible(&self) -> Result<(), Unsupported> {
        self.inexpressible.first().map_or(Ok(()), |first| Err(first.clone()))
    }
}

impl fmt::Debug for EmbeddingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddingRequest({}, {} inputs)", self.model, self.inputs.len())
    }
}

impl fmt::Debug for EmbeddingResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddingResponse({}, {} vectors)", self.model, self.vectors.len())
    }
}
