//! Endpoints that ask a model: each is the gateway's, at one path.

use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, post};

use crate::gateway::Endpoint;
use crate::router::AppState;

/// POST only.
pub(crate) fn at(endpoint: Endpoint) -> MethodRouter<AppState> {
    post(move |State(state): State<AppState>, request: Request| answer(state, endpoint, request))
}

async fn answer(state: AppState, endpoint: Endpoint, request: Request) -> Response {
    state.gateway.answer(endpoint, request).await
}
