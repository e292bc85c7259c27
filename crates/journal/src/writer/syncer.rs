//! The thread `journal-sync`: makes durable what was appended, writes what was handed in and marks that no append came to
//! write, and weighs the folder. Invariant: no sync happens inside the gate, so that no append waits for one unasked.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::log::Span;
use super::{Shared, SyncPolicy};
use crate::cursor::Cursor;

/// How often the thread looks around, unless an interval makes it more often: nothing that was handed in waits longer.
const TICK: Duration = Duration::from_millis(100);
/// How often the folder is weighed: room that a reader made is found that soon.
const WEIGH_EVERY: Duration = Duration::from_millis(500);

/// After a failed sync: each costs a segment, and a disk that is broken must not be filled with them.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How far the syncing is, and who waits for it.
#[derive(Default)]
pub(super) struct Progress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// All before was synced, or its sync failed.
    settled: Cursor,
    wanted: Cursor,
    stop: bool,
}

impl Progress {
    /// False where `timeout` passed first.
    pub(super) fn wait_for(&self, end: Cursor, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut state = self.state.lock();
        if state.wanted < end {
            state.wanted = end;
            self.changed.notify_all();
        }
        while state.settled < end {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return state.settled >= end;
            }
        }
        true
    }

    pub(super) fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }

    fn settle(&self, until: Cursor) {
        let mut state = self.state.lock();
        state.settled = state.settled.max(until);
        self.changed.notify_all();
    }

    /// Sleeps until `deadline` or until the end, and where that is heeded until someone waits; true is the end.
    fn sleep(&self, deadline: Instant, heed_wanted: bool) -> bool {
        let mut state = self.state.lock();
        while !(state.stop || heed_wanted && state.wanted > state.settled) {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.stop
    }
}

pub(super) fn run(shared: &Shared) {
    let (interval, syncs) = match shared.options.sync {
        SyncPolicy::Interval(interval) => (interval.max(Duration::from_millis(1)), true),
        SyncPolicy::Always => (TICK, true),
        SyncPolicy::Never => (TICK, false),
    };
    let tick = interval.min(TICK);
    let mut weigh_at = Instant::now() + WEIGH_EVERY;
    let (mut pause, mut sync_at) = (PAUSE_MIN, Instant::now());
    loop {
        let now = Instant::now();
        let stopped = shared.progress.sleep(now + tick, now >= sync_at);
        shared.write_waiting();
        if stopped || Instant::now() >= weigh_at {
            shared.weigh();
            weigh_at = Instant::now() + WEIGH_EVERY;
        }
        if stopped || Instant::now() >= sync_at {
            shared.write_marks();
            if !syncs {
                let _tried_again_by_the_next = shared.folder.settle();
            }
            if syncs && !shared.sync() {
                sync_at = Instant::now() + pause;
                pause = (pause * 2).min(PAUSE_MAX);
            } else {
                pause = PAUSE_MIN;
                sync_at = Instant::now() + (interval - tick);
            }
        }
        if stopped {
            return;
        }
    }
}

impl Shared {
    /// False where something could not be synced.
    fn sync(&self) -> bool {
        let work = self.gate.enter_patiently().take_sync_work();
        if self.folder.settle().is_err() {
            // Its disk is full, say: nothing is lost by that, and nothing more is known of what would be synced.
            self.gate.enter_patiently().give_sync_work_back(work);
            return true;
        }
        // The folder comes last: a name whose bytes are not there yet is a gap, bytes without a name are nothing.
        let mut failures: usize = work.spans.iter().map(|span| usize::from(!self.sync_span(span))).sum();
        if work.folder_changed && self.folder.sync().is_err() {
            self.gate.enter_patiently().folder_sync_failed();
            self.counters.sync_failures.fetch_add(1, Relaxed);
            failures += 1;
        }
        self.progress.settle(work.until);
        failures == 0
    }

    fn sync_span(&self, span: &Span) -> bool {
        let result = span.file.sync();
        let mut log = self.gate.enter_patiently();
        match result {
            Ok(()) => {
                log.synced(span);
                self.counters.syncs.fetch_add(1, Relaxed);
            }
            Err(_) => {
                log.sync_failed(self, span);
                self.counters.sync_failures.fetch_add(1, Relaxed);
            }
        }
        result.is_ok()
    }

    fn write_waiting(&self) {
        if !self.waiting.is_empty() {
            let _told_by_its_ticket = self.write(&mut self.gate.enter_patiently(), None);
        }
    }

    fn write_marks(&self) {
        let mut log = self.gate.enter_patiently();
        if log.has_marks(self) {
            let _tried_again_later = log.write(self, &[]);
        }
    }

    fn weigh(&self) {
        let newest_number = self.gate.enter_patiently().newest_number();
        if let Ok(listed) = self.folder.list() {
            self.gate.enter_patiently().weigh(self, &listed, newest_number);
        }
    }
}
