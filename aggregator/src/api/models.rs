//! `GET /v1/models`: what every backend serves, from memory.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::api::prepared_json;
use crate::error::ApiError;
use crate::router::AppState;

pub(crate) async fn list(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    if state.identity.sent(&headers) {
        // Answering would list our own list as a backend's: models of dead backends would keep each other alive.
        return Err(ApiError::Loop);
    }
    Ok(prepared_json(state.catalogue.serve().await))
}
