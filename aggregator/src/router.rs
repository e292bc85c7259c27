//! Every route of the aggregator, in one list.
//!
//! HEAD works where GET does; what is not listed is a 404 and a wrong method a 405, both in OpenAI's error shape.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::{delete, get, post};

use crate::api;
use crate::backend::Identity;
use crate::catalogue::Catalogue;
use crate::config_file::CurrentConfig;
use crate::desk::Desk;
use crate::door::Door;
use crate::error::ApiError;
use crate::fleet::Fleet;
use crate::gateway::{Endpoint, Gateway};
use crate::metrics::Metrics;
use crate::stats::StatsBoard;
use crate::store::Store;
use crate::ui;

/// What handlers may see: prepared answers, nothing that could make them wait for long.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) settings: Arc<CurrentConfig>,
    pub(crate) stats: Arc<StatsBoard>,
    pub(crate) identity: Identity,
    /// Where responses are kept, if they are.
    pub(crate) store: Option<Store>,
    pub(crate) metrics: Metrics,
    /// Before administration and pages.
    pub(crate) door: Door,
}

/// What `GET /` tells of; kept beside the routes.
pub(crate) const PATHS: &[&str] = &[
    "/health",
    "/metrics",
    "/openapi.json",
    "/stats",
    "/v1/models",
    "/v1/models/{id}",
    "/v1/chat/completions",
    "/v1/council/chat",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
    "/api/tags",
    "/api/ps",
    "/api/show",
    "/api/version",
    "/ui",
    "/admin/backends",
    "/admin/backends/{name}/drain",
    "/admin/backends/{name}/undrain",
    "/admin/chat",
    "/admin/council/chat",
    "/admin/keys",
    "/admin/keys/identify",
    "/admin/keys/{name}",
    "/admin/keys/{name}/rotate",
    "/admin/mappings",
    "/admin/series",
    "/admin/council/templates",
    "/admin/responses",
    "/admin/responses/stats",
    "/admin/responses/export",
    "/admin/responses/{id}",
    "/admin/usage",
    "/",
];

pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .merge(state.door.admin(administration()))
        .merge(state.door.pages(pages()))
        .route("/", get(api::root::show))
        .route("/health", get(api::health::show))
        .route("/metrics", get(api::metrics::show))
        .route("/openapi.json", get(api::openapi::show))
        .route("/stats", get(api::stats::show))
        .route("/v1/models", get(api::models::list))
        .route("/v1/models/{*id}", get(api::models::show))
        .route("/v1/chat/completions", api::inference::at(Endpoint::ChatCompletions))
        .route("/v1/council/chat", api::inference::at(Endpoint::CouncilChat))
        .route("/v1/completions", api::inference::at(Endpoint::Completions))
        .route("/v1/embeddings", api::inference::at(Endpoint::Embeddings))
        .route("/v1/responses", api::inference::at(Endpoint::Responses))
        .route("/v1/messages", api::inference::at(Endpoint::Messages))
        .route("/v1/messages/count_tokens", api::inference::at(Endpoint::CountTokens))
        .route("/api/chat", api::inference::at(Endpoint::OllamaChat))
        .route("/api/generate", api::inference::at(Endpoint::OllamaGenerate))
        .route("/api/embed", api::inference::at(Endpoint::OllamaEmbed))
        .route("/api/embeddings", api::inference::at(Endpoint::OllamaEmbeddings))
        .route("/api/tags", get(api::ollama::tags))
        .route("/api/ps", get(api::ollama::ps))
        .route("/api/version", get(api::ollama::version))
        .route("/api/show", post(api::ollama::show))
        .route("/api/pull", post(api::ollama::manage))
        .route("/api/push", post(api::ollama::manage))
        .route("/api/create", post(api::ollama::manage))
        .route("/api/copy", post(api::ollama::manage))
        .route("/api/delete", delete(api::ollama::manage).post(api::ollama::manage))
        .route(
            "/api/blobs/{digest}",
            post(api::ollama::manage).head(api::ollama::manage),
        )
        .fallback(|method: Method, uri: Uri| async move { ApiError::UnknownPath { method, uri } })
        .method_not_allowed_fallback(
            |method: Method, uri: Uri| async move { ApiError::MethodNotAllowed { method, uri } },
        )
        .with_state(state)
}

/// Behind the admin token, all of it.
fn administration() -> Router<AppState> {
    Router::new()
        .route("/admin/backends", get(api::admin::backends))
        .route("/admin/backends/{name}/drain", post(api::admin::drain))
        .route("/admin/backends/{name}/undrain", post(api::admin::undrain))
        .route("/admin/chat", post(api::chat::models))
        .route("/admin/council/chat", post(api::chat::council))
        .route("/admin/keys", get(api::keys::list).post(api::keys::create))
        .route("/admin/keys/identify", post(api::identify::show))
        .route("/admin/keys/{name}", delete(api::keys::revoke))
        .route("/admin/keys/{name}/rotate", post(api::keys::rotate))
        .route("/admin/mappings", get(api::mappings::list))
        .route("/admin/series", get(api::series::show))
        .route("/ui/part/{page}", get(ui::part))
        .route("/ui/live/{page}", get(ui::live))
        .route("/admin/council/templates", get(api::council::templates))
        .route(
            "/admin/responses",
            get(api::responses::list).delete(api::responses::delete_some),
        )
        .route("/admin/responses/stats", get(api::responses::stats))
        .route("/admin/responses/export", get(api::responses::export))
        .route(
            "/admin/responses/{id}",
            get(api::responses::show).delete(api::responses::delete_one),
        )
        .route("/admin/usage", get(api::usage::show))
}

/// The same for everybody, without data: what shows it asks for the token.
fn pages() -> Router<AppState> {
    Router::new()
        .route("/ui", get(ui::shell))
        .route("/ui/{page}", get(ui::shell))
        .route("/ui/assets/{file}", get(ui::asset))
}
