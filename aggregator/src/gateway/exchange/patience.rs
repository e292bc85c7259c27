//! How long a backend is waited for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dialect::FailureKind;

use super::Exchange;
use crate::fleet::{Backend, Status};
use crate::gateway::setback::Setback;

/// How often somebody who waits for a first byte looks whether heartbeats have found the backend down.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

impl Exchange<'_> {
    /// What comes of `what`, unless the backend is silent for longer than it may be, or is found down while others are
    /// left to ask.
    pub(super) async fn heard<T>(&self, what: impl Future<Output = T>) -> Result<T, Setback> {
        let mut what = std::pin::pin!(what);
        let limit = self.attempt.backend.spec.timeout;
        let began = tokio::time::Instant::now();
        loop {
            let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
            let look = left.unwrap_or(LOOK_INTERVAL).min(LOOK_INTERVAL);
            if let Ok(heard) = tokio::time::timeout(look, &mut what).await {
                return Ok(heard);
            }
            let message = match limit {
                Some(limit) if began.elapsed() >= limit => "the backend did not answer in the time it has",
                _ if !self.is_last && self.is_found_down() => "the backend went down before it answered",
                _ => continue,
            };
            self.attempt.failed();
            return Err(Setback::failed(FailureKind::Timeout, message));
        }
    }

    fn is_found_down(&self) -> bool {
        let view = self.gateway.fleet.view();
        let same = |backend: &&Arc<Backend>| backend.number == self.attempt.backend.number;
        view.backends
            .iter()
            .find(same)
            .is_none_or(|backend| backend.status == Status::Down)
    }
}
