//! Every backend and how it is: what the poller remembers. Pure.
//!
//! Invariant: the lists kept together never exceed [`LISTS_BYTES_MAX`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::client::{Answer, Memory};
use super::health::{Change, Failure, Health, Pace};
use super::schedule::Lane;
use super::spec::{BackendId, Origin, Spec};
use crate::catalogue::{BackendCount, ModelList};
use crate::fleet::{Loaded, Models, Traffic};

/// What all lists together may take in memory; beyond it a backend's list is refused, not somebody else's dropped.
const LISTS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// At most 500 polls a second, however many backends there are: their heartbeats grow longer instead.
const POLL_SPACING: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(super) struct Known {
    pub(super) spec: Arc<Spec>,
    pub(super) health: Health,
    /// Outlives every edition of the fleet's view.
    pub(super) traffic: Arc<Traffic>,
    /// Given once in the life of the process.
    pub(super) number: u32,
    asked_at: Option<Instant>,
    /// Others' requests, as the last poll told them.
    pub(super) others_busy: u32,
}

#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Mapped ones in the order of their URLs, then the configured.
    backends: BTreeMap<BackendId, Known>,
    lists_bytes: usize,
    /// Backends not heard of yet: counted, because at each answer a look at every backend would cost too much.
    unheard: usize,
    numbers: u32,
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
    pub(super) fn gone(&self, targets: &BTreeMap<BackendId, Arc<Spec>>) -> Vec<BackendId> {
        self.backends
            .keys()
            .filter(|id| !targets.contains_key(id))
            .cloned()
            .collect()
    }

    /// Takes over what is configured of a backend; whether that is news, so that it must be asked.
    pub(super) fn put(&mut self, id: &BackendId, spec: &Arc<Spec>) -> bool {
        if let Some(known) = self.backends.get_mut(id) {
            let is_news = known.spec != *spec;
            known.spec = Arc::clone(spec);
            return is_news;
        }
        self.numbers += 1;
        self.unheard += 1;
        let known = Known {
            health: expected(spec),
            spec: Arc::clone(spec),
            traffic: Arc::default(),
            number: self.numbers,
            asked_at: None,
            others_busy: 0,
        };
        self.backends.insert(id.clone(), known);
        true
    }

    pub(super) fn remove(&mut self, id: &BackendId) {
        if let Some(backend) = self.backends.remove(id) {
            self.lists_bytes -= backend.health.body_bytes();
            self.unheard -= usize::from(!backend.health.is_known());
        }
    }

    /// Notes that a poll begins; whom to ask, and what the last poll learned. `None`: it is not on the roster.
    pub(super) fn ask(&mut self, id: &BackendId, now: Instant) -> Option<(Arc<Spec>, Memory)> {
        let known = self.backends.get_mut(id)?;
        known.asked_at = Some(now);
        Some((Arc::clone(&known.spec), known.health.memory()))
    }

    /// Notes how a poll ended that began at this moment. `None`: the backend was removed meanwhile.
    pub(super) fn take(
        &mut self,
        id: &BackendId,
        outcome: Result<Answer, Failure>,
        began: std::time::Instant,
        pace: Pace,
    ) -> Option<Taken> {
        let spacing = POLL_SPACING.saturating_mul(self.count());
        let known = self.backends.get_mut(id)?;
        let health = &mut known.health;
        self.unheard -= usize::from(!health.is_known());
        let others_bytes = self.lists_bytes - health.body_bytes();
        let outcome = within_budget(outcome, others_bytes);
        if let Ok(answer) = &outcome {
            known.traffic.heartbeat_took(answer.took);
            known.traffic.heartbeat_went_well(began);
            let busy = answer.load.map_or(0, |load| load.busy);
            known.others_busy = busy.saturating_sub(known.traffic.in_flight());
        }
        let change = health.take(outcome);
        self.lists_bytes = others_bytes + health.body_bytes();
        Some(Taken {
            change,
            models: health.list().map_or(0, |list| list.models.len().max(list.data.len())),
            pause: health.pause(pace).max(spacing),
            lane: if health.is_down() { Lane::Down } else { Lane::Live },
        })
    }

    /// Who named a backend; `None` where it is not on the roster.
    pub(super) fn origin(&self, id: &BackendId) -> Option<Origin> {
        self.backends.get(id).map(|known| known.spec.origin)
    }

    /// Whether every backend has answered or failed once.
    pub(super) fn all_heard(&self) -> bool {
        self.unheard == 0
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.backends.len()).unwrap_or(u32::MAX)
    }

    /// When each backend of a mapping file was asked last.
    pub(super) fn mapped_asked(&self) -> impl Iterator<Item = (&BackendId, Instant)> {
        let mapped = self
            .backends
            .iter()
            .filter(|(_, known)| known.spec.origin == Origin::Mapped);
        mapped.filter_map(|(id, known)| Some((id, known.asked_at?)))
    }

    /// Everyone, in the order in which lists are merged: by priority, the configured first, then by address.
    pub(super) fn ranked(&self) -> Vec<(&BackendId, &Known)> {
        let mut ranked: Vec<_> = self.backends.iter().collect();
        ranked.sort_by_key(|(_, known)| (known.spec.priority, known.spec.origin));
        ranked
    }

    fn lists(&self) -> impl Iterator<Item = &ModelList> {
        self.backends.values().filter_map(|known| known.health.list())
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

fn expected(spec: &Spec) -> Health {
    match &spec.models {
        Some(fixed) => {
            let list = ModelList::fixed(fixed, &spec.name);
            Health::expecting(Models::of(spec.kind, &list, &Loaded::AsListed))
        }
        None => Health::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::targets::tests::spec;
    use super::*;

    const PACE: Pace = Pace {
        heartbeat: Duration::from_secs(2),
        down_max: Duration::from_secs(10),
    };

    fn id(port: u16) -> BackendId {
        spec(port).id()
    }

    fn take(roster: &mut Roster, port: u16, outcome: Result<Answer, Failure>) -> Option<Taken> {
        roster.take(&id(port), outcome, std::time::Instant::now(), PACE)
    }

    fn answer(body_bytes: usize) -> Result<Answer, Failure> {
        Ok(Answer::for_test(body_bytes))
    }

    fn roster(ports: std::ops::Range<u16>) -> Roster {
        let mut roster = Roster::default();
        ports.for_each(|port| assert!(roster.put(&id(port), &spec(port))));
        roster
    }

    #[test]
    fn the_first_round_ends_with_the_last_answer_or_removal() {
        let mut roster = roster(1..4);
        assert!(!roster.put(&id(1), &spec(1)), "it is on the roster already");
        take(&mut roster, 1, answer(2));
        take(&mut roster, 1, answer(2));
        take(&mut roster, 2, Err(Failure::Slow));
        assert!(!roster.all_heard());
        roster.remove(&id(3));
        assert!(roster.all_heard());
        assert!(
            take(&mut roster, 3, answer(2)).is_none(),
            "it was removed while it was being asked"
        );
        assert_eq!(roster.backend_count(), BackendCount { known: 2, up: 1 });
    }

    #[test]
    fn a_list_over_the_budget_is_refused_and_the_others_stay() {
        let mut roster = roster(1..3);
        take(&mut roster, 1, answer(LISTS_BYTES_MAX - 10));
        let refused = take(&mut roster, 2, answer(11)).unwrap();
        assert!(matches!(refused.change, Change::WentDown(Failure::Unusable(_))));
        assert_eq!(roster.backend_count().up, 1);
        take(&mut roster, 1, answer(LISTS_BYTES_MAX - 11));
        assert_eq!(take(&mut roster, 2, answer(11)).unwrap().change, Change::WentUp);
    }

    #[test]
    fn thousands_of_backends_have_longer_heartbeats() {
        let mut roster = roster(0..10_000);
        assert_eq!(take(&mut roster, 1, answer(2)).unwrap().pause, Duration::from_secs(20));
    }

    #[test]
    fn a_heartbeat_after_the_pause_ends_a_suspension_and_counts_only_others_requests() {
        let mut roster = roster(1..2);
        let traffic = Arc::clone(&roster.backends[&id(1)].traffic);
        traffic.failed_for_test();
        let _ours = [traffic.begin(), traffic.begin()];
        let busy = |busy| {
            answer(2).map(|answer| Answer {
                load: Some(crate::backend::gauge::Load { slots: None, busy }),
                ..answer
            })
        };
        take(&mut roster, 1, busy(5));
        assert!(traffic.is_suspended(), "it had been asked too early");
        assert_eq!(roster.backends[&id(1)].others_busy, 3);
        let later = std::time::Instant::now() + Duration::from_secs(2);
        roster.take(&id(1), Err(Failure::Slow), later, PACE);
        assert!(traffic.is_suspended(), "it did not answer");
        roster.take(&id(1), busy(1), later, PACE);
        assert!(!traffic.is_suspended());
        assert_eq!(roster.backends[&id(1)].others_busy, 0);
    }
}
