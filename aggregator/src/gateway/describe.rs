//! What is known of the models, as Ollama's, Anthropic's and Gemini's clients ask for it.
//!
//! Lists come from memory. One model in detail (`/api/show`) is asked of its backend, within bounds: heartbeats do not
//! carry templates about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use bytes::Bytes;
use dialect::ollama::known::KnownModel;
use serde_json::{Value, json};

use super::headers::hops;
use super::{Gateway, bounded};
use crate::backend::BackendKind;
use crate::fleet::{Backend, FleetView, Place};

/// A template and a tokenizer's whole vocabulary, if a backend is asked to be verbose.
const SHOW_BYTES_MAX: usize = 32 << 20;

/// A backend that is busy for longer is described without its own words.
const SHOW_PATIENCE: Duration = Duration::from_secs(3);

/// Ollama's clients read a time here; a backend does not tell when it will let a model go, and most never do.
const EXPIRES_AT_UNKNOWN: &str = "2318-01-01T00:00:00Z";

impl Gateway {
    /// Every model that somebody serves, each once, as its best backend describes it.
    pub(crate) fn known(&self) -> Vec<KnownModel> {
        let view = self.fleet.view();
        best(&view, |_, _| true)
            .into_iter()
            .map(|(id, backend)| of_list(backend, &id, false))
            .collect()
    }

    /// Those that are in memory somewhere.
    pub(crate) fn loaded(&self) -> Vec<KnownModel> {
        let view = self.fleet.view();
        let is_loaded = |backend: &Backend, id: &str| backend.models.get(id).is_some_and(|model| model.loaded);
        best(&view, is_loaded)
            .into_iter()
            .map(|(id, backend)| of_list(backend, &id, true))
            .collect()
    }

    /// The ids of every model.
    pub(crate) fn model_ids(&self) -> Vec<Arc<str>> {
        best(&self.fleet.view(), |_, _| true).into_keys().collect()
    }

    /// One model, by any of its names; `None` where nobody serves it.
    pub(crate) async fn describe(&self, name: &str, headers: &HeaderMap) -> Option<KnownModel> {
        if self.identity.sent(headers) {
            // It has come round: whoever asks is asked.
            return None;
        }
        let hops = hops(headers, self.identity.via());
        let view = self.fleet.view();
        let places = view.places(name)?;
        let well = |place: &&Place| view.backends[place.backend].is_healthy();
        let place = places.iter().find(well).or_else(|| places.first())?;
        let backend = &view.backends[place.backend];
        let described = of_list(backend, &place.model, false);
        let mut known = match backend.spec.kind {
            BackendKind::Ollama => {
                let body = json!({ "model": &*place.model }).to_string();
                match self
                    .fetched(backend, (Method::POST, "/api/show"), body.into(), hops)
                    .await
                {
                    Some(shown) => KnownModel::from_ollama(name, &shown),
                    None => described,
                }
            }
            BackendKind::OpenAi => match self.fetched(backend, (Method::GET, "/props"), Bytes::new(), hops).await {
                Some(props) => described.with_props(&props),
                None => described,
            },
            BackendKind::Anthropic | BackendKind::Gemini => described,
        };
        name.clone_into(&mut known.name);
        Some(known)
    }

    async fn fetched(
        &self,
        backend: &Backend,
        (method, path): (Method, &str),
        body: Bytes,
        hops: HeaderMap,
    ) -> Option<Value> {
        let request = self.fleet.upstream().request(method, backend, path).ok()?;
        let request = request
            .header(CONTENT_TYPE, "application/json")
            .headers(hops)
            .body(body);
        let fetch = async {
            let response = request
                .send()
                .await
                .ok()
                .filter(|response| response.status().is_success())?;
            let mut body: reqwest::Body = axum::http::Response::from(response).into_body();
            let body = bounded::whole(&mut body, SHOW_BYTES_MAX, None).await.ok()?;
            serde_json::from_slice(&body).ok().filter(Value::is_object)
        };
        tokio::time::timeout(SHOW_PATIENCE, fetch).await.ok().flatten()
    }
}

/// Every model's id and the first backend of those that count, in the order in which their lists are merged.
fn best(view: &FleetView, counts: impl Fn(&Backend, &str) -> bool) -> BTreeMap<Arc<str>, &Backend> {
    let mut best: BTreeMap<Arc<str>, &Backend> = BTreeMap::new();
    for backend in view
        .backends
        .iter()
        .filter(|backend| backend.status != crate::fleet::Status::Down)
    {
        for (id, _) in backend.models.iter().filter(|(id, _)| counts(backend, id)) {
            best.entry(Arc::clone(id)).or_insert(backend);
        }
    }
    best
}

fn of_list(backend: &Backend, id: &str, in_memory: bool) -> KnownModel {
    let Some(served) = backend.models.get(id) else {
        return KnownModel::named(id);
    };
    let value = |json: &Option<Arc<serde_json::value::RawValue>>| -> Value {
        let json = json.as_deref().map_or("null", |json| json.get());
        serde_json::from_str(json).unwrap_or_default()
    };
    match backend.spec.kind {
        BackendKind::Ollama => {
            let mut entry = value(&served.model);
            if let Some(entry) = entry.as_object_mut().filter(|_| in_memory) {
                let size = entry.get("size").cloned().unwrap_or(json!(0));
                entry.entry("expires_at").or_insert(json!(EXPIRES_AT_UNKNOWN));
                entry.entry("size_vram").or_insert(size);
            }
            KnownModel::from_ollama(id, &entry)
        }
        BackendKind::OpenAi => KnownModel::from_openai(id, &value(&served.datum)).with_listing(&value(&served.model)),
        BackendKind::Anthropic | BackendKind::Gemini => KnownModel::named(id),
    }
}
