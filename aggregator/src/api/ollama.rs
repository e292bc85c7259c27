//! What Ollama's clients ask beside conversations: what there is, what is loaded, what one model can do.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dialect::ollama::listing;
use serde_json::{Value, json};

use crate::router::AppState;

/// The version of Ollama's API that is spoken here: clients compare numbers, and Conclave's own would mean something
/// else to them.
const API_VERSION: &str = "0.12.6";

pub(crate) async fn version() -> Json<Value> {
    Json(listing::version(API_VERSION))
}

pub(crate) async fn tags(State(state): State<AppState>) -> Json<Value> {
    // Waits for the first round of heartbeats, as `/v1/models` does, and for nothing after it.
    state.catalogue.ready().await;
    let models = state.gateway.known();
    let councils = if models.is_empty() {
        Vec::new()
    } else {
        super::council::known(&state)
    };
    let taken = |name: &str| councils.iter().any(|council| council.name == name);
    Json(listing::tags(
        models.iter().filter(|model| !taken(&model.name)).chain(&councils),
    ))
}

pub(crate) async fn ps(State(state): State<AppState>) -> Json<Value> {
    state.catalogue.ready().await;
    Json(listing::ps(&state.gateway.loaded()))
}

pub(crate) async fn show(State(state): State<AppState>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(name) = listing::show_request_model(&body) else {
        return refused(StatusCode::BAD_REQUEST, "model: must name a model; found none");
    };
    state.catalogue.ready().await;
    if let Some(council) = super::council::shown(&state, name) {
        return Json(listing::show(&council)).into_response();
    }
    match state.gateway.describe(name, &headers).await {
        Some(model) => Json(listing::show(&model)).into_response(),
        None => refused(
            StatusCode::NOT_FOUND,
            "model not found; GET /api/tags lists those that are served",
        ),
    }
}

/// Pull, push, create, copy, delete, blobs.
pub(crate) async fn manage(State(state): State<AppState>, request: Request) -> Response {
    state.gateway.manage(&state.door, request).await
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}
