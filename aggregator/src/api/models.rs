//! `GET /v1/models` and `GET /v1/models/{id}`: what every backend serves, from memory.
//!
//! Three dialects list their models at this path: a header that only Anthropic's or only Gemini's clients send says
//! whose shape is meant.

use std::sync::Arc;

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
    let list = state.catalogue.serve().await;
    Ok(if headers.contains_key("anthropic-version") {
        made_json(&anthropic_list(&ids(&state)))
    } else if headers.contains_key("x-goog-api-key") {
        made_json(&gemini_list(&ids(&state)))
    } else {
        prepared_json(list)
    })
}

/// Models, and councils where they are listed.
fn ids(state: &AppState) -> Vec<Arc<str>> {
    let mut ids = state.gateway.model_ids();
    if !ids.is_empty() {
        ids.extend(state.gateway.council.listed());
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn made_json(list: &Value) -> Response {
    prepared_json(Bytes::from(list.to_string()))
}

/// One page holds all there are.
fn anthropic_list(ids: &[Arc<str>]) -> Value {
    let data: Vec<Value> = ids.iter().map(|id| anthropic_model(id)).collect();
    json!({ "data": data, "has_more": false, "first_id": ids.first(), "last_id": ids.last() })
}

/// Nobody tells when a model was made; clients want a time.
fn anthropic_model(id: &str) -> Value {
    json!({ "type": "model", "id": id, "display_name": id, "created_at": "1970-01-01T00:00:00Z" })
}

fn gemini_list(ids: &[Arc<str>]) -> Value {
    let models = ids
        .iter()
        .map(|id| json!({ "name": format!("models/{id}"), "displayName": &**id }));
    json!({ "models": models.collect::<Vec<_>>() })
}

/// The id may have slashes in it, and may be `backend/model`.
pub(crate) async fn show(
    State(state): State<AppState>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    // Waits for the first round of polls, as the list does, and for nothing after it.
    state.catalogue.ready().await;
    if let Some(council) = super::council::described(&state, &id) {
        return Ok(made_json(&match headers.contains_key("anthropic-version") {
            true => anthropic_model(&id),
            false => council,
        }));
    }
    let view = state.fleet.view();
    let places = view
        .places(&id)
        .filter(|places| !places.is_empty())
        .ok_or(ApiError::UnknownModel)?;
    if headers.contains_key("anthropic-version") {
        return Ok(made_json(&anthropic_model(&id)));
    }
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
