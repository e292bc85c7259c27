//! The one task that keeps the catalogue and the fleet current.
//!
//! ```text
//!  mapping or configuration changes ──▶ retarget ─┐
//!  somebody reads, a request fails  ──▶ hasten  ──┼─▶ Schedule ──▶ polls (≤ 64 at once) ──▶ Roster ──▶ Publisher
//!  time                             ──▶ due     ──┘                    (JoinSet)                 (coalesced)
//! ```
//!
//! Owns every poll. Invariants: a backend is asked by one poll at a time; a backend that nobody names any more is gone
//! with the next edition.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::client::{Answer, Client};
use super::feed::MappingFeed;
use super::health::{Change, Failure, Pace};
use super::publisher::Publisher;
use super::roster::{Roster, Taken};
use super::schedule::{Lane, Schedule};
use super::spec::{BackendId, Origin};
use super::targets::TargetRules;
use crate::catalogue::Catalogue;
use crate::config::BackendConfig;
use crate::config_file::CurrentConfig;
use crate::fleet::{Fleet, Hurry};
use crate::tasks::Stop;

/// While the list is being read, a backend's state may be this old …
const FRESH_FOR: Duration = Duration::from_secs(1);
/// … plus this for every backend, so that readers cause at most a hundred polls a second.
const FRESH_FOR_EACH: Duration = Duration::from_millis(10);

/// Readers are looked after this often at most: each time means a look at every backend.
const HASTEN_PAUSE: Duration = Duration::from_millis(100);

/// One poll: whom it asked, when it began, and what came of it.
struct Outcome {
    id: BackendId,
    began: std::time::Instant,
    answer: Result<Answer, Failure>,
}

/// What the poller follows.
pub(crate) struct Sources {
    pub(crate) feed: MappingFeed,
    pub(crate) settings: Arc<CurrentConfig>,
    /// Whom handlers want asked soon.
    pub(crate) hurries: mpsc::Receiver<Hurry>,
}

pub(crate) struct Poller {
    config: BackendConfig,
    rules: TargetRules,
    sources: Sources,
    settings_changes: watch::Receiver<u64>,
    client: Client,
    catalogue: Arc<Catalogue>,
    roster: Roster,
    schedule: Schedule,
    polls: JoinSet<Outcome>,
    publisher: Publisher,
    hasten_not_before: Instant,
    jitter: RandomState,
}

impl Poller {
    pub(crate) fn new(
        config: BackendConfig,
        rules: TargetRules,
        sources: Sources,
        client: Client,
        (catalogue, fleet): (Arc<Catalogue>, Arc<Fleet>),
    ) -> Self {
        Self {
            config,
            rules,
            settings_changes: sources.settings.changes(),
            sources,
            publisher: Publisher::new(Arc::clone(&catalogue), fleet, client.clone()),
            client,
            catalogue,
            roster: Roster::default(),
            schedule: Schedule::default(),
            polls: JoinSet::new(),
            hasten_not_before: Instant::now(),
            jitter: RandomState::new(),
        }
    }

    pub(crate) async fn run(mut self, mut stop: Stop) {
        let catalogue = Arc::clone(&self.catalogue);
        self.retarget();
        loop {
            let now = Instant::now();
            self.start_due_polls(now);
            self.publisher.publish_if_due(&self.roster, now);
            let wake = [self.schedule.next_due(), self.publisher.due()]
                .into_iter()
                .flatten()
                .min();
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = self.sources.feed.changed() => self.retarget(),
                Ok(()) = self.settings_changes.changed() => self.retarget(),
                Some((id, at)) = self.sources.hurries.recv() => self.schedule.hasten(&id, at),
                Some(poll) = self.polls.join_next() => self.settle(poll),
                () = demanded_after(self.hasten_not_before, &catalogue) => self.hasten_for_readers(),
                () = sleep_until(wake) => {}
            }
        }
        self.polls.shutdown().await;
    }

    /// Takes over what the files name now: the new are asked at once, the gone are forgotten.
    fn retarget(&mut self) {
        let now = Instant::now();
        let settings = self.sources.settings.load();
        let targets = self.rules.targets(&self.sources.feed.files(), &settings);
        for id in self.roster.gone(&targets) {
            self.roster.remove(&id);
            self.schedule.leave(&id);
            self.publisher.mark_stale();
            tracing::info!(backend = %id, "nobody names this backend any more");
        }
        for (id, spec) in &targets {
            if self.roster.put(id, spec) {
                self.schedule.put(id.clone(), now, Lane::Live);
                self.publisher.mark_stale();
            }
        }
        self.publisher.route_by(Arc::clone(&settings.routing));
        // A shorter interval counts from now on, not after the longer one has passed.
        for (id, spec) in targets.iter().filter(|(_, spec)| spec.origin == Origin::Configured) {
            self.schedule.hasten(id, now + self.pace(spec.origin).heartbeat);
        }
        self.hasten_all(now);
    }

    fn hasten_for_readers(&mut self) {
        let now = Instant::now();
        self.hasten_not_before = now + HASTEN_PAUSE;
        self.hasten_all(now);
    }

    /// Moves polls forward so that no state is older than what a reader may expect. Backends of the configuration keep
    /// their own clock: some of them count requests.
    fn hasten_all(&mut self, now: Instant) {
        let fresh_for = FRESH_FOR + FRESH_FOR_EACH.saturating_mul(self.roster.count());
        if fresh_for >= self.config.heartbeat_interval {
            return;
        }
        for (id, asked_at) in self.roster.mapped_asked() {
            self.schedule.hasten(id, now.max(asked_at + fresh_for));
        }
    }

    fn start_due_polls(&mut self, now: Instant) {
        while let Some(id) = self.schedule.start_next(now) {
            let Some((spec, memory)) = self.roster.ask(&id, now) else {
                self.schedule.finished(&id);
                continue;
            };
            let client = self.client.clone();
            self.polls.spawn(async move {
                let began = std::time::Instant::now();
                let answer = client.poll(&spec, memory).await;
                Outcome { id, began, answer }
            });
        }
    }

    fn settle(&mut self, poll: Result<Outcome, JoinError>) {
        let Outcome { id, began, answer } = match poll {
            Ok(settled) => settled,
            // Polls are never aborted while we run, so this is a defect in reading an answer. Going on would leave a
            // backend that counts as being asked for ever; ending this task is noticed and reported.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        self.schedule.finished(&id);
        let Some(origin) = self.roster.origin(&id) else {
            return; // Forgotten while it was being asked.
        };
        let Some(taken) = self.roster.take(&id, answer, began, self.pace(origin)) else {
            return;
        };
        tell(&id, &taken);
        let now = Instant::now();
        let next = now + shortened(taken.pause, self.jitter.hash_one((&id, now)));
        self.schedule.put(id, next, taken.lane);
        self.publisher.mark_stale();
    }

    fn pace(&self, origin: Origin) -> Pace {
        let heartbeat = match origin {
            Origin::Mapped => self.config.heartbeat_interval,
            Origin::Configured => self.sources.settings.load().routing.heartbeat_interval,
        };
        Pace {
            heartbeat,
            down_max: self.config.down_interval_max,
        }
    }
}

async fn demanded_after(moment: Instant, catalogue: &Catalogue) {
    tokio::time::sleep_until(moment).await;
    catalogue.demanded().await;
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Up to a tenth less: backends that were asked together drift apart, and none is asked later than promised.
fn shortened(pause: Duration, dice: u64) -> Duration {
    pause - (pause / 1000) * u32::try_from(dice % 100).unwrap_or(0)
}

/// One line for each change, none while nothing changes.
fn tell(id: &BackendId, taken: &Taken) {
    match &taken.change {
        Change::None => {}
        Change::WentUp => tracing::info!(backend = %id, models = taken.models, "a backend is up"),
        Change::BecameSlow => {
            tracing::info!(backend = %id, "a backend is slow to answer; its last list counts for now");
        }
        Change::WentDown(cause) => {
            tracing::warn!(backend = %id, %cause, "a backend is down and left out of /v1/models");
        }
    }
}
