//! The one place that turns errors into HTTP: OpenAI's shape, `{"error":{"message","type","code"}}`.
//!
//! Refuses internals: what is sent are sentences written here; causes go to the log.

use axum::Json;
use axum::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::api::query::BadQuery;
use crate::door::DoorRefusal;
use crate::store::StoreError;
use keymap::edit::EditError;

/// A path is repeated in a message up to this many characters: enough to recognise a typing error.
const PATH_CHARS_MAX: usize = 200;

#[derive(Debug)]
pub(crate) enum ApiError {
    /// No route has this path.
    UnknownPath { method: Method, uri: Uri },
    /// The path exists, the method does not; axum adds `Allow`.
    MethodNotAllowed { method: Method, uri: Uri },
    /// The request is one of our own polls, come back to us.
    Loop,
    /// Nothing has been measured yet.
    StatsNotReady,
    /// No backend serves it. The name is not repeated: a client may have put anything there.
    UnknownModel,
    /// No admin token is configured.
    AdminClosed,
    /// The admin token is missing or wrong.
    AdminToken,
    /// The door before administration stays shut.
    Door(DoorRefusal),
    /// A parameter of the query is unknown, repeated, or not in its form.
    BadQuery(BadQuery),
    /// Responses are not kept.
    StorageOff,
    /// No response with this id is kept.
    UnknownResponse,
    /// Everything would be deleted: nobody means that by leaving the filters out.
    NoFilter,
    /// The store refuses or fails.
    Store(StoreError),
    /// No folder of mapping files is followed.
    NoFolder,
    /// No backend has this name.
    UnknownBackend,
    /// A mapping file is not edited.
    Edit(EditError),
    /// The request's body is not what this takes.
    BadBody(&'static str),
    /// No router of the mapping files knows the key, or has this name.
    UnknownKey,
    /// There is no such page.
    UnknownPage,
    /// More pages are followed live than are rendered.
    TooManyWatchers,
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::StatsNotReady => StatusCode::SERVICE_UNAVAILABLE,
            Self::UnknownModel => StatusCode::NOT_FOUND,
            Self::AdminClosed => StatusCode::FORBIDDEN,
            Self::AdminToken => StatusCode::UNAUTHORIZED,
            Self::Door(refusal) => refusal.status(),
            Self::BadQuery(_) | Self::NoFilter => StatusCode::BAD_REQUEST,
            Self::StorageOff | Self::UnknownResponse => StatusCode::NOT_FOUND,
            Self::NoFolder | Self::UnknownBackend | Self::UnknownPage | Self::UnknownKey => StatusCode::NOT_FOUND,
            Self::Edit(_) | Self::BadBody(_) => StatusCode::BAD_REQUEST,
            Self::TooManyWatchers => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(StoreError::SearchOff) => StatusCode::CONFLICT,
            Self::Store(StoreError::Full) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Store(StoreError::Busy | StoreError::Closed) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// OpenAI's pair: whose fault it is, and a word for programs.
    fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::UnknownPath { .. } => ("invalid_request_error", "not_found"),
            Self::MethodNotAllowed { .. } => ("invalid_request_error", "method_not_allowed"),
            Self::Loop => ("server_error", "loop_detected"),
            Self::StatsNotReady => ("server_error", "stats_not_ready"),
            Self::UnknownModel => ("invalid_request_error", "model_not_found"),
            Self::AdminClosed => ("invalid_request_error", "admin_closed"),
            Self::AdminToken => ("authentication_error", "invalid_admin_token"),
            Self::Door(refusal) => refusal.kind(),
            Self::BadQuery(_) => ("invalid_request_error", "invalid_query"),
            Self::NoFilter => ("invalid_request_error", "filter_required"),
            Self::StorageOff => ("invalid_request_error", "storage_disabled"),
            Self::UnknownResponse => ("invalid_request_error", "response_not_found"),
            Self::NoFolder => ("invalid_request_error", "no_mapping_folder"),
            Self::UnknownBackend => ("invalid_request_error", "backend_not_found"),
            Self::UnknownKey => ("invalid_request_error", "key_not_found"),
            Self::UnknownPage => ("invalid_request_error", "page_not_found"),
            Self::Edit(_) => ("invalid_request_error", "key_refused"),
            Self::BadBody(_) => ("invalid_request_error", "invalid_body"),
            Self::TooManyWatchers => ("server_error", "too_many_watchers"),
            Self::Store(StoreError::SearchOff) => ("invalid_request_error", "full_text_search_disabled"),
            Self::Store(StoreError::Full) => ("server_error", "storage_full"),
            Self::Store(StoreError::Busy | StoreError::Closed) => ("server_error", "storage_busy"),
            Self::Store(_) => ("server_error", "storage_failed"),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::UnknownPath { method, uri } => format!("There is no {method} {} here.", shown(uri)),
            Self::MethodNotAllowed { method, uri } => format!("{} does not answer to {method}.", shown(uri)),
            Self::Loop => "A mapping file leads the aggregator's own poll back to the aggregator; exclude that file \
                           with --skip-mapping."
                .to_owned(),
            Self::StatsNotReady => "The host has not been measured yet; try again in a second.".to_owned(),
            Self::UnknownModel => {
                "No backend serves this model; GET /v1/models lists those that are served.".to_owned()
            }
            Self::AdminClosed => "The admin endpoints are closed: no token is configured. Set ADMIN_TOKEN, or \
                                  `admin.auth.token` in config.yaml."
                .to_owned(),
            Self::AdminToken => "The admin endpoints want `Authorization: Bearer` and the admin token.".to_owned(),
            Self::Door(refusal) => refusal.message().to_owned(),
            Self::BadQuery(bad) => bad.message(),
            Self::NoFilter => {
                "This deletes what its filters let through, so it wants at least one. To delete all there \
                               is, say so: `from=1970-01-01`."
                    .to_owned()
            }
            Self::StorageOff => "Responses are not kept here. Set `response_storage.enabled` in config.yaml, or start \
                                 with --db-path."
                .to_owned(),
            Self::UnknownResponse => "No response with this id is kept.".to_owned(),
            Self::NoFolder => "No folder of mapping files is followed here.".to_owned(),
            Self::UnknownBackend => "No backend has this name; GET /admin/backends lists them.".to_owned(),
            Self::UnknownKey => {
                "No router of the mapping files has this key; GET /admin/keys lists those that do.".to_owned()
            }
            Self::UnknownPage => "There is no such page; /ui has them all.".to_owned(),
            Self::Edit(error) => edit_message(error),
            Self::BadBody(wanted) => (*wanted).to_owned(),
            Self::TooManyWatchers => "Too many pages are followed live; close some, or load this one anew.".to_owned(),
            Self::Store(error) => store_message(error).to_owned(),
        }
    }
}

/// The rule, what broke it, the fix: whoever has the admin token edits these files.
fn edit_message(error: &EditError) -> String {
    let value = match error.value() {
        "" => String::new(),
        value => format!(" ({value})"),
    };
    format!("{}{value} {}", error.rule(), error.fix()).trim_end().to_owned()
}

/// What a client may know of the store's failures.
fn store_message(error: &StoreError) -> &'static str {
    match error {
        StoreError::SearchOff => {
            "`text` needs full-text search, which is switched off: `response_storage.full_text_search` in config.yaml."
        }
        StoreError::Full => "The response store's disk is full.",
        StoreError::Busy | StoreError::Closed => "The response store is busy; try again in a moment.",
        StoreError::Damaged(_) => "The response store holds something that cannot be read back; the log says what.",
        _ => "The response store failed; the log says why.",
    }
}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if !matches!(error, StoreError::SearchOff) {
            tracing::warn!(%error, "an admin request failed");
        }
        Self::Store(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (kind, code) = self.kind();
        let body = json!({ "error": { "message": self.message(), "type": kind, "code": code } });
        let mut response = (self.status(), Json(body)).into_response();
        if matches!(self, Self::AdminToken) {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::Door(refusal) = self
            && let Some(seconds) = refusal.retry_after()
        {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The path alone: a query may hold what somebody took for a place to put a key.
fn shown(uri: &Uri) -> String {
    uri.path().chars().take(PATH_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_never_repeats_the_query_nor_a_long_path_whole() {
        let uri: Uri = format!("/{}?key=sk-canary", "x".repeat(5000)).parse().unwrap();
        let message = ApiError::UnknownPath {
            method: Method::GET,
            uri,
        }
        .message();
        assert!(!message.contains("canary"));
        assert!(message.len() < PATH_CHARS_MAX + 50);
    }
}
