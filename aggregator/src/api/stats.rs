//! `GET /stats`: the latest measurement of the host, from memory.

use axum::extract::State;
use axum::response::Response;

use crate::api::prepared_json;
use crate::error::ApiError;
use crate::router::AppState;

pub(crate) async fn show(State(state): State<AppState>) -> Result<Response, ApiError> {
    state
        .stats
        .serve()
        .await
        .map(prepared_json)
        .ok_or(ApiError::StatsNotReady)
}
