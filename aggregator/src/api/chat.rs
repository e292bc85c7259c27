//! `POST /admin/chat` and `POST /admin/council/chat`: a model or a council asked with the admin token in place of a key.

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;

use crate::gateway::{Admitted, Endpoint};
use crate::router::AppState;

pub(crate) async fn models(State(state): State<AppState>, request: Request) -> Response {
    answer(&state, Endpoint::ChatCompletions, request).await
}

pub(crate) async fn council(State(state): State<AppState>, request: Request) -> Response {
    answer(&state, Endpoint::CouncilChat, request).await
}

/// The token is not the gateway's to see: it would be taken for a client's key.
async fn answer(state: &AppState, endpoint: Endpoint, mut request: Request) -> Response {
    request.headers_mut().remove(AUTHORIZATION);
    request.extensions_mut().insert(Admitted);
    // What is kept of it is read by the path that it would have had with a key.
    *request.uri_mut() = Uri::from_static(match endpoint {
        Endpoint::CouncilChat => "/v1/council/chat",
        _ => "/v1/chat/completions",
    });
    state.gateway.answer(endpoint, request).await
}
