//! `GET /admin/council/templates`, and councils where models are listed.

use axum::Json;
use axum::extract::State;
use dialect::ollama::known::KnownModel;
use serde_json::{Value, json};

use super::listing::Listing;
use super::query::Query;
use crate::error::ApiError;
use crate::router::AppState;

pub(crate) async fn templates(State(state): State<AppState>, query: Query) -> Result<Json<Value>, ApiError> {
    let listing = query.whole(Listing::read)?;
    let all = state.gateway.council.describe();
    let (shown, next) = listing.page(&all, |(name, _)| name);
    let data: Vec<&Value> = shown.iter().map(|(_, template)| template).collect();
    Ok(Json(json!({ "object": "list", "data": data, "next_cursor": next })))
}

/// `GET /v1/models/council/NAME`, in OpenAI's shape; `None` where it is no council.
pub(crate) fn described(state: &AppState, id: &str) -> Option<Value> {
    let template = state.gateway.council.named(id)?;
    Some(json!({
        "id": id,
        "object": "model",
        "created": 0,
        "owned_by": "conclave",
        "description": template.description,
        "backends": [],
    }))
}

/// As Ollama's clients know models.
pub(crate) fn known(state: &AppState) -> Vec<KnownModel> {
    state
        .gateway
        .council
        .listed()
        .iter()
        .map(|name| KnownModel::named(&**name))
        .collect()
}

/// `council/NAME` as Ollama's clients are told of one model.
pub(crate) fn shown(state: &AppState, name: &str) -> Option<KnownModel> {
    state.gateway.council.named(name).map(|_| KnownModel::named(name))
}
