//! A whole answer, said anew in the client's dialect.

use axum::http::StatusCode;
use bytes::Bytes;
use dialect::{ChatResponse, FailureKind, anthropic, gemini, ollama, openai};

use super::open::broke_off;
use super::{Answer, Exchange};
use crate::backend::BackendKind;
use crate::gateway::asked::Parsed;
use crate::gateway::bounded::{self, BodyError};
use crate::gateway::endpoint::Endpoint;
use crate::gateway::setback::Setback;
use crate::gateway::{locked, signs};

/// An answer that is read whole before it is said anew: half a million words, or some thousand long vectors.
const ANSWER_BYTES_MAX: usize = 64 << 20;

impl Exchange<'_> {
    pub(super) async fn convert_whole(&self, mut upstream: reqwest::Body) -> Result<Answer, Setback> {
        let silence = self.attempt.backend.spec.timeout;
        let body = bounded::whole(&mut upstream, ANSWER_BYTES_MAX, silence)
            .await
            .map_err(|error| match error {
                BodyError::TooLong => Setback::failed(FailureKind::Api, "the backend's answer is longer than 64 MiB"),
                BodyError::Silent => Setback::failed(FailureKind::Timeout, "the backend fell silent in its answer"),
                BodyError::Broken => broke_off(),
            })?;
        let rendered = match self.asked.parsed().map_err(Setback::bad_request)? {
            Parsed::Embedding(request) => self.embedding(&body, request.base64)?,
            _ => {
                let response = self.response(&body)?;
                match openai::response::failure(&response) {
                    Some(failure) => return self.told(failure),
                    None => self.chat(response),
                }
            }
        };
        Ok(Answer::Whole(StatusCode::OK, rendered))
    }

    fn response(&self, body: &[u8]) -> Result<ChatResponse, Setback> {
        let identity = &self.asked.identity;
        let parsed = match self.kind() {
            BackendKind::OpenAi => openai::response::parse(body, identity),
            BackendKind::Ollama => ollama::response::parse(body, identity),
            BackendKind::Anthropic => anthropic::response::parse(body, identity),
            BackendKind::Gemini => gemini::response::parse(body, identity),
        };
        let mut response: ChatResponse = parsed.map_err(|bad| unreadable(&bad))?;
        if response.model.is_empty() {
            response.model = self.attempt.model.to_string();
        }
        Ok(response)
    }

    fn chat(&self, response: ChatResponse) -> Bytes {
        let identity = &self.asked.identity;
        if signs(self.kind()) {
            locked(&self.gateway.signatures).remember(self.asked.caller, &response);
        }
        match self.asked.endpoint {
            Endpoint::Completions => openai::completions::render(&response),
            Endpoint::Responses => {
                openai::responses::render(&response, &self.asked.echo().unwrap_or_default(), identity)
            }
            Endpoint::Messages => anthropic::response::render(&response),
            Endpoint::OllamaChat | Endpoint::OllamaGenerate => {
                ollama::response::render_for(self.asked.endpoint.ollama(), &response)
            }
            _ => openai::response::render(&response),
        }
    }

    fn embedding(&self, body: &[u8], base64: bool) -> Result<Bytes, Setback> {
        let parsed = match self.kind() {
            BackendKind::Ollama => ollama::embeddings::parse_response(body),
            BackendKind::Gemini => gemini::embeddings::parse_response(body),
            BackendKind::OpenAi | BackendKind::Anthropic => openai::embeddings::parse_response(body),
        };
        let mut response = parsed.map_err(|bad| unreadable(&bad))?;
        if response.model.is_empty() {
            response.model = self.attempt.model.to_string();
        }
        Ok(render_embedding(self.asked.endpoint, &response, base64))
    }
}

pub(super) fn render_embedding(endpoint: Endpoint, response: &dialect::EmbeddingResponse, base64: bool) -> Bytes {
    match endpoint {
        Endpoint::OllamaEmbed => ollama::embeddings::render_response(response),
        Endpoint::OllamaEmbeddings => ollama::embeddings::render_response_single(response),
        _ => openai::embeddings::render_response(response, base64),
    }
}

fn unreadable(bad: &dialect::BadResponse) -> Setback {
    tracing::warn!(%bad, "a backend's answer cannot be read");
    Setback::failed(FailureKind::Api, "the backend's answer cannot be read")
}
