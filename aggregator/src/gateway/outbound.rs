//! The request that one backend is sent: the client's bytes with at most a name changed, or the same said in the
//! backend's own dialect. Pure.

use std::borrow::Cow;

use bytes::Bytes;
use dialect::chat::RenderOptions;
use dialect::signatures::Signatures;
use dialect::splice::Body;
use dialect::{ChatRequest, EmbeddingRequest, Unsupported, anthropic, gemini, ollama, openai};

use super::asked::{Asked, Parsed};
use super::setback::Setback;
use crate::backend::BackendKind;
use crate::fleet::Backend;

/// OpenAI's own service refuses `max_tokens`, which is all that everybody else's servers know.
const OPENAI_HOST: &str = "api.openai.com";

/// What is sent, and where below the backend's address.
pub(super) struct Outbound {
    pub(super) path: String,
    pub(super) body: Bytes,
}

impl Outbound {
    /// The bytes as they came, but for the model where the backend knows it by another name, and for the question
    /// after a stream's usage.
    pub(super) fn native(asked: &Asked, path: &'static str, model: &str) -> Result<Self, Setback> {
        let path = path.to_owned();
        let asks_usage = asked.stream && !asked.wants_usage;
        if asked.model == model && !asks_usage {
            return Ok(Self {
                path,
                body: asked.body.clone(),
            });
        }
        let mut body = Body::scan(&asked.body).map_err(|error| Setback::malformed(&error))?;
        if asked.model != model {
            body.set_model(model).map_err(|error| Setback::malformed(&error))?;
        }
        if asks_usage {
            body.ask_usage().map_err(|error| Setback::malformed(&error))?;
        }
        Ok(Self {
            path,
            body: body.apply().into(),
        })
    }

    /// The same, said in the backend's dialect.
    pub(super) fn converted(
        asked: &Asked,
        backend: &Backend,
        model: &str,
        signatures: &std::sync::Mutex<Signatures>,
    ) -> Result<Self, Setback> {
        let options = options(backend, model);
        let rendered = match asked.parsed().map_err(Setback::bad_request)? {
            Parsed::Chat(request) | Parsed::Responses(request, _) => {
                let signed = restored(asked, backend.spec.kind, request, signatures);
                chat(backend.spec.kind, signed.as_ref().unwrap_or(request), &options)
            }
            Parsed::Embedding(request) => embedding(backend.spec.kind, request, &options),
            Parsed::Load | Parsed::Unload => Err(Unsupported::new("messages", "must hold a message", "add one")),
        };
        rendered.map_err(|refusal| Setback::unsupported(&refusal))
    }
}

fn options(backend: &Backend, model: &str) -> RenderOptions {
    let version = backend
        .headers
        .get("anthropic-version")
        .and_then(|value| value.to_str().ok());
    RenderOptions {
        model: Some(model.to_owned()),
        anthropic_version: version.map(str::to_owned),
        max_completion_tokens: backend.spec.url.as_str().contains(OPENAI_HOST),
        ..RenderOptions::default()
    }
}

/// The request with the signatures that its client has no place for, where the backend asks for them.
fn restored(
    asked: &Asked,
    kind: BackendKind,
    request: &ChatRequest,
    signatures: &std::sync::Mutex<Signatures>,
) -> Option<ChatRequest> {
    let has_calls = || {
        request
            .messages
            .iter()
            .any(|message| message.role == dialect::chat::Role::Tool)
    };
    if !super::signs(kind) || !has_calls() {
        return None;
    }
    let mut request = request.clone();
    super::locked(signatures).restore(asked.caller, &mut request);
    Some(request)
}

fn chat(kind: BackendKind, request: &ChatRequest, options: &RenderOptions) -> Result<Outbound, Unsupported> {
    let (path, body) = match kind {
        BackendKind::OpenAi => (
            "/v1/chat/completions".to_owned(),
            openai::request::render(&streamed(request), options)?,
        ),
        BackendKind::Ollama => ("/api/chat".to_owned(), ollama::request::render(request, options)?),
        BackendKind::Anthropic => ("/v1/messages".to_owned(), anthropic::request::render(request, options)?),
        BackendKind::Gemini => {
            let method = match request.stream {
                true => gemini::request::Method::Stream,
                false => gemini::request::Method::Generate,
            };
            let model = options.model.as_deref().unwrap_or(&request.model);
            (
                gemini::request::path(model, method),
                gemini::request::render(request, options)?,
            )
        }
    };
    Ok(Outbound { path, body })
}

/// Asked as a stream also where the client wants a whole: llama.cpp notices that nobody listens any more when it writes,
/// and a whole answer it writes last.
fn streamed(request: &ChatRequest) -> Cow<'_, ChatRequest> {
    if request.stream {
        return Cow::Borrowed(request);
    }
    Cow::Owned(ChatRequest {
        stream: true,
        ..request.clone()
    })
}

fn embedding(kind: BackendKind, request: &EmbeddingRequest, options: &RenderOptions) -> Result<Outbound, Unsupported> {
    let (path, body) = match kind {
        BackendKind::OpenAi => (
            "/v1/embeddings".to_owned(),
            openai::embeddings::render_request(request, options)?,
        ),
        BackendKind::Ollama => (
            "/api/embed".to_owned(),
            ollama::embeddings::render_request(request, options)?,
        ),
        BackendKind::Gemini => {
            let model = options.model.as_deref().unwrap_or(&request.model);
            (
                gemini::embeddings::path(model),
                gemini::embeddings::render_request(request, options)?,
            )
        }
        BackendKind::Anthropic => return Err(Unsupported::no_counterpart(dialect::Dialect::Anthropic, "input")),
    };
    Ok(Outbound { path, body })
}
