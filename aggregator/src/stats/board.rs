//! The latest statistics, serialised. Readers take them without a lock; only before the first sample do they wait.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

/// The first sample needs a fifth of a second of CPU time to compare; a busy machine may take a little longer.
const FIRST_SAMPLE_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct StatsBoard {
    latest: ArcSwapOption<Bytes>,
    posted: watch::Sender<bool>,
    /// When somebody last looked.
    read_at: watch::Sender<Option<Instant>>,
}

impl StatsBoard {
    pub(crate) fn new() -> Self {
        Self {
            latest: ArcSwapOption::empty(),
            posted: watch::Sender::new(false),
            read_at: watch::Sender::new(None),
        }
    }

    pub(crate) fn post(&self, body: Bytes) {
        self.latest.store(Some(Arc::new(body)));
        self.posted.send_replace(true);
    }

    /// `None` where nothing has been measured in time.
    pub(crate) async fn serve(&self) -> Option<Bytes> {
        self.read_at.send_replace(Some(Instant::now()));
        if self.latest.load().is_none() {
            let mut posted = self.posted.subscribe();
            let _ = tokio::time::timeout(FIRST_SAMPLE_PATIENCE, posted.wait_for(|posted| *posted)).await;
        }
        self.latest.load().as_deref().cloned()
    }

    /// The latest, for whoever looks all the time and is nobody.
    pub(crate) fn peek(&self) -> Option<Bytes> {
        self.latest.load().as_deref().cloned()
    }

    /// Follows when somebody last looked.
    pub(crate) fn readers(&self) -> watch::Receiver<Option<Instant>> {
        self.read_at.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_waits_for_the_first_sample_only_and_not_for_ever() {
        let board = StatsBoard::new();
        let started = Instant::now();
        assert_eq!(board.serve().await, None);
        assert_eq!(started.elapsed(), FIRST_SAMPLE_PATIENCE);
        board.post(Bytes::from_static(b"{}"));
        assert_eq!(board.serve().await.unwrap(), "{}");
        assert_eq!(started.elapsed(), FIRST_SAMPLE_PATIENCE);
        assert!(board.readers().borrow().is_some());
    }
}
