//! Which touched names are due to be read: soon after the last sign, and however many follow, not long after the first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After a rename, a removal or a close nothing more is expected; this only gathers a burst into one change.
const SETTLED_QUIET: Duration = Duration::from_millis(15);
const SETTLED_WAIT_MAX: Duration = Duration::from_millis(60);

/// After a write the writer's close is expected, and half a file is worse than a late one. But a writer may keep the
/// file open for good.
const WRITTEN_QUIET: Duration = Duration::from_millis(100);
const WRITTEN_WAIT_MAX: Duration = Duration::from_millis(1_000);

/// What is due within this of what is due now is taken along.
const SLACK: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
pub(super) struct Pending(HashMap<Arc<str>, Due>);

#[derive(Debug)]
struct Due {
    first: Instant,
    at: Instant,
}

impl Pending {
    pub(super) fn touch(&mut self, name: Arc<str>, settled: bool, now: Instant) {
        let (quiet, wait_max) = if settled {
            (SETTLED_QUIET, SETTLED_WAIT_MAX)
        } else {
            (WRITTEN_QUIET, WRITTEN_WAIT_MAX)
        };
        let due = self.0.entry(name).or_insert(Due { first: now, at: now });
        due.at = (now + quiet).min(due.first + wait_max);
    }

    /// For a look at a later time, whatever happens meanwhile.
    pub(super) fn look_again(&mut self, name: Arc<str>, at: Instant) {
        self.0.entry(name).or_insert(Due { first: at, at });
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|due| due.at).min()
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Arc<str>> {
        if self.next().is_none_or(|next| next > now) {
            return Vec::new();
        }
        self.0
            .extract_if(|_, due| due.at <= now + SLACK)
            .map(|(name, _)| name)
            .collect()
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_rename_is_due_at_once_and_a_write_when_it_is_closed() {
        let start = Instant::now();
        let mut pending = Pending::default();
        pending.touch("a".into(), true, start);
        assert_eq!(pending.take_due(start + ms(14)), []);
        assert_eq!(pending.take_due(start + ms(15)), ["a".into()]);

        pending.touch("b".into(), false, start);
        pending.touch("b".into(), false, start + ms(90));
        assert_eq!(pending.take_due(start + ms(120)), []);
        pending.touch("b".into(), true, start + ms(120));
        assert_eq!(pending.take_due(start + ms(135)).len(), 1);
        assert_eq!(pending.next(), None);
    }

    #[test]
    fn a_stream_of_signs_cannot_put_a_name_off_for_ever() {
        for (settled, wait_max) in [(true, SETTLED_WAIT_MAX), (false, WRITTEN_WAIT_MAX)] {
            let start = Instant::now();
            let mut pending = Pending::default();
            let mut now = start;
            while pending.take_due(now).is_empty() {
                pending.touch("a".into(), settled, now);
                now += ms(5);
            }
            assert!(now <= start + wait_max + ms(5), "{settled}");
        }
    }

    #[test]
    fn a_burst_is_taken_at_once() {
        let start = Instant::now();
        let mut pending = Pending::default();
        for i in 0..100 {
            pending.touch(format!("{i}").into(), true, start + Duration::from_micros(i * 100));
        }
        assert_eq!(pending.take_due(start + SETTLED_QUIET).len(), 100);
    }
}
