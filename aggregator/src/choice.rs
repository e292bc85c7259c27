//! Who answers a request: a model's name and the fleet as it is → candidates in order. Pure.
//!
//! ```text
//!  name ──chain──▶ name, fallback, fallback, … ──places──▶ backends ──order (strategy)──▶ healthy ones, in order
//!                                                                                └─────▶ ailing ones, after all others
//! ```
//!
//! Down backends and those that an operator drains are never tried. Ailing ones (slow to answer heartbeats, or a request to them has just failed) are
//! tried when nothing else is left, for a guess beats a refusal. Every candidate says which model it is for.

mod chain;
mod order;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::fleet::{Backend, FleetView, Place, Status};
use order::Facts;

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// As the client wrote it: a model's name, or `backend/model`.
    pub(crate) model: &'a str,
    /// By the backends' numbers: how much of the conversation each has in its cache, in any unit. Empty where nobody
    /// knows.
    pub(crate) held: &'a HashMap<u32, usize>,
    /// Numbers of backends that are not to be tried (again).
    pub(crate) excluded: &'a [u32],
}

/// One backend to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Into the view's backends.
    pub(crate) backend: usize,
    /// The model's id as that backend knows it.
    pub(crate) model: Arc<str>,
    /// The name in the fallback chain that it is for; `None` for the name that was asked for.
    pub(crate) fallback: Option<Arc<str>>,
}

/// Why nobody is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChoiceError {
    /// No backend serves the model, nor anything that stands in for it: 404.
    UnknownModel,
    /// Those that serve it are down, drained or excluded: 503.
    Unavailable,
}

impl fmt::Display for ChoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownModel => "no backend serves this model",
            Self::Unavailable => "no backend that serves this model can be reached",
        })
    }
}

impl std::error::Error for ChoiceError {}

/// The candidates, best first; at least one.
pub(crate) fn plan(view: &FleetView, ask: &Ask<'_>) -> Result<Vec<Candidate>, ChoiceError> {
    let mut well = Vec::new();
    let mut ailing = Vec::new();
    let mut is_known = false;
    for name in chain::chain(ask.model, &view.routing.fallbacks) {
        let Some(places) = view.places(&name) else { continue };
        is_known = true;
        let fallback = (&*name != ask.model).then(|| Arc::clone(&name));
        let usable = places
            .into_iter()
            .filter(|place| is_usable(&view.backends[place.backend], ask));
        let (healthy, ill): (Vec<Place>, Vec<Place>) =
            usable.partition(|place| view.backends[place.backend].is_healthy());
        let turn = if healthy.len() > 1 { view.next_turn(&name) } else { 0 };
        well.extend(ordered(view, ask, healthy, turn, fallback.as_ref()));
        ailing.extend(ordered(view, ask, ill, turn, fallback.as_ref()));
    }
    well.extend(ailing);
    match (well.is_empty(), is_known) {
        (false, _) => Ok(well),
        (true, true) => Err(ChoiceError::Unavailable),
        (true, false) => Err(ChoiceError::UnknownModel),
    }
}

fn is_usable(backend: &Backend, ask: &Ask<'_>) -> bool {
    backend.status != Status::Down && !backend.traffic.is_draining() && !ask.excluded.contains(&backend.number)
}

fn ordered(
    view: &FleetView,
    ask: &Ask<'_>,
    places: Vec<Place>,
    turn: u64,
    fallback: Option<&Arc<str>>,
) -> Vec<Candidate> {
    let facts: Vec<Facts> = places
        .iter()
        .map(|place| facts(&view.backends[place.backend], place, ask))
        .collect();
    let order = order::order(view.routing.strategy, view.routing.prefer_loaded_model, turn, &facts);
    let candidate = |index: usize| Candidate {
        backend: places[index].backend,
        model: Arc::clone(&places[index].model),
        fallback: fallback.cloned(),
    };
    order.into_iter().map(candidate).collect()
}

fn facts(backend: &Backend, place: &Place, ask: &Ask<'_>) -> Facts {
    Facts {
        is_loaded: backend.models.get(&place.model).is_some_and(|model| model.loaded),
        priority: backend.spec.priority,
        weight: backend.spec.weight,
        held: ask.held.get(&backend.number).copied().unwrap_or(0),
        busy: backend.busy(),
        slots: backend.slots,
        latency: backend.traffic.latency().unwrap_or_default(),
    }
}
