//! Every backend and how it is: what the poller remembers. Pure.
//!
//! Invariant: the lists kept together never exceed [`LISTS_BYTES_MAX`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::client::Answer;
use super::health::{Change, Failure, Health};
use super::schedule::Lane;
use super::targets::BackendUrl;
use crate::catalogue::{BackendCount, ModelList};
use crate::config::BackendConfig;

/// What all lists together may take in memory; beyond it a backend's list is refused, not somebody else's dropped.
const LISTS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// At most 500 polls a second, however many backends there are: their heartbeats grow longer instead.
const POLL_SPACING: Duration = Duration::from_millis(2);

#[derive(Debug)]
struct Backend {
    health: Health,
    asked_at: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Roster {
    /// In the order of their URLs, in which lists are merged.
    backends: BTreeMap<BackendUrl, Backend>,
    lists_bytes: usize,
    /// Backends not heard of yet: counted, because at each answer a look at every backend would cost too much.
    unheard: usize,
}

/// What an outcome came to.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) change: Change,
    /// How many models are listed for it now.
    pub(super) models: usize,
    /// How long until its next poll, and among whom it waits.
    pub(super) pause: Duration,
    pub(super) lane: Lane,
}

impl Roster {
    /// Whoever is on it and not among `targets`.
    pub(super) fn gone(&self, targets: &BTreeSet<BackendUrl>) -> Vec<BackendUrl> {
        self.backends
            .keys()
            .filter(|url| !targets.contains(*url))
            .cloned()
            .collect()
    }

    /// Whether it was new.
    pub(super) fn add(&mut self, url: &BackendUrl) -> bool {
        if self.backends.contains_key(url) {
            return false;
        }
        self.backends.insert(
            url.clone(),
            Backend {
                health: Health::new(),
                asked_at: None,
            },
        );
        self.unheard += 1;
        true
    }

    pub(super) fn remove(&mut self, url: &BackendUrl) {
        if let Some(backend) = self.backends.remove(url) {
            self.lists_bytes -= backend.health.body_bytes();
            self.unheard -= usize::from(!backend.health.is_known());
        }
    }

    /// Notes that a poll begins; whether the backend wanted a key last time. `None`: it is not on the roster.
    pub(super) fn ask(&mut self, url: &BackendUrl, now: Instant) -> Option<bool> {
        let backend = self.backends.get_mut(url)?;
        backend.asked_at = Some(now);
        Some(backend.health.asks_key())
    }

    /// Notes how a poll ended. `None`: the backend was removed meanwhile.
    pub(super) fn take(
        &mut self,
        url: &BackendUrl,
        outcome: Result<Answer, Failure>,
        config: &BackendConfig,
    ) -> Option<Taken> {
        let spacing = POLL_SPACING.saturating_mul(self.count());
        let health = &mut self.backends.get_mut(url)?.health;
        self.unheard -= usize::from(!health.is_known());
        let others_bytes = self.lists_bytes - health.body_bytes();
        let change = health.take(within_budget(outcome, others_bytes));
        self.lists_bytes = others_bytes + health.body_bytes();
        Some(Taken {
            change,
            models: health.list().map_or(0, |list| list.models.len().max(list.data.len())),
            pause: health.pause(config).max(spacing),
            lane: if health.is_down() { Lane::Down } else { Lane::Live },
        })
    }

    /// Whether every backend has answered or failed once.
    pub(super) fn all_heard(&self) -> bool {
        self.unheard == 0
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.backends.len()).unwrap_or(u32::MAX)
    }

    /// When each backend was asked last.
    pub(super) fn asked(&self) -> impl Iterator<Item = (&BackendUrl, Instant)> {
        self.backends
            .iter()
            .filter_map(|(url, backend)| Some((url, backend.asked_at?)))
    }

    pub(super) fn lists(&self) -> impl Iterator<Item = &ModelList> + Clone {
        self.backends.values().filter_map(|backend| backend.health.list())
    }

    pub(super) fn backend_count(&self) -> BackendCount {
        BackendCount {
            known: self.backends.len(),
            up: self.lists().count(),
        }
    }
}

fn within_budget(outcome: Result<Answer, Failure>, others_bytes: usize) -> Result<Answer, Failure> {
    match outcome {
        Ok(answer) if others_bytes + answer.body_bytes > LISTS_BYTES_MAX => Err(Failure::Unusable(format!(
            "all lists together would take more than {LISTS_BYTES_MAX} bytes"
        ))),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::super::targets::tests::url;
    use super::*;

    fn answer(body_bytes: usize) -> Result<Answer, Failure> {
        Ok(Answer {
            list: ModelList::default(),
            body_bytes,
            asks_key: false,
        })
    }

    fn roster(ports: std::ops::Range<u16>) -> Roster {
        let mut roster = Roster::default();
        ports.for_each(|port| assert!(roster.add(&url(port))));
        roster
    }

    #[test]
    fn the_first_round_ends_with_the_last_answer_or_removal() {
        let (mut roster, config) = (roster(1..4), BackendConfig::default());
        assert!(!roster.add(&url(1)), "it is on the roster already");
        roster.take(&url(1), answer(2), &config);
        roster.take(&url(1), answer(2), &config);
        roster.take(&url(2), Err(Failure::Slow), &config);
        assert!(!roster.all_heard());
        roster.remove(&url(3));
        assert!(roster.all_heard());
        assert!(
            roster.take(&url(3), answer(2), &config).is_none(),
            "it was removed while it was being asked"
        );
        assert_eq!(roster.backend_count(), BackendCount { known: 2, up: 1 });
    }

    #[test]
    fn a_list_over_the_budget_is_refused_and_the_others_stay() {
        let (mut roster, config) = (roster(1..3), BackendConfig::default());
        roster.take(&url(1), answer(LISTS_BYTES_MAX - 10), &config);
        let refused = roster.take(&url(2), answer(11), &config).unwrap();
        assert!(matches!(refused.change, Change::WentDown(Failure::Unusable(_))));
        assert_eq!(roster.backend_count().up, 1);
        roster.take(&url(1), answer(LISTS_BYTES_MAX - 11), &config);
        assert_eq!(
            roster.take(&url(2), answer(11), &config).unwrap().change,
            Change::WentUp
        );
    }

    #[test]
    fn thousands_of_backends_have_longer_heartbeats() {
        let (mut roster, config) = (roster(0..10_000), BackendConfig::default());
        assert_eq!(
            roster.take(&url(1), answer(2), &config).unwrap().pause,
            Duration::from_secs(20)
        );
    }
}
