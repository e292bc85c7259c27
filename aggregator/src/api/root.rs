//! `GET /`: who answers here, and what it answers to.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::router::{AppState, PATHS};

pub(crate) async fn show(State(state): State<AppState>) -> Json<Value> {
    let backends = state.catalogue.backends();
    Json(json!({
        "name": "conclave",
        "version": env!("CARGO_PKG_VERSION"),
        "status": "ok",
        "strategy": state.fleet.view().routing.strategy.name(),
        "backends": { "known": backends.known, "up": backends.up },
        "endpoints": PATHS,
    }))
}
