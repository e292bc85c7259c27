//! HTTP handlers: thin. They take prepared bytes from the rooms that own them and decide nothing.

pub(crate) mod admin;
pub(crate) mod chat;
pub(crate) mod council;
pub(crate) mod health;
pub(crate) mod identify;
pub(crate) mod inference;
pub(crate) mod keys;
pub(crate) mod listing;
pub(crate) mod mappings;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod ollama;
pub(crate) mod openapi;
pub(crate) mod query;
pub(crate) mod responses;
pub(crate) mod root;
pub(crate) mod series;
pub(crate) mod stats;
pub(crate) mod time;
pub(crate) mod usage;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

/// An answer that was serialised in the background.
fn prepared_json(body: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
