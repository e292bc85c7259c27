//! Every server's state, by service and URL, across reloads.
//!
//! A table that is loaded anew makes its services anew; what is known of their servers is found here again. Bounded: a
//! server that no service names any more is forgotten once there are many such, the longest gone first, and with it what
//! its cache held. Only making a service takes the lock, never a request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use affinity::{Capacity, Index};
use parking_lot::Mutex;

use super::State;
use crate::tls::Back;

/// Of servers that no service names, so many are remembered: a mapping taken away and put back finds its own again.
const ABSENT_MAX: usize = 256;

/// … for so long.
const ABSENT_FOR: Duration = Duration::from_secs(600);

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
}

#[derive(Debug)]
pub(crate) struct Registry {
    epoch: Instant,
    /// Which server was sent which prefix, for all services that ask.
    pub(crate) prefixes: Index,
    known: Mutex<HashMap<Name, Known>>,
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
        forget_absent(&mut known, now);
        let state = Arc::new(State::new(self.prefixes.enrol()));
        known.insert(
            name,
            Known {
                state: state.clone(),
                named_at: now,
            },
        );
        state
    }
}

/// What no service holds: only this map does.
fn forget_absent(known: &mut HashMap<Name, Known>, now: Instant) {
    let is_absent = |it: &Known| Arc::strong_count(&it.state) == 1;
    if known.len() < ABSENT_MAX || known.values().filter(|it| is_absent(it)).count() < ABSENT_MAX {
        return;
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
