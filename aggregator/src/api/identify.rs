//! `POST /admin/keys/identify`: whose key this is, where it leads and which models it may ask. The key is in the body alone,
//! and is not kept.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use keymap::{ApiKey, Credential, Decision, Model, Snapshot};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::router::AppState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    key: String,
}

pub(crate) async fn show(
    State(state): State<AppState>,
    body: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let Json(asked) = body.map_err(|_| ApiError::BadBody("This takes an object with `key`, and nothing else."))?;
    let name = router_of(&state.desk.keyring()?.snapshot(), &ApiKey::new(asked.key)).ok_or(ApiError::UnknownKey)?;
    let models = models_of(&state, &name)?;
    Ok(Json(json!({
        "object": "key", "name": &*name, "models": models.iter().map(|model| &**model).collect::<Vec<_>>(),
    })))
}

fn router_of(snapshot: &Snapshot, key: &ApiKey) -> Option<Arc<str>> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).ok()?;
    value.set_sensitive(true);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    let credential = Credential::from_headers(&headers).ok()??;
    let decision = snapshot.table.decide(&keymap::Request {
        credential: Some(&credential),
        method: "POST",
        host: "",
        path: "/v1/chat/completions",
        query: None,
        headers: &headers,
        client_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        entry_point: None,
        model: Model::Read(None),
    });
    match decision {
        Decision::Forward(route) => Some(Arc::clone(&route.router.name)),
        _ => None,
    }
}

/// Those of the servers that the key's service names, as far as the key may ask for them; of every backend, where the service
/// names none itself.
///
/// # Errors
/// Where no key has this name.
pub(crate) fn models_of(state: &AppState, name: &str) -> Result<Vec<Arc<str>>, ApiError> {
    let keyring = state.desk.keyring()?;
    let rows = keyring.rows();
    let row = rows.iter().find(|row| *row.name == *name).ok_or(ApiError::UnknownKey)?;
    let snapshot = keyring.snapshot();
    let mappings = snapshot.files.iter().filter_map(|file| file.mapping.as_deref());
    let mut services = mappings.flat_map(|mapping| mapping.services.iter());
    let service = services.find(|service| service.name == row.service);
    let urls: BTreeSet<String> = service
        .iter()
        .flat_map(|service| service.servers())
        .map(|server| crate::backend::BackendUrl::from(&server.url).to_string())
        .collect();
    let view = state.fleet.view();
    let is_its = |url: &str| urls.is_empty() || urls.contains(url);
    let is_allowed = |id: &str| {
        row.models
            .as_ref()
            .is_none_or(|models| models.iter().any(|model| model == id))
    };
    let backends = view.backends.iter().filter(|backend| is_its(backend.spec.url.as_str()));
    let models: BTreeSet<Arc<str>> = backends
        .flat_map(|backend| backend.models.iter().map(|(id, _)| Arc::clone(id)))
        .filter(|id| is_allowed(id))
        .collect();
    Ok(models.into_iter().collect())
}
