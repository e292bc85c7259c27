//! `/admin/*`: for whoever has the admin token.

use std::time::SystemTime;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth;
use crate::error::ApiError;
use crate::fleet::Backend;
use crate::router::AppState;

/// Entries of one page.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<usize>,
    /// The name of the last backend of the page before.
    cursor: Option<String>,
}

impl Page {
    /// The entries of this page, and where the next one begins. `all` is in the order of its names.
    pub(crate) fn of<'a, T>(&self, all: &'a [T], name: impl Fn(&T) -> &String) -> (&'a [T], Option<String>) {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let begin = match &self.cursor {
            Some(cursor) => all.partition_point(|entry| name(entry) <= cursor),
            None => 0,
        };
        let rest = &all[begin..];
        let shown = &rest[..rest.len().min(limit)];
        let next = shown
            .last()
            .filter(|_| rest.len() > limit)
            .map(|entry| name(entry).clone());
        (shown, next)
    }
}

pub(crate) async fn backends(
    State(state): State<AppState>,
    headers: HeaderMap,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    auth::admit_admin(&state.settings.load().admin, &headers)?;
    let Query(page) = page.map_err(|_| ApiError::BadPage)?;
    let limit = page.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let view = state.fleet.view();
    let mut all: Vec<&Backend> = view.backends.iter().map(|backend| &**backend).collect();
    all.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    let after = |backend: &&&Backend| page.cursor.as_deref().is_none_or(|cursor| &*backend.spec.name > cursor);
    let rest: Vec<&Backend> = all.iter().filter(after).take(limit + 1).copied().collect();
    let shown = &rest[..rest.len().min(limit)];
    let next = shown
        .last()
        .filter(|_| rest.len() > limit)
        .map(|backend| &*backend.spec.name);
    let data: Vec<Value> = shown.iter().map(|backend| entry(backend)).collect();
    Ok(Json(json!({ "object": "list", "data": data, "next_cursor": next })))
}

/// Takes a backend out of the choice: what it works on goes on, nothing new is sent to it.
pub(crate) async fn drain(state: State<AppState>, headers: HeaderMap, name: Name) -> Result<Json<Value>, ApiError> {
    set_drain(&state, &headers, name, true)
}

/// Puts it back.
pub(crate) async fn undrain(state: State<AppState>, headers: HeaderMap, name: Name) -> Result<Json<Value>, ApiError> {
    set_drain(&state, &headers, name, false)
}

type Name = Result<Path<String>, PathRejection>;

fn set_drain(state: &AppState, headers: &HeaderMap, name: Name, draining: bool) -> Result<Json<Value>, ApiError> {
    auth::admit_admin(&state.settings.load().admin, headers)?;
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
