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
use crate::config_file::CurrentConfig;
use crate::error::ApiError;
use crate::fleet::Fleet;
use crate::stats::StatsBoard;

/// What handlers may see: prepared answers, nothing that could make them wait for long.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) settings: Arc<CurrentConfig>,
    pub(crate) stats: Arc<StatsBoard>,
    pub(crate) identity: Identity,
}

/// What `GET /` tells of; kept beside the routes.
pub(crate) const PATHS: [&str; 6] = [
    "/health",
    "/stats",
    "/v1/models",
    "/v1/models/{id}",
    "/admin/backends",
    "/",
];

pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route("/", get(api::root::show))
        .route("/admin/backends", get(api::admin::backends))
        .route("/health", get(api::health::show))
        .route("/stats", get(api::stats::show))
        .route("/v1/models", get(api::models::list))
        .route("/v1/models/{*id}", get(api::models::show))
        .fallback(|method: Method, uri: Uri| async move { ApiError::UnknownPath { method, uri } })
        .method_not_allowed_fallback(
            |method: Method, uri: Uri| async move { ApiError::MethodNotAllowed { method, uri } },
        )
        .with_state(state)
}
