//! The endpoints that clients call, and how each is put to each kind of backend.

use bytes::Bytes;
use dialect::openai::responses::Echo;
use dialect::usage::Framing;
use dialect::{Dialect, Encoder, EncoderOptions, ollama, openai};

use crate::backend::BackendKind;

/// What a client calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/council/chat`: a chat completion by a council, whatever model it names.
    CouncilChat,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/responses`
    Responses,
    /// `/v1/messages`
    Messages,
    /// `/v1/messages/count_tokens`
    CountTokens,
    /// `/api/chat`
    OllamaChat,
    /// `/api/generate`
    OllamaGenerate,
    /// `/api/embed`
    OllamaEmbed,
    /// `/api/embeddings`
    OllamaEmbeddings,
}

/// A way in which one endpoint's request can be put to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The backend has the same endpoint: bytes pass as they came.
    Native(&'static str),
    /// Said in the backend's own dialect.
    Converted,
}

impl Endpoint {
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions | Self::CouncilChat | Self::Completions | Self::Embeddings | Self::Responses => {
                Dialect::OpenAi
            }
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::OllamaChat | Self::OllamaGenerate | Self::OllamaEmbed | Self::OllamaEmbeddings => Dialect::Ollama,
        }
    }

    /// As it is listed in the router.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::CouncilChat => "/v1/council/chat",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
            Self::OllamaChat => "/api/chat",
            Self::OllamaGenerate => "/api/generate",
            Self::OllamaEmbed => "/api/embed",
            Self::OllamaEmbeddings => "/api/embeddings",
        }
    }

    /// As OpenTelemetry's conventions for generative AI call what is done.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Completions | Self::OllamaGenerate => "text_completion",
            Self::Embeddings | Self::OllamaEmbed | Self::OllamaEmbeddings => "embeddings",
            Self::CountTokens => "count_tokens",
            _ => "chat",
        }
    }

    /// Whether an answer is a stream where the client does not say; `None` where it never is one.
    pub(super) fn streams_unasked(self) -> Option<bool> {
        match self {
            Self::ChatCompletions | Self::CouncilChat | Self::Completions | Self::Responses | Self::Messages => {
                Some(false)
            }
            Self::OllamaChat | Self::OllamaGenerate => Some(true),
            Self::Embeddings | Self::CountTokens | Self::OllamaEmbed | Self::OllamaEmbeddings => None,
        }
    }

    /// Whether the usage of a stream comes only if it is asked for.
    pub(super) fn asks_for_usage(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::CouncilChat | Self::Completions)
    }

    /// Ways to put it to a backend of this kind, the best first; none where that kind has nothing of the sort.
    pub(super) fn ways(self, kind: BackendKind) -> &'static [Way] {
        use BackendKind as Kind;
        match (self, kind) {
            (Self::ChatCompletions, Kind::OpenAi) => &[Way::Native("/v1/chat/completions")],
            (Self::Completions, Kind::OpenAi) => &[Way::Native("/v1/completions")],
            (Self::Embeddings, Kind::OpenAi) => &[Way::Native("/v1/embeddings")],
            // Not every server that speaks OpenAI's API has this younger part of it.
            (Self::Responses, Kind::OpenAi) => &[Way::Native("/v1/responses"), Way::Converted],
            (Self::Messages, Kind::Anthropic) => &[Way::Native("/v1/messages")],
            // llama.cpp and vLLM count as Anthropic does; nobody's tokenizer can be stood in for.
            (Self::CountTokens, Kind::Anthropic | Kind::OpenAi) => &[Way::Native("/v1/messages/count_tokens")],
            (Self::CountTokens, _) => &[],
            (Self::OllamaChat, Kind::Ollama) => &[Way::Native("/api/chat")],
            (Self::OllamaGenerate, Kind::Ollama) => &[Way::Native("/api/generate")],
            (Self::OllamaEmbed, Kind::Ollama) => &[Way::Native("/api/embed")],
            (Self::OllamaEmbeddings, Kind::Ollama) => &[Way::Native("/api/embeddings")],
            (Self::Embeddings | Self::OllamaEmbed | Self::OllamaEmbeddings, Kind::Anthropic) => &[],
            _ => &[Way::Converted],
        }
    }

    /// How an answer of this endpoint is divided.
    pub(super) fn framing(self, stream: bool) -> Framing {
        match (stream, self.dialect()) {
            (false, _) => Framing::Json,
            (true, Dialect::Ollama) => Framing::Ndjson,
            (true, _) => Framing::Sse,
        }
    }

    /// The client's side of a stream. `echo` is what the Responses API repeats of its request.
    pub(super) fn encoder(self, options: EncoderOptions, echo: Option<Echo>) -> Box<dyn Encoder + Send> {
        match self {
            Self::Completions => Box::new(openai::completions::Encoder::new(options)),
            Self::Responses => Box::new(openai::responses::Encoder::new(options, echo.unwrap_or_default())),
            Self::Messages | Self::CountTokens => Box::new(dialect::anthropic::stream::Encoder::new(options)),
            Self::OllamaChat => Box::new(ollama::stream::Encoder::new(options)),
            Self::OllamaGenerate => Box::new(ollama::stream::Encoder::for_endpoint(
                ollama::Endpoint::Generate,
                options,
            )),
            _ => Box::new(openai::stream::Encoder::new(options)),
        }
    }

    /// Ollama's two conversations.
    pub(super) fn ollama(self) -> ollama::Endpoint {
        match self {
            Self::OllamaGenerate => ollama::Endpoint::Generate,
            _ => ollama::Endpoint::Chat,
        }
    }

    /// What a client of this endpoint is told of a failure, as a whole body.
    pub(super) fn error_body(self, failure: &dialect::Failure, field: Option<&str>) -> Bytes {
        match self.dialect() {
            Dialect::OpenAi => openai::error::render_for_field(failure, field),
            Dialect::Anthropic => dialect::anthropic::error::render(failure),
            Dialect::Ollama => ollama::error::render(failure),
            Dialect::Gemini => dialect::gemini::error::render(failure),
        }
    }
}
