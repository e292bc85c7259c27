//! A whole answer, said anew in the client's dialect.

use axum::http::StatusCode;
use bytes::Bytes;
use dialect::chat::{Usage, collect};
use dialect::openai::responses::Echo;
use dialect::{ChatResponse, FailureKind, Identity, anthropic, gemini, ollama, openai};

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
                BodyError::TooLong => too_long(),
                BodyError::Silent => Setback::failed(FailureKind::Timeout, "the backend fell silent in its answer"),
                BodyError::Broken => broke_off(),
            })?;
        let rendered = match self.asked.parsed().map_err(Setback::bad_request)? {
            Parsed::Embedding(request) => self.embedding(&body, request.base64)?,
            _ => return self.answered(self.response(&body)?),
        };
        Ok(Answer::Whole(StatusCode::OK, rendered))
    }

    /// The same of a backend that was asked to stream.
    pub(super) async fn convert_collected(&self, mut upstream: reqwest::Body) -> Result<Answer, Setback> {
        let mut decoder = self.decoder();
        let mut events = Vec::new();
        let mut bytes_left = ANSWER_BYTES_MAX;
        loop {
            let piece = self.heard(bounded::piece(&mut upstream, None)).await?;
            let Some(bytes) = piece.map_err(|_| broke_off())? else {
                break;
            };
            bytes_left = bytes_left.checked_sub(bytes.len()).ok_or_else(too_long)?;
            if let Err(error) = decoder.push(&bytes, &mut events) {
                tracing::debug!(%error, "a backend's stream cannot be read on");
                break;
            }
        }
        // Whatever was wrong shows here again, and a stream without its end is none.
        let finished = decoder.finish(&mut events);
        match (collect(&events), finished) {
            (Ok(mut response), Ok(())) => {
                response.created = self.asked.identity.created;
                self.answered(response)
            }
            (Err(failure), _) => self.told(failure),
            (Ok(_), Err(_)) => Err(broke_off()),
        }
    }

    fn answered(&self, response: ChatResponse) -> Result<Answer, Setback> {
        self.measure.used(response.usage);
        match openai::response::failure(&response) {
            Some(failure) => self.told(failure),
            None => Ok(Answer::Whole(StatusCode::OK, self.chat(response))),
        }
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
        render_chat(self.asked.endpoint, &response, self.asked.echo(), identity)
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
        self.measure.used(Usage {
            input: response.input_tokens,
            ..Usage::default()
        });
        Ok(render_embedding(self.asked.endpoint, &response, base64))
    }
}

/// An answer as a client of this endpoint reads it. `echo` is what the Responses API repeats of its request.
pub(in crate::gateway) fn render_chat(
    endpoint: Endpoint,
    response: &ChatResponse,
    echo: Option<Echo>,
    identity: &Identity,
) -> Bytes {
    match endpoint {
        Endpoint::Completions => openai::completions::render(response),
        Endpoint::Responses => openai::responses::render(response, &echo.unwrap_or_default(), identity),
        Endpoint::Messages => anthropic::response::render(response),
        Endpoint::OllamaChat | Endpoint::OllamaGenerate => ollama::response::render_for(endpoint.ollama(), response),
        _ => openai::response::render(response),
    }
}

pub(super) fn render_embedding(endpoint: Endpoint, response: &dialect::EmbeddingResponse, base64: bool) -> Bytes {
    match endpoint {
        Endpoint::OllamaEmbed => ollama::embeddings::render_response(response),
        Endpoint::OllamaEmbeddings => ollama::embeddings::render_response_single(response),
        _ => openai::embeddings::render_response(response, base64),
    }
}

fn too_long() -> Setback {
    Setback::failed(FailureKind::Api, "the backend's answer is longer than 64 MiB")
}

fn unreadable(bad: &dialect::BadResponse) -> Setback {
    tracing::warn!(%bad, "a backend's answer cannot be read");
    Setback::failed(FailureKind::Api, "the backend's answer cannot be read")
}
