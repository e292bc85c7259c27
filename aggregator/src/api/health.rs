//! `GET /health`: whether this process answers. Backends that are down do not make the aggregator unhealthy.

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;

use crate::api::prepared_json;
use crate::router::AppState;

pub(crate) async fn show(State(state): State<AppState>) -> Response {
    let backends = state.catalogue.backends();
    let body = format!(
        r#"{{"status":"ok","backends":{{"known":{},"up":{}}}}}"#,
        backends.known, backends.up
    );
    prepared_json(Bytes::from(body))
}
