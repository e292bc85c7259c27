//! `GET /v1/models` and `GET /v1/models/{id}`: what every backend serves, from memory.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::api::prepared_json;
use crate::catalogue::described;
use crate::error::ApiError;
use crate::fleet::{FleetView, Place};
use crate::router::AppState;

pub(crate) async fn list(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    if state.identity.sent(&headers) {
        // Answering would list our own list as a backend's: models of dead backends would keep each other alive.
        return Err(ApiError::Loop);
    }
    Ok(prepared_json(state.catalogue.serve().await))
}

/// The id may have slashes in it, and may be `backend/model`.
pub(crate) async fn show(State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, ApiError> {
    // Waits for the first round of polls, as the list does, and for nothing after it.
    state.catalogue.ready().await;
    let view = state.fleet.view();
    let places = view
        .places(&id)
        .filter(|places| !places.is_empty())
        .ok_or(ApiError::UnknownModel)?;
    let datum = places
        .iter()
        .find_map(|place| view.backends[place.backend].models.get(&place.model)?.datum.as_deref());
    let backends = places.iter().map(|place| serving(&view, place)).collect();
    Ok(prepared_json(Bytes::from(described(&id, datum, backends))))
}

fn serving(view: &FleetView, place: &Place) -> Value {
    let backend = &view.backends[place.backend];
    json!({
        "name": &*backend.spec.name,
        "type": backend.spec.kind.name(),
        "model": &*place.model,
        "healthy": backend.is_healthy(),
        "loaded": backend.models.get(&place.model).is_some_and(|model| model.loaded),
        "priority": backend.spec.priority,
    })
}
