//! An edge that takes over from the one that runs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use keymap::Snapshot;

use super::{BoundEdge, RunningEdge, StartError};
use crate::config::EdgeConfig;
use crate::limits::remit::Carried;
use crate::state::Folder;
use crate::takeover::Predecessor;

/// All is ready to serve, and the predecessor still does.
pub struct Successor {
    bound: BoundEdge,
    predecessor: Predecessor,
}

impl Successor {
    /// On the predecessor's sockets; what else is configured is bound.
    ///
    /// # Errors
    /// As for [`BoundEdge::bind`]. The predecessor goes on.
    pub fn bind(
        config: EdgeConfig,
        mappings: Arc<ArcSwap<Snapshot>>,
        mut predecessor: Predecessor,
    ) -> Result<Self, StartError> {
        let mut sockets = predecessor.take_sockets();
        let bound = BoundEdge::build(config, mappings, &mut sockets, true)?;
        for address in sockets.left() {
            tracing::warn!(%address, "nothing is configured to listen here any more: the socket goes with the predecessor");
        }
        Ok(Self { bound, predecessor })
    }

    pub fn bound(&self) -> &BoundEdge {
        &self.bound
    }

    /// Serves in the predecessor's place.
    ///
    /// # Errors
    /// Where the predecessor or its state folder are not to be had: nothing was served, and the predecessor goes on.
    pub fn take_over(self) -> Result<RunningEdge, StartError> {
        let Self {
            mut bound,
            mut predecessor,
        } = self;
        let limits = &bound.plane.limits;
        let path = predecessor.state();
        let slots = predecessor.release().map_err(StartError::Takeover)?;
        let (folder, facts) = Folder::open(&path).map_err(StartError::State)?;
        limits.registry.restore(facts);
        limits.keeper.adopt(folder);
        let mut carried = Carried::none(&limits.registry);
        carried.hold(slots);
        let estate = limits.estate.clone();
        bound.state = Some(path);
        let running = bound.start();
        tracing::info!(predecessor = predecessor.pid(), "took over");
        predecessor.retire(&estate, carried);
        Ok(running)
    }
}
