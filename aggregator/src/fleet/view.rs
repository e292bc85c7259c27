//! Every backend at one moment, and which of them serve which model. Immutable; a new edition replaces it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use axum::http::header::HeaderMap;

use super::models::{LATEST, Models};
use super::traffic::Traffic;
use crate::backend::{BackendId, Spec};
use crate::config_file::Routing;

/// How a backend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Not heard of yet.
    Unknown,
    Up,
    /// It was up and does not answer in time now.
    Slow,
    Down,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Slow => "slow",
            Self::Down => "down",
        }
    }
}

/// One backend at one moment; [`Traffic`] alone goes on counting.
pub(crate) struct Backend {
    pub(crate) id: BackendId,
    /// Stays the same for as long as the process knows the backend; never given to another.
    pub(crate) number: u32,
    pub(crate) spec: Arc<Spec>,
    pub(crate) status: Status,
    /// Why it is down.
    pub(crate) cause: Option<Arc<str>>,
    /// When it was last asked and had answered or failed.
    pub(crate) heard_at: Option<SystemTime>,
    /// What it serves; where it is down, what it served last.
    pub(crate) models: Arc<Models>,
    /// How many requests it works on at once, where it says so.
    pub(crate) slots: Option<u32>,
    /// Requests of others than us, as of the last heartbeat.
    pub(crate) others_busy: u32,
    pub(crate) traffic: Arc<Traffic>,
    /// What every request to it is sent with: keys and what the configuration adds. Marked sensitive.
    pub(crate) headers: HeaderMap,
}

impl Backend {
    /// Whether requests go there before they go anywhere that is not well.
    pub(crate) fn is_healthy(&self) -> bool {
        self.status == Status::Up && !self.traffic.is_suspended()
    }

    /// Requests that it works on or has waiting, ours and others'.
    pub(crate) fn busy(&self) -> u32 {
        self.traffic.in_flight().saturating_add(self.others_busy)
    }

    /// Its base address and a path below it, `/v1/chat/completions` for example.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.spec.url)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("name", &self.spec.name)
            .field("status", &self.status)
            .field("models", &self.models.len())
            .finish_non_exhaustive()
    }
}

/// One backend that serves a model, and the id by which it knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Into [`FleetView::backends`].
    pub(crate) backend: usize,
    pub(crate) model: Arc<str>,
}

/// Where a model is served.
#[derive(Debug, Clone)]
struct Served {
    places: Vec<Place>,
    /// Counts this model's requests: one counter for all models would keep two that alternate on one backend each.
    turns: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
pub(crate) struct FleetView {
    /// In the order in which their lists are merged: by priority, configured before mapped.
    pub(crate) backends: Box<[Arc<Backend>]>,
    pub(crate) routing: Arc<Routing>,
    by_model: BTreeMap<Arc<str>, Served>,
    by_name: HashMap<Arc<str>, usize>,
}

impl FleetView {
    /// `before` is the edition that this one replaces: its counters go on.
    pub(crate) fn new(backends: Vec<Arc<Backend>>, routing: Arc<Routing>, before: &Self) -> Self {
        let mut by_model: BTreeMap<Arc<str>, Served> = BTreeMap::new();
        for (index, backend) in backends.iter().enumerate() {
            for (name, id) in backend.models.names() {
                let served = by_model.entry(Arc::clone(name)).or_insert_with(|| Served {
                    places: Vec::new(),
                    turns: before
                        .by_model
                        .get(name)
                        .map(|known| Arc::clone(&known.turns))
                        .unwrap_or_default(),
                });
                served.places.push(Place {
                    backend: index,
                    model: Arc::clone(id),
                });
            }
        }
        let by_name = backends
            .iter()
            .enumerate()
            .map(|(index, backend)| (Arc::clone(&backend.spec.name), index));
        Self {
            by_name: by_name.collect(),
            backends: backends.into(),
            routing,
            by_model,
        }
    }

    /// Who serves what is asked for by this name. A model's own name comes first, whatever slashes it has in it; then
    /// `backend/model`, which means that backend alone; then, for Ollama's clients, which put it behind every name without
    /// a tag, the same without `:latest`. `None`: nobody, and no backend of that name could be hiding it.
    pub(crate) fn places(&self, name: &str) -> Option<Vec<Place>> {
        let untagged = || name.strip_suffix(LATEST).and_then(|name| self.places_of(name));
        self.places_of(name).or_else(untagged)
    }

    fn places_of(&self, name: &str) -> Option<Vec<Place>> {
        if let Some(served) = self.by_model.get(name) {
            return Some(served.places.clone());
        }
        let (index, model) = self.named_backend(name)?;
        let backend = &self.backends[index];
        let place = backend.models.id_of(model).map(|id| Place {
            backend: index,
            model: Arc::clone(id),
        });
        // One that was never heard of may well serve it.
        let unheard = backend.models.len() == 0 && backend.status != Status::Up;
        place.map(|place| vec![place]).or_else(|| unheard.then(Vec::new))
    }

    /// How many requests for this name came before; counts this one.
    pub(crate) fn next_turn(&self, name: &str) -> u64 {
        self.by_model
            .get(name)
            .map_or(0, |served| served.turns.fetch_add(1, Ordering::Relaxed))
    }

    /// The backend that `backend/model` names, and the model.
    fn named_backend<'n>(&self, name: &'n str) -> Option<(usize, &'n str)> {
        let (backend, model) = name.split_once('/')?;
        self.by_name.get(backend).map(|index| (*index, model))
    }
}
