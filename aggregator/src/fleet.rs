//! The fleet: every backend as of now, for whoever forwards requests.
//!
//! ```text
//!  Poller ──publish──▶ ArcSwap<FleetView> ◀──one atomic load── handler: Fleet::attempts(ask) ──▶ choice (pure)
//!    ▲                        │                                            │
//!    └──── hurry ◀── Traffic (shared across reloads) ◀── Attempt: in flight, first byte, failed
//! ```
//!
//! Invariants: reading takes no lock and waits for no backend; what is counted in flight is given back however an
//! attempt ends; a client never says where a request goes, only which model it is for.

mod attempt;
#[cfg(test)]
pub(crate) mod made;
mod models;
#[cfg(test)]
mod tests;
mod traffic;
mod upstream;
mod view;

pub(crate) use attempt::{Attempt, Attempts};
pub(crate) use models::{Loaded, Models};
pub(crate) use traffic::Traffic;
pub(crate) use upstream::Upstream;
pub(crate) use view::{Backend, FleetView, Place, Status};

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::backend::BackendId;
use crate::choice::{self, Ask, ChoiceError};

/// More failures than this in the moment before the poller looks are told by the next heartbeat.
const HURRIES_MAX: usize = 256;

/// Word that a backend should be asked at this moment.
pub(crate) type Hurry = (BackendId, Instant);

#[derive(Debug)]
pub(crate) struct Fleet {
    view: ArcSwap<FleetView>,
    upstream: Upstream,
    hurry: mpsc::Sender<Hurry>,
}

impl Fleet {
    /// An empty fleet, and where it tells whom to ask soon.
    pub(crate) fn new(upstream: Upstream) -> (Self, mpsc::Receiver<Hurry>) {
        let (hurry, hurries) = mpsc::channel(HURRIES_MAX);
        let fleet = Self {
            view: ArcSwap::default(),
            upstream,
            hurry,
        };
        (fleet, hurries)
    }

    /// Every backend as of now.
    pub(crate) fn view(&self) -> Arc<FleetView> {
        self.view.load_full()
    }

    /// Whether any backend is working on a request of ours.
    pub(crate) fn is_working(&self) -> bool {
        self.view
            .load()
            .backends
            .iter()
            .any(|backend| backend.traffic.in_flight() > 0)
    }

    pub(crate) fn publish(&self, view: FleetView) {
        self.view.store(Arc::new(view));
    }

    /// What requests are sent with.
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Whom to try for a request, in order.
    ///
    /// # Errors
    /// Where nobody serves the model or anything that stands in for it, or nobody who does can be reached.
    pub(crate) fn attempts(self: &Arc<Self>, ask: &Ask<'_>) -> Result<Attempts, ChoiceError> {
        let view = self.view();
        let plan = choice::plan(&view, ask)?;
        Ok(Attempts::new(Arc::clone(self), view, plan))
    }

    /// A request to this backend failed: nobody prefers it until a heartbeat says that it is well.
    fn mark_failed(&self, backend: &Backend) {
        if let Some(pause) = backend.traffic.failed() {
            tracing::warn!(backend = %backend.id, pause_ms = pause.as_millis(), "a request to a backend failed; others are preferred for now");
            let _ = self.hurry.try_send((backend.id.clone(), Instant::now() + pause));
        }
    }
}
