//! The catalogue: every live backend's models, merged and serialised, ready to be handed out.
//!
//! Invariant: reading takes no lock and waits for no backend. Only before the first round of polls is complete does
//! a reader wait for it, and no longer than one poll may take since the start.

mod list;
mod merge;

pub(crate) use list::{Entry, ListError, ModelList};
pub(crate) use merge::{described, merge};

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// What a poll costs beyond its own bound: scheduling, merging.
const FIRST_ROUND_SLACK: Duration = Duration::from_millis(100);

pub(crate) struct Catalogue {
    current: ArcSwap<Edition>,
    first_round_done: watch::Sender<bool>,
    /// No reader waits past this, however many backends there are.
    first_round_deadline: Instant,
    demand: Notify,
    /// What is listed beside the backends' models, and before them where names are the same: councils.
    own: ArcSwap<ModelList>,
}

/// One state of the catalogue.
#[derive(Debug)]
struct Edition {
    body: Bytes,
    backends: BackendCount,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BackendCount {
    pub(crate) known: usize,
    pub(crate) up: usize,
}

impl Catalogue {
    pub(crate) fn new(mapping_timeout: Duration) -> Self {
        Self {
            current: ArcSwap::from_pointee(Edition {
                body: merge([]),
                backends: BackendCount::default(),
            }),
            first_round_done: watch::Sender::new(false),
            first_round_deadline: Instant::now() + mapping_timeout + FIRST_ROUND_SLACK,
            demand: Notify::new(),
            own: ArcSwap::default(),
        }
    }

    /// The list as of now; also tells the poller that somebody is reading.
    pub(crate) async fn serve(&self) -> Bytes {
        self.demand.notify_one();
        self.ready().await;
        self.current.load().body.clone()
    }

    /// Resolves once the first round of polls is over, or has had its time.
    pub(crate) async fn ready(&self) {
        let mut done = self.first_round_done.subscribe();
        if !*done.borrow() {
            let _ = tokio::time::timeout_at(self.first_round_deadline, done.wait_for(|done| *done)).await;
        }
    }

    pub(crate) fn backends(&self) -> BackendCount {
        self.current.load().backends
    }

    /// What is to be listed beside the backends' models, from the next edition on.
    pub(crate) fn list_also(&self, own: ModelList) {
        self.own.store(Arc::new(own));
    }

    pub(crate) fn own(&self) -> Arc<ModelList> {
        self.own.load_full()
    }

    pub(crate) fn publish(&self, body: Bytes, backends: BackendCount) {
        self.current.store(Arc::new(Edition { body, backends }));
    }

    /// Every backend known at the start has answered or failed once, and the result is published.
    pub(crate) fn finish_first_round(&self) {
        self.first_round_done.send_replace(true);
    }

    /// Resolves when somebody has read the list since the last call. Readers in between count as one.
    pub(crate) async fn demanded(&self) {
        self.demand.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_waits_for_the_first_round_but_not_past_its_deadline() {
        let catalogue = Catalogue::new(Duration::from_secs(2));
        let started = Instant::now();
        catalogue.serve().await;
        assert_eq!(started.elapsed(), Duration::from_millis(2100));
        catalogue.serve().await;
        assert_eq!(
            started.elapsed(),
            Duration::from_millis(2100),
            "the deadline is the start's, not each reader's"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_gets_what_the_first_round_published() {
        let catalogue = Arc::new(Catalogue::new(Duration::from_secs(2)));
        let reader = tokio::spawn({
            let catalogue = Arc::clone(&catalogue);
            async move { catalogue.serve().await }
        });
        catalogue.demanded().await;
        catalogue.publish(Bytes::from_static(b"{}"), BackendCount { known: 1, up: 1 });
        catalogue.finish_first_round();
        assert_eq!(reader.await.unwrap(), "{}");
    }
}
