//! Inference: a client's request in its dialect → a backend's answer in that same dialect, whoever serves the model.
//!
//! ```text
//!  bytes ──Asked──▶ model ──Fleet──▶ Attempt ──Outbound──▶ backend ──judged──▶ Relay ──▶ Flow ──▶ client
//!                             ▲                                 │
//!                             └────────────── next ◀────────────┘ Setback, before the first byte
//! ```
//!
//! It owns the way of a request; who is asked is `choice`'s to say, what words mean is `dialect`'s. Invariants: after
//! the first byte nothing is asked again; a stream that is not whole never ends cleanly; when the client goes, so does
//! the backend's connection; a client's key is never sent to a backend, nor a backend's to a client.

mod affinity;
mod asked;
mod bounded;
mod deliberation;
mod describe;
mod endpoint;
mod exchange;
mod first_token;
mod flow;
mod guard;
mod headers;
mod inquiry;
mod measure;
mod missing;
mod named;
mod outbound;
mod redact;
mod refusal;
mod relay;
mod setback;
mod tap;
mod trace;

pub(crate) use endpoint::Endpoint;
pub(crate) use guard::{Admitted, Guard};
pub(crate) use inquiry::Inquirer;
pub use tap::CaptureConfig;
pub(crate) use tap::{Peer, Tap};

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use dialect::signatures::Signatures;
use dialect::{Failure, FailureKind};

use crate::backend::{BackendKind, Identity};
use crate::catalogue::Catalogue;
use crate::choice::Ask;
use crate::council::Council;
use crate::fleet::Fleet;
use crate::metrics::Requests;
use affinity::Affinity;
use asked::{Asked, Told};
use bounded::BodyError;
use exchange::Exchange;
use headers::RequestId;
use measure::Measure;
use missing::Missing;
use refusal::Refusal;
use setback::Setbacks;
use tap::{Attempts, Branches, Kept};
use traces::Begun;

/// What a request's body may take, as at the edge: long contexts and images as base64.
const BODY_BYTES_MAX: usize = 256 << 20;

/// A client that sends nothing of its body for so long has gone.
const BODY_SILENCE: Duration = Duration::from_secs(30);

pub(crate) struct Gateway {
    fleet: Arc<Fleet>,
    catalogue: Arc<Catalogue>,
    identity: Identity,
    guard: Guard,
    affinity: Affinity,
    missing: Missing,
    signatures: Arc<Mutex<Signatures>>,
    /// `None`: nothing is kept.
    tap: Option<Tap>,
    watched: Watched,
    pub(crate) council: Council,
}

/// Where requests are counted, and traced if they are.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) metrics: Arc<Requests>,
    pub(crate) tracer: Option<traces::Tracer>,
}

impl Gateway {
    pub(crate) fn new(
        (fleet, catalogue): (Arc<Fleet>, Arc<Catalogue>),
        identity: Identity,
        guard: Guard,
        (tap, watched): (Option<Tap>, Watched),
        council: Council,
    ) -> Self {
        Self {
            fleet,
            catalogue,
            identity,
            guard,
            affinity: Affinity::new(),
            missing: Missing::default(),
            signatures: Arc::default(),
            tap,
            watched,
            council,
        }
    }

    /// The answer to a request at this endpoint, or its refusal; never anything but an answer in the client's dialect.
    pub(crate) async fn answer(self: &Arc<Self>, endpoint: Endpoint, request: Request) -> Response {
        let request_id = RequestId::of(request.headers());
        let mut kept = None;
        let span = trace::begin(self.watched.tracer.as_ref(), request.headers());
        let names = (&request_id, span.as_ref());
        let mut response = match self.exchange(endpoint, names, request, &mut kept).await {
            Ok(response) => response,
            Err(refusal) => {
                if let Some(kept) = &mut kept {
                    kept.refused(refusal.reason());
                }
                refusal.into_response(endpoint)
            }
        };
        response.headers_mut().insert(headers::REQUEST_ID, request_id.value());
        self.watched
            .metrics
            .answered(endpoint.path(), response.status().as_u16());
        let response = match kept {
            None => response,
            Some(kept) => kept.follow(response),
        };
        match span {
            None => response,
            Some(span) => trace::follow(span, endpoint, response),
        }
    }

    async fn exchange(
        self: &Arc<Self>,
        endpoint: Endpoint,
        (request_id, span): (&RequestId, Option<&Begun>),
        request: Request,
        kept: &mut Option<Kept>,
    ) -> Result<Response, Refusal> {
        let (head, mut body) = request.into_parts();
        if self.identity.sent(&head.headers) {
            return Err(loop_detected());
        }
        let caller = self.guard.admit(&head)?;
        let body = bounded::whole(&mut body, BODY_BYTES_MAX, Some(BODY_SILENCE));
        let body = body.await.map_err(unread)?;
        if let Some(tap) = &self.tap {
            *kept = tap.begin(&head, request_id, self.guard.name(&head).as_deref());
        }
        if let Some(kept) = kept {
            kept.request(&body).map_err(not_kept)?;
        }
        let told = Told {
            request_id: request_id.clone(),
            caller,
            created: now_s(),
            hops: headers::hops(&head.headers, self.identity.via()),
            span: span.cloned(),
        };
        let body = deliberation::with_model(endpoint, body);
        let asked = Asked::read(endpoint, &head.headers, body, told)?;
        if self.is_for_council(&asked) {
            let branches = kept.as_ref().map(Kept::branches);
            return self.convene(asked, &head.headers, branches).await;
        }
        self.walk(&asked, &head.headers).await
    }

    /// From one candidate to the next, until one answers.
    async fn walk(&self, asked: &Asked, headers: &HeaderMap) -> Result<Response, Refusal> {
        let who = (&*asked.model, asked.caller);
        let converses = asked.endpoint.streams_unasked().is_some();
        let look = || self.affinity.look(&self.fleet.view(), who, headers, &asked.body);
        let conversation = converses.then(look).flatten();
        let nobody = HashMap::new();
        let ask = Ask {
            model: &asked.model,
            held: conversation.as_ref().map_or(&nobody, |conversation| &conversation.held),
            excluded: &[],
        };
        let mut attempts = match self.fleet.attempts(&ask) {
            Ok(attempts) => attempts,
            // Just after the start not every backend has said what it serves.
            Err(_) => {
                self.catalogue.ready().await;
                self.fleet.attempts(&ask)?
            }
        };
        let mut setbacks = Setbacks::default();
        let mut tried = 0;
        while let Some(attempt) = attempts.next() {
            tried += 1;
            let backend = Arc::clone(&attempt.backend);
            if let Some(conversation) = &conversation {
                self.affinity.note(conversation, backend.number);
            }
            let exchange = Exchange {
                gateway: self,
                asked,
                measure: Measure::begin(&self.watched.metrics, asked, &attempt),
                attempt,
                is_last: attempts.left() == 0,
            };
            match exchange.run().await {
                Ok(mut response) => {
                    response.extensions_mut().insert(Attempts(tried));
                    return Ok(response);
                }
                Err(setback) => {
                    let (request_id, kind) = (asked.request_id.as_str(), setback.kind());
                    tracing::debug!(request_id, backend = %backend.spec.name, ?kind, "a backend was passed over");
                    setbacks.add(setback);
                }
            }
        }
        Err(setbacks.into_refusal())
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

/// Whether a backend of this kind signs what it says and wants it back.
fn signs(kind: BackendKind) -> bool {
    matches!(kind, BackendKind::Anthropic | BackendKind::Gemini)
}

/// Held for a look into memory only. What a panic left there is still memory.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn loop_detected() -> Refusal {
    let message = "The request has come round to the gateway that sent it: a backend's address leads back here.";
    Refusal::new(Failure::new(FailureKind::Api, message))
        .with_status(StatusCode::LOOP_DETECTED)
        .coded("loop_detected")
}

fn not_kept(_: capture::NotKept) -> Refusal {
    let message = "Requests are kept here, and the journal cannot take this one now.";
    Refusal::new(Failure::new(FailureKind::Overloaded, message)).coded("journal_unavailable")
}

fn unread(error: BodyError) -> Refusal {
    let (kind, message) = match error {
        BodyError::TooLong => (FailureKind::TooLarge, "The body is longer than 256 MiB."),
        BodyError::Silent => (FailureKind::Timeout, "The body did not come."),
        BodyError::Broken => (FailureKind::InvalidRequest, "The body broke off."),
    };
    let refusal = Refusal::new(Failure::new(kind, message));
    match error {
        BodyError::Silent => refusal.with_status(StatusCode::REQUEST_TIMEOUT),
        _ => refusal,
    }
}
