//! A request of our own for a model: it goes the way of a client's (fleet, choice, fallbacks, affinity, taps), and its
//! answer comes as events.
//!
//! ```text
//!  ChatRequest ──OpenAI's words──▶ Asked ──walk──▶ Response ──Decoder──▶ Event*
//! ```
//!
//! It is said in OpenAI's words on the way so that nothing of the way has to know of it. Dropping a [`Hearing`] drops
//! the backend's connection; an answer that is not whole ends with [`Event::Error`], never with [`Event::Done`].

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use dialect::chat::{Cost, Finish, Part, RenderOptions, Usage};
use dialect::usage::Framing;
use dialect::{ChatRequest, ChatResponse, Decoder, Event, Failure, FailureKind, Identity, StreamError, openai};
use traces::Begun;

use super::asked::{Asked, Told};
use super::bounded;
use super::endpoint::Endpoint;
use super::headers::{self, RequestId};
use super::trace::MemberSpan;
use super::{Branches, Gateway, now_s};
use crate::backend::BackendKind;
use crate::fleet::Status;

/// A failure's reason fits.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// A whole answer to one of ours: far more than a member may say.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// After its last event a body ends within a packet.
const END_PATIENCE: Duration = Duration::from_millis(100);

const SESSION: HeaderName = HeaderName::from_static("x-session-id");

/// Asks models on behalf of one client's request.
#[derive(Clone)]
pub(crate) struct Inquirer {
    gateway: Arc<Gateway>,
    caller: u64,
    request_id: RequestId,
    hops: HeaderMap,
    span: Option<Begun>,
    /// All of its inquiries are one conversation: a server that has read its beginning is asked again.
    session: HeaderMap,
    /// Where each inquiry is kept, as a part of its client's exchange.
    branches: Option<Branches>,
}

impl Inquirer {
    pub(super) fn of(gateway: &Arc<Gateway>, asked: &Asked, headers: &HeaderMap, branches: Option<Branches>) -> Self {
        let own = || HeaderValue::from_str(&asked.identity.id).ok();
        let session = super::affinity::session(headers).cloned().or_else(own);
        Self {
            gateway: Arc::clone(gateway),
            caller: asked.caller,
            request_id: asked.request_id.clone(),
            hops: asked.hops.clone(),
            span: asked.span.clone(),
            session: session.map(|session| (SESSION, session)).into_iter().collect(),
            branches,
        }
    }

    /// Asks; `part` names the inquiry among those of its client's request, in its id.
    ///
    /// # Errors
    /// Where nobody who serves the model answers, or the request cannot be put to them.
    pub(crate) async fn ask(&self, request: &ChatRequest, part: &str) -> Result<Hearing, Failure> {
        let body = openai::request::render(request, &RenderOptions::default());
        let body = body.map_err(|refusal| Failure::from(&refusal))?;
        let member = MemberSpan::begin(self.span.as_ref(), part, &request.model);
        let told = Told {
            request_id: self.request_id.part(part),
            caller: self.caller,
            created: now_s(),
            hops: self.hops.clone(),
            span: member.span().cloned(),
        };
        let mut kept = match &self.branches {
            Some(branches) => Some(
                branches
                    .begin(told.request_id.as_str(), &body)
                    .map_err(|_| not_kept())?,
            ),
            None => None,
        };
        let asked = Asked::read(Endpoint::ChatCompletions, &self.session, body, told);
        let asked = asked.map_err(super::Refusal::into_failure)?;
        let response = match (self.gateway.walk(&asked, &self.session).await, kept.take()) {
            (Ok(response), Some(kept)) => kept.follow(response),
            (Ok(response), None) => response,
            (Err(refusal), kept) => {
                if let Some(kept) = kept {
                    kept.ends_refused(refusal.reason());
                }
                return Err(refusal.into_failure());
            }
        };
        let mut hearing = Hearing::of(response, &asked.model).await?;
        hearing.member = Some(member);
        Ok(hearing)
    }

    /// The one model that can be meant where none is named: the only one, else the only one that is loaded.
    pub(crate) fn only_model(&self) -> Option<Arc<str>> {
        let view = self.gateway.fleet.view();
        let (mut all, mut loaded) = (BTreeSet::new(), BTreeSet::new());
        for backend in view.backends.iter().filter(|backend| backend.status != Status::Down) {
            for (id, model) in backend.models.iter() {
                all.insert(id);
                if model.loaded {
                    loaded.insert(id);
                }
            }
        }
        let only = |models: &BTreeSet<&Arc<str>>| match models.len() {
            1 => models.first().map(|id| Arc::clone(id)),
            _ => None,
        };
        only(&all).or_else(|| only(&loaded))
    }

    /// What an answer cost, where the configuration says what this backend's tokens do.
    pub(crate) fn cost(&self, model: &str, backend: Option<&str>, usage: &Usage) -> Option<Cost> {
        let view = self.gateway.fleet.view();
        let backend = view.backends.iter().find(|it| Some(&*it.spec.name) == backend)?;
        let named = model
            .strip_prefix(&*backend.spec.name)
            .and_then(|rest| rest.strip_prefix('/'));
        backend.spec.prices.cost(named.unwrap_or(model), usage)
    }

    /// Whether the model's servers keep a cache for each of their slots (llama.cpp's, and Ollama on it), so that requests
    /// at the same time each read their whole prompt, and only one after the other finds it read.
    pub(crate) fn caches_by_slot(&self, model: &str) -> bool {
        let view = self.gateway.fleet.view();
        let places = view.places(model).unwrap_or_default();
        let by_slot = |index: usize| {
            let backend = &view.backends[index];
            backend.slots.is_some() || backend.spec.kind == BackendKind::Ollama
        };
        places.iter().any(|place| by_slot(place.backend))
    }
}

/// An answer on its way.
pub(crate) struct Hearing {
    body: Body,
    decoder: Box<dyn Decoder + Send>,
    events: VecDeque<Event>,
    is_over: bool,
    /// Ends with the hearing.
    member: Option<MemberSpan>,
    /// The model that answers, as it was asked for or as its fallback is called.
    pub(crate) model: Arc<str>,
    /// The name of the backend that answers.
    pub(crate) backend: Option<Arc<str>>,
}

impl Hearing {
    async fn of(response: Response, model: &str) -> Result<Self, Failure> {
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            let told = bounded::whole(&mut body, ERROR_BYTES_MAX, None).await;
            return Err(dialect::failure::parse(head.status.as_u16(), &told.unwrap_or_default()));
        }
        let text = |name: &HeaderName| head.headers.get(name)?.to_str().ok().map(Arc::<str>::from);
        let mut hearing = Self {
            body: Body::empty(),
            decoder: Box::new(openai::stream::Decoder::new(Identity::default())),
            events: VecDeque::new(),
            is_over: false,
            member: None,
            model: text(&headers::FALLBACK_MODEL).unwrap_or_else(|| model.into()),
            backend: text(&headers::BACKEND),
        };
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.and_then(Framing::of_content_type) == Some(Framing::Json) {
            // A server that does not stream.
            let whole = bounded::whole(&mut body, ANSWER_BYTES_MAX, None).await;
            hearing.events = whole_answer(&whole.map_err(|_| Failure::cut())?)?.into();
            hearing.is_over = true;
        } else {
            hearing.body = body;
        }
        Ok(hearing)
    }

    /// What comes next; `None` after [`Event::Done`] or [`Event::Error`], one of which always comes.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        while self.events.is_empty() && !self.is_over {
            let mut events = Vec::new();
            let decoded = match bounded::piece(&mut self.body, None).await {
                Ok(Some(bytes)) => self.decoder.push(&bytes, &mut events),
                Ok(None) | Err(_) => {
                    self.is_over = true;
                    self.decoder.finish(&mut events)
                }
            };
            self.take(events, decoded);
        }
        let event = self.events.pop_front()?;
        if let Some(member) = &mut self.member {
            member.heard(&event);
        }
        if matches!(event, Event::Error(_) | Event::Done) {
            self.is_over = true;
            self.events.clear();
        }
        if event == Event::Done {
            // A body that is read to its end leaves its connection to the next request.
            let rest = bounded::whole(&mut self.body, ERROR_BYTES_MAX, None);
            let _nobody_waits_for_it = tokio::time::timeout(END_PATIENCE, rest).await;
        }
        Some(event)
    }

    fn take(&mut self, events: Vec<Event>, decoded: Result<(), StreamError>) {
        let is_told = |event: &Event| matches!(event, Event::Error(_));
        let told = events.iter().any(is_told);
        self.events.extend(events);
        if let (Err(error), false) = (decoded, told) {
            self.is_over = true;
            self.events.push_back(Event::Error(Failure::from(&error)));
        }
    }
}

fn not_kept() -> Failure {
    Failure::new(
        FailureKind::Overloaded,
        "requests are kept here, and the journal cannot take this one now",
    )
}

/// The events that a whole answer would have been.
fn whole_answer(body: &[u8]) -> Result<Vec<Event>, Failure> {
    let response: ChatResponse = openai::response::parse(body, &Identity::default()).map_err(|bad| {
        tracing::warn!(%bad, "a backend's answer cannot be read");
        Failure::cut()
    })?;
    if let Some(failure) = openai::response::failure(&response) {
        return Err(failure);
    }
    let mut events = Vec::new();
    for part in response.parts {
        match part {
            Part::Text(text) => events.push(Event::Text(text)),
            Part::Thinking { text, .. } => events.push(Event::Thinking(text)),
            _ => {}
        }
    }
    let finish: Finish = response.finish;
    events.push(Event::Finish {
        finish,
        stop_sequence: response.stop_sequence,
    });
    events.push(Event::Usage(response.usage));
    events.push(Event::Done);
    Ok(events)
}
