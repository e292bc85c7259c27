//! A council's answer on its way to a client, in the client's dialect.
//!
//! ```text
//!  hyper ──poll_frame──▶ Deliberation ──poll──▶ council::deliberate ──▶ models
//!                             │  ◀──────Word*──────┘
//!                             └─▶ Encoder: thinking = who says what, text = the answer
//! ```
//!
//! As with a model's answer, nothing is read ahead of the client, dropping the body drops every connection to a model,
//! and a stream that fails ends with the dialect's error event and a cut. The status waits for a model's first word, so
//! that a council nobody can hold is refused with one, but not for long.

mod stream;
mod table;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dialect::chat::{Finish, Part};
use dialect::splice::Body;
use dialect::{ChatRequest, ChatResponse, Failure, ollama};
use serde_json::Value;
use tokio::sync::mpsc::unbounded_channel;

use super::asked::{Asked, Parsed};
use super::endpoint::Endpoint;
use super::exchange::render_chat;
use super::inquiry::Inquirer;
use super::refusal::Refusal;
use super::{Branches, Gateway};
use crate::council::{DEFAULT_TEMPLATE, Given, PREFIX, Refused, Sitting, Transcript, Word, deliberate};
use stream::streamed;
use table::{Moved, Table};

/// A council needs no model's name where it is asked for as one: there the body gets the name of the council itself.
pub(super) fn with_model(endpoint: Endpoint, body: Bytes) -> Bytes {
    if endpoint != Endpoint::CouncilChat {
        return body;
    }
    let named = |body: &Bytes| {
        let mut scanned = Body::scan(body).ok()?;
        if scanned.model().ok()?.is_some() {
            return None;
        }
        let name = format!("{PREFIX}{DEFAULT_TEMPLATE}");
        scanned.set_model(&name).ok()?;
        Some(Bytes::from(scanned.apply()))
    };
    // What is wrong with it otherwise is told where it is read.
    named(&body).unwrap_or(body)
}

impl Gateway {
    /// Whether a council is to answer: by its endpoint, or by the model's name.
    pub(super) fn is_for_council(&self, asked: &Asked) -> bool {
        let converses = asked.endpoint.streams_unasked().is_some();
        asked.endpoint == Endpoint::CouncilChat || converses && self.council.is_meant(&asked.model)
    }

    /// Holds the council that is asked for.
    pub(super) async fn convene(
        self: &Arc<Self>,
        asked: Asked,
        headers: &HeaderMap,
        branches: Option<Branches>,
    ) -> Result<Response, Refusal> {
        let request = match asked.parsed().map_err(|bad| Refusal::new(Failure::from(bad)))? {
            Parsed::Chat(request) | Parsed::Responses(request, _) => request,
            Parsed::Load => {
                return Ok(whole(ollama::response::loaded(
                    asked.endpoint.ollama(),
                    &asked.model,
                    asked.identity.created,
                )));
            }
            Parsed::Unload => {
                return Ok(whole(ollama::response::unloaded(
                    asked.endpoint.ollama(),
                    &asked.model,
                    asked.identity.created,
                )));
            }
            Parsed::Embedding(_) => return Err(crate::choice::ChoiceError::UnknownModel.into()),
        };
        let inquirer = Inquirer::of(self, &asked, headers, branches);
        // Who sits by default may be the fleet's only model.
        self.catalogue.ready().await;
        let sitting = Arc::new(self.plan(&asked, request, &inquirer)?);
        tracing::debug!(request_id = asked.request_id.as_str(), template = %sitting.template.name, "a council sits");
        let (to, words) = unbounded_channel();
        let work = deliberate(Arc::clone(&sitting), inquirer, to);
        let table = Table::new(work, words);
        match asked.stream {
            true => streamed(table, &asked, sitting).await,
            false => collected(table, &asked, &sitting).await,
        }
    }

    fn plan(&self, asked: &Asked, request: &ChatRequest, inquirer: &Inquirer) -> Result<Sitting, Refusal> {
        let library = self.council.templates.load();
        let settings = self.council.settings.load();
        let request = ChatRequest {
            stream: asked.stream,
            ..request.clone()
        };
        let given = Given {
            library: &library,
            settings: &settings.council,
            only_model: &|| inquirer.only_model(),
            id: &asked.identity.id,
            // 122 bits of it are random, and nobody is told before the council has ended.
            seed: uuid::Uuid::new_v4().simple().to_string(),
        };
        Sitting::plan(&request, given).map_err(|refused| refusal(refused, asked.endpoint))
    }
}

fn refusal(refused: Refused, endpoint: Endpoint) -> Refusal {
    let Refused { failure, field, code } = refused;
    let refusal = Refusal::new(failure).at(field);
    match code.filter(|_| endpoint.dialect() == dialect::Dialect::OpenAi) {
        Some(code) => refusal.coded(code),
        None => refusal,
    }
}

/// One document, once all is said.
async fn collected(mut table: Table, asked: &Asked, sitting: &Sitting) -> Result<Response, Refusal> {
    let mut answer = String::new();
    let ended = loop {
        match table.next().await {
            Some(Moved::Said(Word::Answer(text))) => answer.push_str(&text),
            Some(Moved::Said(_)) => {}
            Some(Moved::Ended(ended)) => break ended,
            None => break Err(Failure::cut()),
        }
    };
    let transcript = ended.map_err(|failure| Refusal::new(failure).spent(None))?;
    let response = ChatResponse {
        id: response_id(asked),
        model: asked.model.clone(),
        created: asked.identity.created,
        parts: vec![Part::Text(answer)],
        finish: finish(&transcript),
        usage: transcript.usage,
        ..ChatResponse::default()
    };
    let document = render_chat(asked.endpoint, &response, asked.echo(), &asked.identity);
    Ok(whole(with_field(document, "council", &transcript.record(sitting))))
}

fn finish(transcript: &Transcript) -> Finish {
    if transcript.is_cut {
        Finish::Length
    } else {
        Finish::Stop
    }
}

/// As the dialect's own ids are made.
fn response_id(asked: &Asked) -> String {
    match asked.endpoint {
        Endpoint::Messages => format!("msg_{}", asked.identity.id),
        Endpoint::Completions => format!("cmpl-{}", asked.identity.id),
        Endpoint::Responses => String::new(),
        _ => format!("chatcmpl-{}", asked.identity.id),
    }
}

/// The document with one more field at its end.
fn with_field(document: Bytes, name: &str, value: &Value) -> Bytes {
    let Some(open) = document.trim_ascii_end().strip_suffix(b"}") else {
        return document;
    };
    let mut out = open.to_vec();
    out.extend_from_slice(format!(",\"{name}\":{value}}}").as_bytes());
    out.into()
}

fn whole(document: Bytes) -> Response {
    (
        StatusCode::OK,
        [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        document,
    )
        .into_response()
}
