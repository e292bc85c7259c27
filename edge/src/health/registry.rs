//! Every server's state, by service and URL, across reloads.
//!
//! A table that is loaded anew makes its services anew; what is known of their servers is found here again. Bounded: a
//! server that no service names any more is forgotten once there are many such, the longest gone first, and with it what
//! its cache held. Only making a service takes the lock, never a request.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use affinity::{Capacity, Index};
use parking_lot::Mutex;

use super::{Standing, State};
use crate::tls::Back;

/// Of servers that no service names, so many are remembered: a mapping taken away and put back finds its own again.
const ABSENT_MAX: usize = 256;

/// … for so long.
const ABSENT_FOR: Duration = Duration::from_secs(600);

/// Servers that have lines of their own in the metrics: some thousand lines of a scrape.
const SHOWN_MAX: usize = 256;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Name {
    service: Arc<str>,
    url: Box<str>,
}

#[derive(Debug)]
struct Known {
    state: Arc<State>,
    /// When a service was last seen to name it.
    named_at: Instant,
    /// It has lines of its own in the metrics, for as long as it is known: a label that came and went with what others
    /// do would break its counters.
    is_shown: bool,
}

/// One server as the metrics tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Service and URL. `None`: all servers beyond the first [`SHOWN_MAX`], together.
    pub(crate) name: Option<(Arc<str>, Box<str>)>,
    pub(crate) picks: u64,
    pub(crate) in_flight: u64,
    pub(crate) standing: Option<Standing>,
}

#[derive(Debug)]
pub(crate) struct Registry {
    epoch: Instant,
    /// Which server was sent which prefix, for all services that ask.
    pub(crate) prefixes: Index,
    known: Mutex<HashMap<Name, Known>>,
    /// How many of them are shown. Changed under the lock alone.
    shown: AtomicUsize,
    /// How they are reached over TLS.
    back: Arc<Back>,
}

impl Default for Registry {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            epoch: now,
            prefixes: Index::new(Capacity::default(), now),
            known: Mutex::default(),
            shown: AtomicUsize::new(0),
            back: Arc::default(),
        }
    }
}

impl Registry {
    pub(crate) fn new(back: Arc<Back>) -> Self {
        let fresh = Self::default();
        Self { back, ..fresh }
    }

    pub(crate) fn back(&self) -> &Arc<Back> {
        &self.back
    }

    /// The moment, as states are told it: milliseconds, never 0.
    pub(crate) fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// The state of one server of a service: what it was, or a new one.
    pub(crate) fn state(&self, service: &Arc<str>, url: &str) -> Arc<State> {
        let now = Instant::now();
        let mut known = self.known.lock();
        let name = Name {
            service: service.clone(),
            url: url.into(),
        };
        if let Some(found) = known.get_mut(&name) {
            found.named_at = now;
            return found.state.clone();
        }
        if forget_absent(&mut known, now) {
            self.shown
                .store(known.values().filter(|it| it.is_shown).count(), Relaxed);
        }
        let state = Arc::new(State::new(self.prefixes.enrol()));
        let is_shown = self.shown.load(Relaxed) < SHOWN_MAX;
        self.shown.fetch_add(usize::from(is_shown), Relaxed);
        known.insert(
            name,
            Known {
                state: state.clone(),
                named_at: now,
                is_shown,
            },
        );
        state
    }

    /// Every server that a service names now, by service and URL; those beyond a bound together, at the end.
    pub(crate) fn shown(&self, now: Instant) -> Vec<Shown> {
        let now_ms = self.millis(now);
        let known = self.known.lock();
        let (mut shown, mut others) = (Vec::new(), None);
        for (name, it) in known.iter().filter(|(_, it)| Arc::strong_count(&it.state) > 1) {
            let (picks, in_flight) = (it.state.picks(), u64::from(it.state.in_flight()));
            if it.is_shown {
                shown.push(Shown {
                    name: Some((name.service.clone(), name.url.clone())),
                    picks,
                    in_flight,
                    standing: Some(it.state.standing(now_ms)),
                });
            } else {
                let sum = others.get_or_insert(Shown {
                    name: None,
                    picks: 0,
                    in_flight: 0,
                    standing: None,
                });
                sum.picks += picks;
                sum.in_flight += in_flight;
            }
        }
        shown.sort_by(|a, b| a.name.cmp(&b.name));
        shown.extend(others);
        shown
    }
}

/// What no service holds: only this map does. True where any was forgotten.
fn forget_absent(known: &mut HashMap<Name, Known>, now: Instant) -> bool {
    let is_absent = |it: &Known| Arc::strong_count(&it.state) == 1;
    if known.len() < ABSENT_MAX || known.values().filter(|it| is_absent(it)).count() < ABSENT_MAX {
        return false;
    }
    let mut times: Vec<Instant> = known
        .values()
        .filter(|it| is_absent(it))
        .map(|it| it.named_at)
        .collect();
    times.sort_unstable();
    let middle = times[times.len() / 2];
    known.retain(|_, it| {
        !is_absent(it) || (it.named_at > middle && now.saturating_duration_since(it.named_at) < ABSENT_FOR)
    });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_again_and_is_one_for_each_service() {
        let registry = Registry::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let one = registry.state(&a, "http://gpu:1");
        one.enter();
        assert_eq!(registry.state(&a, "http://gpu:1").in_flight(), 1);
        assert_eq!(registry.state(&b, "http://gpu:1").in_flight(), 0);
    }

    #[test]
    fn the_first_servers_are_shown_and_the_others_together() {
        let registry = Registry::default();
        let (now, service): (_, Arc<str>) = (Instant::now(), "s".into());
        let states: Vec<_> = (0..SHOWN_MAX + 5)
            .map(|at| registry.state(&service, &format!("http://gpu:{at}")))
            .collect();
        states.iter().for_each(|state| state.enter());
        let shown = registry.shown(now);
        assert_eq!(shown.len(), SHOWN_MAX + 1);
        let others = shown.last().expect("the others");
        assert_eq!((&others.name, others.picks, others.in_flight), (&None, 5, 5));
        assert_eq!((shown[0].picks, shown[0].standing), (1, Some(Standing::Up)));
        drop(states);
        assert_eq!(registry.shown(now), [], "who is named by nobody is not shown");
    }

    #[test]
    fn who_is_gone_is_forgotten_and_who_is_named_never() {
        let registry = Registry::default();
        let service: Arc<str> = "a".into();
        let kept: Vec<_> = (0..300)
            .map(|at| registry.state(&service, &format!("kept-{at}")))
            .collect();
        for at in 0..5_000 {
            registry.state(&service, &format!("gone-{at}"));
        }
        assert!(registry.known.lock().len() <= kept.len() + ABSENT_MAX + 1);
        for (at, state) in kept.iter().enumerate() {
            assert!(Arc::ptr_eq(state, &registry.state(&service, &format!("kept-{at}"))));
        }
    }
}
