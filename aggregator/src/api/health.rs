//! `GET /health`: whether this process answers, and how each backend is. Backends that are down do not make the
//! aggregator unhealthy.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::fleet::Backend;
use crate::router::AppState;

/// Nobody reads a status page of more backends than this; `/admin/backends` lists them all, in pages.
const SHOWN_MAX: usize = 1_000;

pub(crate) async fn show(State(state): State<AppState>) -> Json<Value> {
    let backends = state.catalogue.backends();
    let view = state.fleet.view();
    let each: Map<String, Value> = view
        .backends
        .iter()
        .take(SHOWN_MAX)
        .map(|backend| status(backend))
        .collect();
    let configuration = if state.settings.is_broken() {
        "kept_last_good"
    } else {
        "loaded"
    };
    Json(json!({
        "status": "ok",
        "configuration": configuration,
        "backends": { "known": backends.known, "up": backends.up, "each": each },
    }))
}

/// Neither addresses nor causes: this page is open to whoever reaches it.
fn status(backend: &Backend) -> (String, Value) {
    let status = json!({
        "type": backend.spec.kind.name(),
        "healthy": backend.is_healthy(),
        "status": backend.status.name(),
        "models": backend.models.len(),
        "in_flight": backend.traffic.in_flight(),
    });
    (backend.spec.name.to_string(), status)
}
