//! `/admin/backends*`: what is known of each backend, and who gets requests.

use std::time::SystemTime;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::listing::Listing;
use super::query::Query;
use crate::error::ApiError;
use crate::fleet::Backend;
use crate::router::AppState;

pub(crate) async fn backends(State(state): State<AppState>, query: Query) -> Result<Json<Value>, ApiError> {
    let listing = query.whole(Listing::read)?;
    let view = state.fleet.view();
    let mut all: Vec<&Backend> = view.backends.iter().map(|backend| &**backend).collect();
    all.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    let (shown, next) = listing.page(&all, |backend| &backend.spec.name);
    let data: Vec<Value> = shown.iter().map(|backend| entry(backend)).collect();
    Ok(Json(json!({ "object": "list", "data": data, "next_cursor": next })))
}

/// Takes a backend out of the choice: what it works on goes on, nothing new is sent to it.
pub(crate) async fn drain(state: State<AppState>, name: Name) -> Result<Json<Value>, ApiError> {
    set_drain(&state, name, true)
}

/// Puts it back.
pub(crate) async fn undrain(state: State<AppState>, name: Name) -> Result<Json<Value>, ApiError> {
    set_drain(&state, name, false)
}

type Name = Result<Path<String>, PathRejection>;

fn set_drain(state: &AppState, name: Name, draining: bool) -> Result<Json<Value>, ApiError> {
    let Path(name) = name.map_err(|_| ApiError::UnknownBackend)?;
    let view = state.fleet.view();
    let mut backends = view.backends.iter();
    let backend = backends.find(|backend| *backend.spec.name == *name);
    let backend = backend.ok_or(ApiError::UnknownBackend)?;
    if backend.traffic.drain(draining) {
        tracing::info!(backend = %backend.spec.name, draining, "an operator changed who gets requests");
    }
    Ok(Json(entry(backend)))
}

fn entry(backend: &Backend) -> Value {
    let spec = &backend.spec;
    let models = backend
        .models
        .iter()
        .map(|(id, model)| json!({ "id": &**id, "loaded": model.loaded }));
    json!({
        "name": &*spec.name,
        "type": spec.kind.name(),
        "url": spec.url.as_str(),
        "source": spec.origin.name(),
        "priority": spec.priority,
        "weight": spec.weight,
        "healthy": backend.is_healthy(),
        "status": backend.status.name(),
        "draining": backend.traffic.is_draining(),
        "suspended": backend.traffic.is_suspended(),
        "cause": backend.cause.as_deref(),
        "heard_at": backend.heard_at.map(rfc3339),
        "models": models.collect::<Vec<_>>(),
        "in_flight": backend.traffic.in_flight(),
        "busy": backend.busy(),
        "slots": backend.slots,
        "latency_ms": backend.traffic.latency().map(|latency| latency.as_secs_f64() * 1_000.0),
    })
}

fn rfc3339(moment: SystemTime) -> String {
    humantime::format_rfc3339_millis(moment).to_string()
}
