//! `/admin/responses*`: what the store holds, for whoever has the admin token.

mod chat;
mod export;
mod shape;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use super::query::Query;
use crate::error::ApiError;
use crate::router::AppState;
use crate::store::{PageRequest, Store, StoreError};

pub(crate) use chat::conversation;
pub(crate) use shape::milliseconds;

/// The cursor that a page's end is told as, and that the next request brings back.
pub(crate) fn cursor_text(place: i64) -> String {
    format!("{place:x}")
}

pub(super) fn store(state: &AppState) -> Result<Store, ApiError> {
    state.store.clone().ok_or(ApiError::StorageOff)
}

pub(crate) async fn list(State(state): State<AppState>, query: Query) -> Result<Json<Value>, ApiError> {
    let store = store(&state)?;
    let (filter, limit, before) = query.whole(|query| Ok((query.filter()?, query.limit()?, query.place()?)))?;
    let page = PageRequest { limit, before };
    let page = store.list(filter, page).await?;
    let data: Vec<Value> = page.items.iter().map(shape::summary).collect();
    let next = page.next.map(cursor_text);
    Ok(Json(json!({ "object": "list", "data": data, "next_cursor": next })))
}

pub(crate) async fn show(State(state): State<AppState>, id: Id) -> Result<Response, ApiError> {
    let store = store(&state)?;
    let stored = store.show(known_form(&id)?).await?.ok_or(ApiError::UnknownResponse)?;
    let body = shape::whole(&stored).ok_or(ApiError::Store(StoreError::Damaged("an exchange")))?;
    Ok(([(CONTENT_TYPE, "application/json")], Bytes::from(body)).into_response())
}

pub(crate) async fn stats(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let store = store(&state)?;
    Ok(Json(shape::stats(&store.stats().await?, store.facts())))
}

pub(crate) async fn delete_one(State(state): State<AppState>, id: Id) -> Result<Json<Value>, ApiError> {
    let store = store(&state)?;
    let id = known_form(&id)?;
    match store.delete(id).await? {
        true => Ok(Json(
            json!({ "object": "response.deleted", "id": id.to_string(), "deleted": true }),
        )),
        false => Err(ApiError::UnknownResponse),
    }
}

pub(crate) async fn delete_some(State(state): State<AppState>, query: Query) -> Result<Json<Value>, ApiError> {
    let store = store(&state)?;
    let filter = query.whole(Query::filter)?;
    if filter.is_empty() {
        return Err(ApiError::NoFilter);
    }
    let deleted = store.delete_matching(filter).await?;
    Ok(Json(json!({ "object": "responses.deleted", "deleted": deleted })))
}

pub(crate) async fn export(State(state): State<AppState>, query: Query) -> Result<Response, ApiError> {
    let store = store(&state)?;
    let (filter, format) = query.whole(|query| Ok((query.filter()?, query.format()?)))?;
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
