//! `GET /metrics`: what is counted, in Prometheus' text format.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::router::AppState;

/// Nothing, where `config.yaml` switches it off.
pub(crate) async fn show(State(state): State<AppState>) -> Response {
    if !state.settings.load().metrics_enabled {
        return StatusCode::NOT_FOUND.into_response();
    }
    let page = state.metrics.page(&state.fleet.view());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}
