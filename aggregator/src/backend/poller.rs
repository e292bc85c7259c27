//! The one task that keeps the catalogue current.
//!
//! ```text
//!  mapping change ──▶ retarget ─┐
//!  somebody reads ──▶ hasten  ──┼─▶ Schedule ──▶ polls (≤ 64 at once) ──▶ Roster ──▶ Publisher ──▶ Catalogue
//!  time           ──▶ due     ──┘                    (JoinSet)                 (coalesced)
//! ```
//!
//! Owns every poll. Invariants: a backend is asked by one poll at a time; a backend that no mapping names any more is
//! gone from the catalogue with the next edition.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::client::{Answer, Client};
use super::feed::MappingFeed;
use super::health::{Change, Failure};
use super::publisher::Publisher;
use super::roster::{Roster, Taken};
use super::schedule::{Lane, Schedule};
use super::targets::{BackendUrl, TargetRules};
use crate::catalogue::Catalogue;
use crate::config::BackendConfig;
use crate::tasks::Stop;

/// While the list is being read, a backend's state may be this old …
const FRESH_FOR: Duration = Duration::from_secs(1);
/// … plus this for every backend, so that readers cause at most a hundred polls a second.
const FRESH_FOR_EACH: Duration = Duration::from_millis(10);

/// Readers are looked after this often at most: each time means a look at every backend.
const HASTEN_PAUSE: Duration = Duration::from_millis(100);

/// Whom a poll asked, and what came of it.
type Outcome = (BackendUrl, Result<Answer, Failure>);

pub(crate) struct Poller {
    config: BackendConfig,
    rules: TargetRules,
    feed: MappingFeed,
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
        feed: MappingFeed,
        client: Client,
        catalogue: Arc<Catalogue>,
    ) -> Self {
        Self {
            config,
            rules,
            feed,
            client,
            publisher: Publisher::new(Arc::clone(&catalogue)),
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
                () = self.feed.changed() => self.retarget(),
                Some(poll) = self.polls.join_next() => self.settle(poll),
                () = demanded_after(self.hasten_not_before, &catalogue) => self.hasten_for_readers(),
                () = sleep_until(wake) => {}
            }
        }
        self.polls.shutdown().await;
    }

    /// Takes over what the mapping files name now: the new are asked at once, the gone are forgotten.
    fn retarget(&mut self) {
        let now = Instant::now();
        let targets = self.rules.targets(&self.feed.files());
        for url in self.roster.gone(&targets) {
            self.roster.remove(&url);
            self.schedule.leave(&url);
            self.publisher.mark_stale();
            tracing::info!(backend = %url, "no mapping file names this backend any more");
        }
        for url in targets {
            if self.roster.add(&url) {
                self.schedule.put(url, now, Lane::Live);
                self.publisher.mark_stale();
            }
        }
        self.hasten_all(now);
    }

    fn hasten_for_readers(&mut self) {
        let now = Instant::now();
        self.hasten_not_before = now + HASTEN_PAUSE;
        self.hasten_all(now);
    }

    /// Moves polls forward so that no state is older than what a reader may expect.
    fn hasten_all(&mut self, now: Instant) {
        let fresh_for = FRESH_FOR + FRESH_FOR_EACH.saturating_mul(self.roster.count());
        if fresh_for >= self.config.heartbeat_interval {
            return;
        }
        for (url, asked_at) in self.roster.asked() {
            self.schedule.hasten(url, now.max(asked_at + fresh_for));
        }
    }

    fn start_due_polls(&mut self, now: Instant) {
        while let Some(url) = self.schedule.start_next(now) {
            let Some(asks_key) = self.roster.ask(&url, now) else {
                self.schedule.finished(&url);
                continue;
            };
            let client = self.client.clone();
            self.polls.spawn(async move {
                let outcome = client.models(&url, asks_key).await;
                (url, outcome)
            });
        }
    }

    fn settle(&mut self, poll: Result<Outcome, JoinError>) {
        let (url, outcome) = match poll {
            Ok(settled) => settled,
            // Polls are never aborted while we run, so this is a defect in reading an answer. Going on would leave a
            // backend that counts as being asked for ever; ending this task is noticed and reported.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        self.schedule.finished(&url);
        let Some(taken) = self.roster.take(&url, outcome, &self.config) else {
            return; // Forgotten while it was being asked.
        };
        tell(&url, &taken);
        let now = Instant::now();
        let next = now + shortened(taken.pause, self.jitter.hash_one((&url, now)));
        self.schedule.put(url, next, taken.lane);
        self.publisher.mark_stale();
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
fn tell(url: &BackendUrl, taken: &Taken) {
    match &taken.change {
        Change::None => {}
        Change::WentUp => tracing::info!(backend = %url, models = taken.models, "a backend is up"),
        Change::BecameSlow => {
            tracing::info!(backend = %url, "a backend is slow to answer; its last list counts for now");
        }
        Change::WentDown(cause) => {
            tracing::warn!(backend = %url, %cause, "a backend is down and left out of /v1/models");
        }
    }
}
