//! Whose turn it is. Pure: it knows moments, not clocks.
//!
//! Two queues, because those that are down wait out their time-outs: they may fill [`DOWN_SLOTS_MAX`] of the
//! [`SLOTS_MAX`] polls that run at once, so that a rack of dead machines never delays news of the living.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use super::spec::BackendId;

/// Polls at once: each holds a socket and at most one list in memory.
const SLOTS_MAX: usize = 64;
const DOWN_SLOTS_MAX: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Up, slow, or not asked yet.
    Live,
    Down,
}

#[derive(Debug, Default)]
pub(super) struct Schedule {
    live: BTreeSet<(Instant, BackendId)>,
    down: BTreeSet<(Instant, BackendId)>,
    /// Where each waiting backend stands.
    places: HashMap<BackendId, (Instant, Lane)>,
    /// Which lane each running poll was started from.
    running: HashMap<BackendId, Lane>,
}

impl Schedule {
    /// Puts a backend in line, wherever it stood before; not while its poll runs.
    pub(super) fn put(&mut self, id: BackendId, at: Instant, lane: Lane) {
        if self.running.contains_key(&id) {
            return;
        }
        self.leave(&id);
        self.places.insert(id.clone(), (at, lane));
        self.lane(lane).insert((at, id));
    }

    /// Moves a waiting backend forward, never back.
    pub(super) fn hasten(&mut self, id: &BackendId, at: Instant) {
        if let Some(&(due, lane)) = self.places.get(id)
            && at < due
        {
            self.put(id.clone(), at, lane);
        }
    }

    pub(super) fn leave(&mut self, id: &BackendId) {
        if let Some((at, lane)) = self.places.remove(id) {
            self.lane(lane).remove(&(at, id.clone()));
        }
    }

    /// The next backend whose time has come and for which there is a slot; its poll counts as running from now on.
    pub(super) fn start_next(&mut self, now: Instant) -> Option<BackendId> {
        let lane = [Lane::Live, Lane::Down]
            .into_iter()
            .find(|&lane| self.next_in(lane).is_some_and(|at| at <= now))?;
        let (_, id) = self.lane(lane).pop_first()?;
        self.places.remove(&id);
        self.running.insert(id.clone(), lane);
        Some(id)
    }

    pub(super) fn finished(&mut self, id: &BackendId) {
        self.running.remove(id);
    }

    /// When [`Schedule::start_next`] has something to give, unless a poll ends before.
    pub(super) fn next_due(&self) -> Option<Instant> {
        [Lane::Live, Lane::Down]
            .into_iter()
            .filter_map(|lane| self.next_in(lane))
            .min()
    }

    /// The head of a lane, where the lane has a slot free.
    fn next_in(&self, lane: Lane) -> Option<Instant> {
        let (queue, in_lane) = match lane {
            Lane::Live => (&self.live, 0),
            Lane::Down => (
                &self.down,
                self.running.values().filter(|&&lane| lane == Lane::Down).count(),
            ),
        };
        let free = self.running.len() < SLOTS_MAX && in_lane < DOWN_SLOTS_MAX;
        queue.first().map(|&(at, _)| at).filter(|_| free)
    }

    fn lane(&mut self, lane: Lane) -> &mut BTreeSet<(Instant, BackendId)> {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Down => &mut self.down,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::targets::tests::id;
    use super::*;

    fn started(schedule: &mut Schedule, now: Instant) -> Vec<BackendId> {
        std::iter::from_fn(|| schedule.start_next(now)).collect()
    }

    #[test]
    fn turns_come_in_order_of_time_and_not_before_it() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let later = now + Duration::from_secs(5);
        schedule.put(id(1), later, Lane::Live);
        schedule.put(id(2), now, Lane::Live);
        assert_eq!(started(&mut schedule, now), [id(2)]);
        assert_eq!(schedule.next_due(), Some(later));
        schedule.hasten(&id(1), now);
        schedule.hasten(&id(1), later);
        assert_eq!(started(&mut schedule, now), [id(1)]);
        assert_eq!(schedule.next_due(), None);
    }

    #[test]
    fn a_backend_runs_once_at_a_time_and_stands_in_line_once() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.put(id(1), now, Lane::Down);
        schedule.put(id(1), now, Lane::Live);
        assert_eq!(started(&mut schedule, now), [id(1)]);
        schedule.put(id(1), now, Lane::Live);
        assert_eq!(started(&mut schedule, now), []);
        schedule.finished(&id(1));
        schedule.put(id(1), now, Lane::Live);
        schedule.leave(&id(1));
        assert_eq!(started(&mut schedule, now), []);
    }

    #[test]
    fn the_dead_never_fill_the_slots_of_the_living() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        for port in 0..200 {
            schedule.put(id(port), now, Lane::Down);
        }
        assert_eq!(started(&mut schedule, now).len(), DOWN_SLOTS_MAX);
        assert_eq!(
            schedule.next_due(),
            None,
            "no slot for the dead: nothing to wake up for"
        );
        for port in 1000..1200 {
            schedule.put(id(port), now, Lane::Live);
        }
        assert_eq!(started(&mut schedule, now).len(), SLOTS_MAX - DOWN_SLOTS_MAX);
    }
}
