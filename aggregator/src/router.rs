//! Every route of the aggregator, in one list.
//!
//! HEAD works where GET does; what is not listed is a 404 and a wrong method a 405, both in OpenAI's error shape.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::get;

use crate::api;
use crate::backend::Identity;
use crate::catalogue::Catalogue;
use crate::error::ApiError;
use crate::stats::StatsBoard;

/// What handlers may see: prepared answers, nothing that could make them wait for long.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) stats: Arc<StatsBoard>,
    pub(crate) identity: Identity,
}

pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route("/health", get(api::health::show))
        .route("/stats", get(api::stats::show))
        .route("/v1/models", get(api::models::list))
        .fallback(|method: Method, uri: Uri| async move { ApiError::UnknownPath { method, uri } })
        .method_not_allowed_fallback(
            |method: Method, uri: Uri| async move { ApiError::MethodNotAllowed { method, uri } },
        )
        .with_state(state)
}
