//! `/admin/responses*`: what the store holds, for whoever has the admin token.

mod chat;
mod export;
mod query;
mod shape;
mod time;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth;
use crate::error::ApiError;
use crate::router::AppState;
use crate::store::{PageRequest, Store, StoreError};

pub(crate) use chat::conversation;
pub(crate) use query::Query;
pub(crate) use query::{BadQuery, Pairs};
pub(crate) use shape::milliseconds;
pub(super) use time::date;
pub(crate) use time::rfc3339;

/// The cursor that a page's end is told as, and that the next request brings back.
pub(crate) fn cursor_text(place: i64) -> String {
    format!("{place:x}")
}

/// Whoever may see the store gets it.
pub(super) fn store(state: &AppState, headers: &HeaderMap) -> Result<Store, ApiError> {
    auth::admit_admin(&state.settings.load().admin, headers)?;
    state.store.clone().ok_or(ApiError::StorageOff)
}

pub(crate) async fn list(
    State(state): State<AppState>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Json<Value>, ApiError> {
    let store = store(&state, &headers)?;
    let mut query = Query::of(pairs)?;
    let filter = query.filter()?;
    let page = PageRequest {
        limit: query.limit()?,
        before: query.place()?,
    };
    query.end()?;
    let page = store.list(filter, page).await?;
    let data: Vec<Value> = page.items.iter().map(shape::summary).collect();
    let next = page.next.map(cursor_text);
    Ok(Json(json!({ "object": "list", "data": data, "next_cursor": next })))
}

pub(crate) async fn show(State(state): State<AppState>, headers: HeaderMap, id: Id) -> Result<Response, ApiError> {
    let store = store(&state, &headers)?;
    let stored = store.show(known_form(&id)?).await?.ok_or(ApiError::UnknownResponse)?;
    let body = shape::whole(&stored).ok_or(ApiError::Store(StoreError::Damaged("an exchange")))?;
    Ok(([(CONTENT_TYPE, "application/json")], Bytes::from(body)).into_response())
}

pub(crate) async fn stats(State(state): State<AppState>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    let store = store(&state, &headers)?;
    Ok(Json(shape::stats(&store.stats().await?, store.facts())))
}

pub(crate) async fn delete_one(
    State(state): State<AppState>,
    headers: HeaderMap,
    id: Id,
) -> Result<Json<Value>, ApiError> {
    let store = store(&state, &headers)?;
    let id = known_form(&id)?;
    match store.delete(id).await? {
        true => Ok(Json(
            json!({ "object": "response.deleted", "id": id.to_string(), "deleted": true }),
        )),
        false => Err(ApiError::UnknownResponse),
    }
}

pub(crate) async fn delete_some(
    State(state): State<AppState>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Json<Value>, ApiError> {
    let store = store(&state, &headers)?;
    let mut query = Query::of(pairs)?;
    let filter = query.filter()?;
    query.end()?;
    if filter.is_empty() {
        return Err(ApiError::NoFilter);
    }
    let deleted = store.delete_matching(filter).await?;
    Ok(Json(json!({ "object": "responses.deleted", "deleted": deleted })))
}

pub(crate) async fn export(
    State(state): State<AppState>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let store = store(&state, &headers)?;
    let mut query = Query::of(pairs)?;
    let filter = query.filter()?;
    let format = query.format()?;
    query.end()?;
    // The first page is read before anything is answered: what is refused is refused with a status.
    let export = export::Export::begin(store, filter, format).await?;
    let kind = [(CONTENT_TYPE, "application/x-ndjson")];
    Ok((StatusCode::OK, kind, export.into_body()).into_response())
}

type Id = Result<Path<String>, PathRejection>;

/// An id that has no id's form is no stored exchange's.
fn known_form(id: &Id) -> Result<Uuid, ApiError> {
    let id = id.as_ref().ok().and_then(|Path(id)| id.parse().ok());
    id.ok_or(ApiError::UnknownResponse)
}
