//! Merging, coalesced: many answers at once make one new edition of the catalogue and of the fleet.
//!
//! Invariant: merging takes no more than about a twentieth of the time, however large the lists are.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::client::Client;
use super::roster::{Known, Roster};
use super::spec::BackendId;
use crate::catalogue::{Catalogue, merge};
use crate::config_file::Routing;
use crate::fleet::{Backend, Fleet, FleetView};

/// The shortest time between two editions; each also waits [`MERGE_SHARE`] times as long as the last one took.
const MERGE_PAUSE_MIN: Duration = Duration::from_millis(20);
const MERGE_SHARE: u32 = 20;

pub(super) struct Publisher {
    catalogue: Arc<Catalogue>,
    fleet: Arc<Fleet>,
    client: Client,
    routing: Arc<Routing>,
    /// The catalogue is behind, and may be brought up to date from this moment on.
    due: Option<Instant>,
    not_before: Instant,
    first_round_open: bool,
}

impl Publisher {
    pub(super) fn new(catalogue: Arc<Catalogue>, fleet: Arc<Fleet>, client: Client) -> Self {
        Self {
            catalogue,
            fleet,
            client,
            routing: Arc::default(),
            due: None,
            not_before: Instant::now(),
            first_round_open: true,
        }
    }

    /// Notes how requests are to be routed from the next edition on.
    pub(super) fn route_by(&mut self, routing: Arc<Routing>) {
        self.routing = routing;
        self.mark_stale();
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
        let ranked = roster.ranked();
        let lists = || ranked.iter().filter_map(|(_, known)| known.health.list());
        let own = self.catalogue.own();
        // Where nobody serves a model, a council would be a name without anybody behind it.
        let has_models = lists().any(|list| !list.models.is_empty() || !list.data.is_empty());
        let all = has_models.then_some(&*own).into_iter().chain(lists());
        self.catalogue.publish(merge(all), roster.backend_count());
        let backends = ranked.into_iter().map(|(id, known)| Arc::new(self.backend(id, known)));
        let view = FleetView::new(backends.collect(), Arc::clone(&self.routing), &self.fleet.view());
        self.fleet.publish(view);
        self.due = None;
        self.not_before = Instant::now() + MERGE_PAUSE_MIN.max(started.elapsed() * MERGE_SHARE);
    }

    fn backend(&self, id: &BackendId, known: &Known) -> Backend {
        let health = &known.health;
        Backend {
            id: id.clone(),
            number: known.number,
            spec: Arc::clone(&known.spec),
            status: health.status(),
            cause: health.cause().cloned(),
            heard_at: health.heard_at(),
            models: Arc::clone(health.models()),
            slots: health.load().and_then(|load| load.slots),
            others_busy: known.others_busy,
            traffic: Arc::clone(&known.traffic),
            headers: self.client.headers_for(&known.spec, health.memory().asks_key),
        }
    }
}
