//! `/admin/keys*`: the mapping folder's keys, seen and edited. What a key is, is shown once, in the answer that made it.

use std::collections::HashMap;
use std::time::SystemTime;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse as _, Response};
use keymap::edit::KeyRow;
use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::Listing;
use super::query::Query;
use crate::error::ApiError;
use crate::keyring::{Made, Wanted};
use crate::router::AppState;
use crate::store::{Usage, UsageBy, UsageRequest};

/// How long the key before a rotated one works, unless the request says otherwise.
const GRACE_DEFAULT: &str = "24h";
const MONTH_DAYS: i64 = 30;

/// A page of keys, what each used, and where the next page begins.
pub(crate) struct KeyPage {
    pub(crate) rows: Vec<KeyRow>,
    pub(crate) used: HashMap<String, Used>,
    pub(crate) total: usize,
    pub(crate) next: Option<String>,
}

/// Of one key: today, and in the last thirty days, by UTC.
#[derive(Debug, Clone, Default)]
pub(crate) struct Used {
    pub(crate) today: Usage,
    pub(crate) month: Usage,
}

/// Which keys.
#[derive(Debug, Default)]
pub(crate) struct KeyRequest {
    /// A part of a name, a service, a file, or a fingerprint.
    pub(crate) search: Option<String>,
    pub(crate) listing: Listing,
}

impl KeyRequest {
    pub(crate) fn read(query: &mut Query) -> Result<Self, ApiError> {
        Ok(Self {
            search: query.search()?,
            listing: Listing::read(query)?,
        })
    }
}

pub(crate) async fn list(State(state): State<AppState>, query: Query) -> Result<Json<Value>, ApiError> {
    let page = page(&state, &query.whole(KeyRequest::read)?).await?;
    let data: Vec<Value> = page
        .rows
        .iter()
        .map(|row| entry(row, page.used.get(&*row.name)))
        .collect();
    Ok(Json(
        json!({ "object": "list", "data": data, "total": page.total, "next_cursor": page.next }),
    ))
}

/// # Errors
/// Where no folder is followed, or the store cannot be read.
pub(crate) async fn page(state: &AppState, request: &KeyRequest) -> Result<KeyPage, ApiError> {
    let all = state.desk.keyring()?.rows();
    let found: Vec<&KeyRow> = all
        .iter()
        .filter(|row| matches(row, request.search.as_deref()))
        .collect();
    let (shown, next) = request.listing.page(&found, |row| &row.name);
    Ok(KeyPage {
        rows: shown.iter().map(|row| (*row).clone()).collect(),
        used: used(state, request.listing.after.clone()).await?,
        total: found.len(),
        next,
    })
}

fn matches(row: &KeyRow, search: Option<&str>) -> bool {
    let Some(search) = search else { return true };
    let fields = [&row.name, &row.service, &row.file];
    fields.iter().any(|field| field.to_lowercase().contains(search))
        || row.fingerprints.iter().any(|print| print.starts_with(search))
}

/// Of the thousand names that follow this one; nothing where nothing is stored.
async fn used(state: &AppState, after: Option<String>) -> Result<HashMap<String, Used>, ApiError> {
    let Some(store) = &state.store else {
        return Ok(HashMap::new());
    };
    let today = today();
    let mut used: HashMap<String, Used> = HashMap::new();
    for (days, is_today) in [(1, true), (MONTH_DAYS, false)] {
        let request = UsageRequest {
            by: UsageBy::Key,
            from_day: Some(today + 1 - days),
            to_day: Some(today),
            of: None,
            limit: 1_000,
            after: after.clone(),
        };
        for usage in store.usage(request).await?.items {
            let entry = used.entry(usage.group.clone()).or_default();
            match is_today {
                true => entry.today = usage,
                false => entry.month = usage,
            }
        }
    }
    Ok(used)
}

/// Days since 1970.
fn today() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_secs() / 86_400).unwrap_or(0)
}

fn entry(row: &KeyRow, used: Option<&Used>) -> Value {
    let sums = |usage: &Usage| {
        json!({
            "requests": usage.exchanges,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "refused": usage.refused,
        })
    };
    let mut entry = serde_json::to_value(row).unwrap_or_default();
    entry["object"] = "key".into();
    entry["used_today"] = used.map(|used| sums(&used.today)).into();
    entry["used_30_days"] = used.map(|used| sums(&used.month)).into();
    entry
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    name: String,
    service: Option<String>,
    #[serde(default)]
    models: Vec<String>,
    requests_per_minute: Option<std::num::NonZeroU64>,
    tokens_per_day: Option<std::num::NonZeroU64>,
    concurrent: Option<std::num::NonZeroU64>,
    expires: Option<String>,
    note: Option<String>,
}

pub(crate) async fn create(
    State(state): State<AppState>,
    body: Result<Json<NewKey>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(new) = body.map_err(|_| {
        ApiError::BadBody(
            "A new key is an object with `name`, and if wanted `service`, `models` (a list), `requests_per_minute`, \
             `tokens_per_day`, `concurrent` (whole numbers from 1), `expires` and `note`.",
        )
    })?;
    let made = state.desk.keyring()?.create(Wanted {
        name: new.name.trim().to_owned(),
        service: new.service.filter(|service| !service.trim().is_empty()),
        models: new
            .models
            .iter()
            .map(|model| model.trim().to_owned())
            .filter(|model| !model.is_empty())
            .collect(),
        requests_per_minute: new.requests_per_minute.map(Into::into),
        tokens_per_day: new.tokens_per_day.map(Into::into),
        concurrent: new.concurrent.map(Into::into),
        expires: new.expires.filter(|expires| !expires.trim().is_empty()),
        note: new.note.filter(|note| !note.trim().is_empty()),
    });
    let made = made.await?;
    tracing::info!(key = %made.name, file = %made.file, "a key was made");
    Ok(shown_once(StatusCode::CREATED, &made))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rotate {
    grace: Option<String>,
}

type Name = Result<Path<String>, PathRejection>;

pub(crate) async fn rotate(
    State(state): State<AppState>,
    name: Name,
    body: Result<Option<Json<Rotate>>, JsonRejection>,
) -> Result<Response, ApiError> {
    let body =
        body.map_err(|_| ApiError::BadBody("A rotation takes `grace`, a duration such as 24h, and nothing else."))?;
    let Json(wish) = body.unwrap_or_default();
    let grace = wish.grace.unwrap_or_else(|| GRACE_DEFAULT.to_owned());
    let made = state.desk.keyring()?.rotate(named(name)?, grace).await?;
    tracing::info!(key = %made.name, file = %made.file, "a key was exchanged");
    Ok(shown_once(StatusCode::OK, &made))
}

pub(crate) async fn revoke(State(state): State<AppState>, name: Name) -> Result<Json<Value>, ApiError> {
    let revoked = state.desk.keyring()?.revoke(vec![named(name)?]).await?;
    tracing::info!(keys = ?revoked.names, "keys were revoked");
    Ok(Json(json!({
        "object": "key.revoked", "names": revoked.names, "takes_patterns": revoked.patterns, "revoked": true,
    })))
}

fn named(name: Name) -> Result<String, ApiError> {
    let Path(name) = name.map_err(|_| ApiError::BadBody("The name in the path cannot be read."))?;
    Ok(name)
}

/// No cache on the way may keep it.
fn shown_once(status: StatusCode, made: &Made) -> Response {
    let body = json!({
        "object": "key",
        "name": made.name,
        "key": made.key.expose(),
        "file": made.file,
        "service": made.service,
        "expires_at": made.expires_at,
        "old_key_until": made.old_key_until,
    });
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
