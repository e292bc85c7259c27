//! One attempt: the request is sent to one backend, and its answer judged before the client sees a byte of it.
//!
//! | the backend | the client gets | the backend is |
//! |---|---|---|
//! | answers 2xx, and a first byte comes | the answer | well |
//! | cannot be reached, hangs, breaks off before its first byte, 5xx, 3xx, cannot be read | the next backend's answer | failing |
//! | 429, or 401, 402, 403 for the gateway's own key | the next backend's answer | not ill |
//! | 404, 405, 501 | the next way, then the next backend's answer | not ill |
//! | any other 4xx | that, in its dialect | not ill |

mod open;
mod patience;
mod whole;

pub(super) use open::content_type;
pub(super) use whole::render_chat;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dialect::{Failure, FailureKind, ollama};
use reqwest::RequestBuilder;

use super::asked::{Asked, Parsed};
use super::bounded;
use super::endpoint::{Endpoint, Way};
use super::flow::{Flow, Opened};
use super::measure::{Measure, word};
use super::outbound::Outbound;
use super::setback::Setback;
use super::{Gateway, headers, redact};
use crate::backend::{BackendKind, root_cause};
use crate::fleet::Attempt;

/// A failure's reason fits.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// A backend that has said that it fails is not waited for to say why.
const ERROR_SILENCE: Duration = Duration::from_secs(5);

/// A connection that the other side has closed shows it within a round trip.
const STALE_WITHIN: Duration = Duration::from_millis(100);

/// One attempt at one request.
pub(super) struct Exchange<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) asked: &'a Asked,
    pub(super) attempt: Attempt,
    pub(super) measure: Measure,
    /// Nobody is left to ask: even a backend that seems to be down is waited for.
    pub(super) is_last: bool,
}

/// What is passed on.
enum Answer {
    Whole(StatusCode, Bytes),
    /// A stream that is at its end already.
    Typed(StatusCode, HeaderValue, Bytes),
    Stream(HeaderValue, Opened),
}

impl Exchange<'_> {
    /// One answer, or why there is none; either way it has been counted.
    pub(super) async fn run(self) -> Result<Response, Setback> {
        match self.each_way().await {
            Ok(answer) => Ok(self.respond(answer)),
            Err(setback) => {
                self.measure.end(Some(word(setback.kind())));
                Err(setback)
            }
        }
    }

    /// Puts the request in each way that there is.
    async fn each_way(&self) -> Result<Answer, Setback> {
        let ways = self.asked.endpoint.ways(self.kind());
        let mut setback = self.nothing_of_the_sort();
        let number = self.attempt.backend.number;
        for (index, way) in ways.iter().enumerate() {
            let is_last_way = index + 1 == ways.len();
            if !is_last_way && self.gateway.missing.is_known(number) {
                continue;
            }
            match self.one(*way).await {
                Ok(answer) => {
                    if matches!(setback, Setback::NotThere { .. }) {
                        // It was the path that it lacks, and not the model.
                        self.gateway.missing.note(number);
                    }
                    return Ok(answer);
                }
                Err(missing @ Setback::NotThere { .. }) if !is_last_way => setback = missing,
                // The path is what is missing, not the model.
                Err(Setback::NotThere { .. }) if self.asked.endpoint == Endpoint::CountTokens => return Err(setback),
                Err(other) => return Err(other),
            }
        }
        Err(setback)
    }

    fn kind(&self) -> BackendKind {
        self.attempt.backend.spec.kind
    }

    async fn one(&self, way: Way) -> Result<Answer, Setback> {
        let outbound = match way {
            Way::Native(path) => Outbound::native(self.asked, path, &self.attempt.model)?,
            Way::Converted => {
                if let Some(answer) = self.answered_here()? {
                    return Ok(answer);
                }
                let memory = &self.gateway.signatures;
                Outbound::converted(self.asked, &self.attempt.backend, &self.attempt.model, memory)?
            }
        };
        let (head, body) = self.send(outbound, way).await?;
        if head.status.is_success() {
            self.open(way, &head, body).await
        } else {
            self.judge(way, &head, body).await
        }
    }

    /// What asks for nothing that a backend of another kind could do: Ollama's empty requests.
    fn answered_here(&self) -> Result<Option<Answer>, Setback> {
        let endpoint = self.asked.endpoint;
        let (model, created) = (&self.asked.model, self.asked.identity.created);
        let body = match self.asked.parsed().map_err(Setback::bad_request)? {
            Parsed::Load => ollama::response::loaded(endpoint.ollama(), model, created),
            Parsed::Unload => ollama::response::unloaded(endpoint.ollama(), model, created),
            Parsed::Embedding(request) if request.inputs.is_empty() && request.inexpressible.is_empty() => {
                let nothing = dialect::EmbeddingResponse {
                    model: model.clone(),
                    ..Default::default()
                };
                whole::render_embedding(endpoint, &nothing, false)
            }
            _ => return Ok(None),
        };
        Ok(Some(Answer::Whole(StatusCode::OK, body)))
    }

    async fn send(&self, outbound: Outbound, way: Way) -> Result<(Head, reqwest::Body), Setback> {
        let began = Instant::now();
        let mut sent = self.heard(self.request(&outbound, way)?.send()).await?;
        if sent.as_ref().is_err_and(|error| is_stale(error, began)) {
            sent = self.heard(self.request(&outbound, way)?.send()).await?;
        }
        let error = match sent {
            Ok(response) => {
                let (parts, body) = axum::http::Response::<reqwest::Body>::from(response).into_parts();
                let (status, headers) = (parts.status, parts.headers);
                return Ok((Head { status, headers }, body));
            }
            Err(error) => error,
        };
        let backend = &self.attempt.backend.spec.name;
        tracing::warn!(%backend, cause = %root_cause(&error), "a request to a backend failed");
        self.attempt.failed();
        let message = match error.is_connect() {
            true => "the backend cannot be reached",
            false => "the backend broke off before it answered",
        };
        Err(Setback::failed(FailureKind::Api, message))
    }

    fn request(&self, outbound: &Outbound, way: Way) -> Result<RequestBuilder, Setback> {
        let backend = &self.attempt.backend;
        let upstream = self.gateway.fleet.upstream();
        let request = upstream.request(Method::POST, backend, &outbound.path);
        let mut request = request.map_err(|error| {
            tracing::error!(backend = %backend.spec.name, %error, "a request cannot be made");
            Setback::failed(
                FailureKind::Api,
                "the gateway cannot make a TLS connection to the backend",
            )
        })?;
        request = request
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            // Who says nothing may be sent anything; what is read along must be readable.
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"))
            .header(headers::REQUEST_ID, self.asked.request_id.value());
        if matches!(way, Way::Native(_)) {
            request = request.headers(self.asked.carried.clone());
        }
        request = request.headers(self.asked.hops.clone());
        if let Some(span) = self.measure.span() {
            request = request.headers(super::trace::headers(span));
        }
        Ok(request.body(outbound.body.clone()))
    }

    /// Not a 2xx: whose fault is it?
    async fn judge(&self, way: Way, head: &Head, mut upstream: reqwest::Body) -> Result<Answer, Setback> {
        let body = bounded::whole(&mut upstream, ERROR_BYTES_MAX, Some(ERROR_SILENCE)).await;
        let body = redact::keys(body.unwrap_or_default(), &self.attempt.backend.headers);
        let status = head.status;
        let failure = dialect::failure::parse(status.as_u16(), &body);
        tracing::info!(backend = %self.attempt.backend.spec.name, status = status.as_u16(), "a backend refused a request");
        match status.as_u16() {
            401..=403 => Err(Setback::failed(
                FailureKind::Api,
                "the backend refused the key that the gateway has for it",
            )),
            // llama.cpp says so of what it was not started for.
            501 => Err(Setback::Inexpressible {
                failure: Failure::new(FailureKind::InvalidRequest, failure.message),
                field: None,
            }),
            404 | 405 => Err(Setback::NotThere {
                failure: Failure::new(FailureKind::NotFound, failure.message),
            }),
            429 => Err(Setback::Failed {
                failure,
                retry_after_s: retry_after(&head.headers),
            }),
            408 | 500.. => {
                self.attempt.failed();
                let retry_after_s = retry_after(&head.headers);
                Err(Setback::Failed { failure, retry_after_s })
            }
            400..=499 => Ok(Answer::Whole(
                status,
                match way {
                    Way::Native(_) if is_json(&body) => body,
                    _ => self.asked.endpoint.error_body(&failure, None),
                },
            )),
            // Redirects are not followed: a key and a prompt must not travel where no configuration leads.
            _ => {
                self.attempt.failed();
                Err(Setback::failed(
                    FailureKind::Api,
                    "the backend answered with something that is no answer",
                ))
            }
        }
    }

    fn nothing_of_the_sort(&self) -> Setback {
        let (what, field) = match self.asked.endpoint {
            Endpoint::CountTokens => ("counts tokens", "messages"),
            _ => ("makes embeddings", "input"),
        };
        let message = format!("{field}: this model's backend has nothing that {what}; ask for another model");
        Setback::Inexpressible {
            failure: Failure::new(FailureKind::InvalidRequest, message),
            field: Some(field.to_owned()),
        }
    }

    fn respond(self, answer: Answer) -> Response {
        let backend = headers::named(&self.attempt.backend.spec.name);
        let fallback = self.attempt.fallback.as_deref().and_then(headers::named);
        if let Some(served) = self.attempt.fallback.as_deref() {
            self.gateway.watched.metrics.fell_back(&self.asked.model, served);
        }
        let mut response = match answer {
            Answer::Whole(status, body) => {
                // A 4xx is the request's own fault.
                self.measure.end(status.is_client_error().then_some("invalid_request"));
                let json = HeaderValue::from_static("application/json");
                (status, [(CONTENT_TYPE, json)], body).into_response()
            }
            Answer::Typed(status, content_type, body) => {
                self.measure.end(None);
                (status, [(CONTENT_TYPE, content_type)], body).into_response()
            }
            Answer::Stream(content_type, opened) => {
                let flow = Flow::new(opened, self.attempt, self.measure);
                ([(CONTENT_TYPE, content_type)], Body::new(flow)).into_response()
            }
        };
        let is_stream = self.asked.stream;
        let out = response.headers_mut();
        if is_stream {
            out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            out.insert(headers::ACCEL_BUFFERING, HeaderValue::from_static("no"));
        }
        out.extend(backend.map(|name| (headers::BACKEND, name)));
        out.extend(fallback.map(|name| (headers::FALLBACK_MODEL, name)));
        response
    }
}

struct Head {
    status: StatusCode,
    headers: HeaderMap,
}

/// A kept connection that the backend was closing just then: it has not seen the request. An error that comes later may
/// be the request's own doing, and is not tried on the same backend again.
fn is_stale(error: &reqwest::Error, began: Instant) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout() && began.elapsed() < STALE_WITHIN
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// Whole seconds; a date is nobody's to guess the clock of.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}
