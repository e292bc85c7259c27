//! Merging, coalesced: many answers at once make one new edition of the catalogue.
//!
//! Invariant: merging takes no more than about a twentieth of the time, however large the lists are.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::roster::Roster;
use crate::catalogue::{Catalogue, merge};

/// The shortest time between two editions; each also waits [`MERGE_SHARE`] times as long as the last one took.
const MERGE_PAUSE_MIN: Duration = Duration::from_millis(20);
const MERGE_SHARE: u32 = 20;

pub(super) struct Publisher {
    catalogue: Arc<Catalogue>,
    /// The catalogue is behind, and may be brought up to date from this moment on.
    due: Option<Instant>,
    not_before: Instant,
    first_round_open: bool,
}

impl Publisher {
    pub(super) fn new(catalogue: Arc<Catalogue>) -> Self {
        Self {
            catalogue,
            due: None,
            not_before: Instant::now(),
            first_round_open: true,
        }
    }

    /// Notes that something has changed.
    pub(super) fn mark_stale(&mut self) {
        self.due.get_or_insert(self.not_before);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Publishes where it is time to. The end of the first round, for which readers wait, does not wait its turn.
    pub(super) fn publish_if_due(&mut self, roster: &Roster, now: Instant) {
        let first_round_ends = self.first_round_open && roster.all_heard();
        if first_round_ends || self.due.is_some_and(|due| due <= now) {
            self.publish(roster);
        }
        if first_round_ends {
            self.first_round_open = false;
            self.catalogue.finish_first_round();
        }
    }

    fn publish(&mut self, roster: &Roster) {
        let started = Instant::now();
        self.catalogue.publish(merge(roster.lists()), roster.backend_count());
        self.due = None;
        self.not_before = Instant::now() + MERGE_PAUSE_MIN.max(started.elapsed() * MERGE_SHARE);
    }
}
