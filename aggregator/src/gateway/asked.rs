//! What a client asks: its bytes, what of them every request must show (model, stream), and the whole of it, parsed
//! once and only when a backend of another dialect is to be asked.

use std::sync::OnceLock;

use axum::http::header::{HeaderMap, HeaderName};
use bytes::Bytes;
use dialect::openai::responses::Echo;
use dialect::splice::{self, SpliceError};
use dialect::{BadRequest, ChatRequest, EmbeddingRequest, Failure, FailureKind, Identity, anthropic, ollama, openai};

use super::endpoint::Endpoint;
use super::refusal::Refusal;

/// Headers that a backend of the client's own dialect is told: the body is written for them.
const CARRIED: [&str; 2] = ["anthropic-version", "anthropic-beta"];

/// One request for a model's answer.
pub(super) struct Asked {
    pub(super) endpoint: Endpoint,
    pub(super) body: Bytes,
    /// As the client wrote it.
    pub(super) model: String,
    pub(super) stream: bool,
    /// The client asked for the usage of its stream.
    pub(super) wants_usage: bool,
    /// Of the client's headers, those that belong to its dialect.
    pub(super) carried: HeaderMap,
    /// The gateways and proxies that it came through.
    pub(super) hops: HeaderMap,
    pub(super) identity: Identity,
    /// Its place in its trace, where that is kept.
    pub(super) span: Option<traces::Begun>,
    pub(super) request_id: super::headers::RequestId,
    /// Whose request it is: signatures of one caller's conversations are not for another's.
    pub(super) caller: u64,
    parsed: OnceLock<Result<Parsed, BadRequest>>,
}

/// What the gateway adds to a request.
pub(super) struct Told {
    pub(super) request_id: super::headers::RequestId,
    pub(super) caller: u64,
    /// Now, in seconds since 1970.
    pub(super) created: u64,
    pub(super) hops: HeaderMap,
    pub(super) span: Option<traces::Begun>,
}

/// A request as no dialect writes it.
pub(super) enum Parsed {
    Chat(Box<ChatRequest>),
    /// With what its answer repeats.
    Responses(Box<ChatRequest>, Box<Echo>),
    /// Ollama's empty requests: have the model in memory, or let it go.
    Load,
    Unload,
    Embedding(Box<EmbeddingRequest>),
}

impl Asked {
    /// # Errors
    /// Where the body is no object, or does not name one model.
    pub(super) fn read(endpoint: Endpoint, headers: &HeaderMap, body: Bytes, told: Told) -> Result<Self, Refusal> {
        let Told {
            request_id,
            caller,
            created,
            hops,
            span,
        } = told;
        let scanned = splice::Body::scan(&body).map_err(|error| malformed(&error))?;
        let model = match scanned.model().map_err(|error| malformed(&error))? {
            Some(model) if !model.is_empty() => model,
            _ => return Err(no_model()),
        };
        let asks_stream = scanned.stream().map_err(|error| malformed(&error))?;
        let stream = endpoint
            .streams_unasked()
            .is_some_and(|unasked| asks_stream.unwrap_or(unasked));
        let wants_usage = !endpoint.asks_for_usage() || scanned.include_usage().map_err(|error| malformed(&error))?;
        let carried = CARRIED.iter().filter_map(|name| {
            let value = headers.get(*name)?.clone();
            Some((HeaderName::from_static(name), value))
        });
        Ok(Self {
            endpoint,
            model,
            stream,
            wants_usage,
            carried: carried.collect(),
            hops,
            span,
            identity: Identity::new(super::headers::fresh_id(), created),
            request_id,
            caller,
            parsed: OnceLock::new(),
            body,
        })
    }

    /// The whole request.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(super) fn parsed(&self) -> Result<&Parsed, &BadRequest> {
        self.parsed.get_or_init(|| parse(self.endpoint, &self.body)).as_ref()
    }

    /// What the Responses API repeats in its answer.
    pub(super) fn echo(&self) -> Option<Echo> {
        match self.parsed.get() {
            Some(Ok(Parsed::Responses(_, echo))) => Some((**echo).clone()),
            _ => None,
        }
    }
}

fn parse(endpoint: Endpoint, body: &[u8]) -> Result<Parsed, BadRequest> {
    let chat = |request| Parsed::Chat(Box::new(request));
    let embedding = |request| Parsed::Embedding(Box::new(request));
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::CouncilChat => openai::request::parse(body).map(chat),
        Endpoint::Completions => openai::completions::parse(body).map(chat),
        Endpoint::Responses => {
            openai::responses::parse(body).map(|(request, echo)| Parsed::Responses(Box::new(request), Box::new(echo)))
        }
        Endpoint::Messages => anthropic::request::parse(body).map(chat),
        Endpoint::CountTokens => anthropic::request::parse_count_tokens(body).map(chat),
        Endpoint::OllamaChat | Endpoint::OllamaGenerate => {
            ollama::request::read(endpoint.ollama(), body).map(|asked| match asked {
                ollama::request::Asked::Chat(request) => Parsed::Chat(request),
                ollama::request::Asked::Load { .. } => Parsed::Load,
                ollama::request::Asked::Unload { .. } => Parsed::Unload,
            })
        }
        Endpoint::Embeddings => openai::embeddings::parse_request(body).map(embedding),
        Endpoint::OllamaEmbed => ollama::embeddings::parse_request(body).map(embedding),
        Endpoint::OllamaEmbeddings => ollama::embeddings::parse_request_single(body).map(embedding),
    }
}

fn malformed(error: &SpliceError) -> Refusal {
    let field = match error {
        SpliceError::NotAnObject => None,
        SpliceError::Twice(name) => Some(name.clone()),
        SpliceError::WrongType(name) => Some((*name).to_owned()),
    };
    Refusal::new(Failure::new(FailureKind::InvalidRequest, error.to_string())).at(field)
}

fn no_model() -> Refusal {
    let message = "model: must name a model; found none; name one that GET /v1/models lists";
    Refusal::new(Failure::new(FailureKind::InvalidRequest, message)).at(Some("model".to_owned()))
}
