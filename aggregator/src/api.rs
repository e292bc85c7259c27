//! HTTP handlers: thin. They take prepared bytes from the rooms that own them and decide nothing.

pub(crate) mod admin;
pub(crate) mod health;
pub(crate) mod inference;
pub(crate) mod models;
pub(crate) mod ollama;
pub(crate) mod root;
pub(crate) mod stats;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

/// An answer that was serialised in the background.
fn prepared_json(body: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
