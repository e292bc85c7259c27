//! One request's way through its candidates, and what each attempt tells of its backend.

use std::sync::Arc;
use std::time::Instant;

use super::traffic::InFlight;
use super::{Backend, Fleet, FleetView};
use crate::choice::Candidate;

/// The candidates of one request, best first.
#[derive(Debug)]
pub(crate) struct Attempts {
    fleet: Arc<Fleet>,
    view: Arc<FleetView>,
    left: std::collections::VecDeque<Candidate>,
}

impl Attempts {
    pub(super) fn new(fleet: Arc<Fleet>, view: Arc<FleetView>, plan: Vec<Candidate>) -> Self {
        Self {
            fleet,
            view,
            left: plan.into(),
        }
    }

    /// The next one to try: one that others have found failing since the plan was made waits until the last.
    pub(crate) fn next(&mut self) -> Option<Attempt> {
        let well = |candidate: &Candidate| self.view.backends[candidate.backend].is_healthy();
        let index = self.left.iter().position(well).unwrap_or(0);
        let candidate = self.left.remove(index)?;
        let backend = Arc::clone(&self.view.backends[candidate.backend]);
        Some(Attempt {
            _in_flight: backend.traffic.begin(),
            fleet: Arc::clone(&self.fleet),
            backend,
            model: candidate.model,
            fallback: candidate.fallback,
            began: Instant::now(),
        })
    }

    /// How many are left to try.
    pub(crate) fn left(&self) -> usize {
        self.left.len()
    }
}

/// One request to one backend. It counts as in flight until this is dropped: keep it with the answer's body.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) backend: Arc<Backend>,
    /// The model as this backend calls it.
    pub(crate) model: Arc<str>,
    /// What stands in for the model that was asked for: `X-Fallback-Model`.
    pub(crate) fallback: Option<Arc<str>>,
    fleet: Arc<Fleet>,
    began: Instant,
    /// Held for what its drop gives back.
    _in_flight: InFlight,
}

impl Attempt {
    /// The backend has begun to answer: its latency, and proof that it works.
    pub(crate) fn answered(&self) {
        self.backend.traffic.answered(self.began.elapsed());
    }

    /// The backend could not be reached, broke off, timed out or answered 5xx. Not for what is the client's fault
    /// (4xx), nor for 429, which says that it is busy and not that it is ill.
    pub(crate) fn failed(&self) {
        self.fleet.mark_failed(&self.backend);
    }
}
