//! Requests that change an Ollama backend's models, carried to one that is named: pull, push, create, copy, delete and
//! blobs. Behind the admin token, and never anywhere but to a backend of type `ollama`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode, Uri};
use axum::response::Response;
use dialect::{Failure, FailureKind};

use super::refusal::Refusal;
use super::{Endpoint, Gateway, headers};
use crate::backend::{BackendKind, root_cause};
use crate::door::Door;
use crate::error::ApiError;
use crate::fleet::Backend;

/// Of the answer's headers, those that describe its body.
const CARRIED: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_LENGTH];

impl Gateway {
    /// Carries a request to the backend that its `backend=` in the query, or its `x-conclave-backend`, names.
    pub(crate) async fn manage(&self, door: &Door, request: Request) -> Response {
        match self.carried(door, request).await {
            Ok(response) => response,
            // All of these endpoints tell of failures as Ollama's others do.
            Err(refusal) => refusal.into_response(Endpoint::OllamaChat),
        }
    }

    async fn carried(&self, door: &Door, request: Request) -> Result<Response, Refusal> {
        let (head, body) = request.into_parts();
        if self.identity.sent(&head.headers) {
            return Err(super::loop_detected());
        }
        door.admit(&head).map_err(|error| not_admitted(&error))?;
        let backend = self.named(
            &head.uri,
            head.headers.get(headers::BACKEND).and_then(|name| name.to_str().ok()),
        )?;
        let upstream = self.fleet.upstream().request(head.method, &backend, head.uri.path());
        let mut upstream = upstream.map_err(|_| unreachable_backend())?;
        upstream = upstream.headers(headers::hops(&head.headers, self.identity.via()));
        for name in CARRIED {
            if let Some(value) = head.headers.get(&name) {
                upstream = upstream.header(name, value);
            }
        }
        // Blobs are gigabytes: they pass as they come.
        let sent = upstream
            .body(reqwest::Body::wrap_stream(body.into_data_stream()))
            .send()
            .await;
        let answer = sent.map_err(|error| {
            tracing::warn!(backend = %backend.spec.name, cause = %root_cause(&error), "a backend's models cannot be managed");
            unreachable_backend()
        })?;
        let (parts, body) = axum::http::Response::<reqwest::Body>::from(answer).into_parts();
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = parts.status;
        for name in CARRIED {
            if let Some(value) = parts.headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        let name = headers::named(&backend.spec.name);
        response.headers_mut().extend(name.map(|name| (headers::BACKEND, name)));
        Ok(response)
    }

    /// The Ollama backend of this name; the only one where none is named.
    fn named(&self, uri: &Uri, header: Option<&str>) -> Result<Arc<Backend>, Refusal> {
        let view = self.fleet.view();
        let in_query = uri
            .query()
            .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("backend=")));
        let mut ollama = view
            .backends
            .iter()
            .filter(|backend| backend.spec.kind == BackendKind::Ollama);
        let found = match in_query.or(header) {
            Some(name) => ollama.find(|backend| *backend.spec.name == *name),
            None => ollama.next().filter(|_| ollama.next().is_none()),
        };
        found.cloned().ok_or_else(|| {
            let message = "Name the Ollama backend whose models are meant, in `?backend=NAME` or `x-conclave-backend`; \
                           GET /admin/backends lists them.";
            Refusal::new(Failure::new(FailureKind::InvalidRequest, message))
        })
    }
}

fn not_admitted(error: &ApiError) -> Refusal {
    let message = match error {
        ApiError::Door(refusal) => refusal.message(),
        ApiError::AdminClosed => {
            "Models are managed with the admin token, and none is configured: set ADMIN_TOKEN, or `admin.auth.token` in \
             config.yaml."
        }
        _ => "Models are managed with the admin token: send it as `Authorization: Bearer`.",
    };
    let (kind, status) = match error {
        ApiError::Door(refusal) => (FailureKind::Permission, refusal.status()),
        ApiError::AdminToken => (FailureKind::Authentication, StatusCode::UNAUTHORIZED),
        _ => (FailureKind::Permission, StatusCode::FORBIDDEN),
    };
    Refusal::new(Failure::new(kind, message)).with_status(status)
}

fn unreachable_backend() -> Refusal {
    Refusal::new(Failure::new(FailureKind::Api, "the backend cannot be reached"))
}
