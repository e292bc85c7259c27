//! What a test can see of a simulator: counters, the last requests, and a way to await either instead of sleeping.
//! Counters are atomics, since ten thousand streams count every token; waiters are woken only if there are any.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::route;

/// A recorded body is cut here, so that a recorder left on cannot fill the memory.
const RECORDED_BODY_BYTES_MAX: usize = 1 << 20;

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident = $counter:ident,)*) => {
        /// One count among [`Stats`].
        #[derive(Clone, Copy)]
        pub(crate) enum Counter { $($counter,)* }
        const COUNTERS: usize = [$(Counter::$counter,)*].len();

        /// The counters at one moment.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats { $($(#[$doc])* pub $field: u64,)* by_path: Vec<u64> }

        impl Observed {
            pub(crate) fn stats(&self) -> Stats {
                Stats {
                    $($field: self.counts[Counter::$counter as usize].load(Ordering::SeqCst),)*
                    by_path: self.by_path.iter().map(|count| count.load(Ordering::SeqCst)).collect(),
                }
            }
        }
    };
}

counters! {
    connections_accepted = ConnectionsAccepted,
    connections_open = ConnectionsOpen,
    /// Requests whose head and body have been read, whatever the answer.
    requests_total = Requests,
    /// Requests read and not yet fully answered.
    requests_in_flight = RequestsInFlight,
    /// Generations that wait for a slot.
    requests_waiting = RequestsWaiting,
    slots_busy = SlotsBusy,
    /// Generations that were given a slot.
    generations_started = GenerationsStarted,
    generations_finished = GenerationsFinished,
    /// Generations ended early: by the client's going, a fault, or the shutdown.
    generations_cancelled = GenerationsCancelled,
    tokens_generated = TokensGenerated,
    prompt_tokens_evaluated = PromptTokensEvaluated,
    prompt_tokens_cached = PromptTokensCached,
    prefill_micros = PrefillMicros,
    decode_micros = DecodeMicros,
}

impl Stats {
    /// Requests for one path, without query; all unknown paths are counted together under `""`.
    pub fn requests(&self, path: &str) -> u64 {
        self.by_path[route::index(path)]
    }
}

/// One request as it came.
#[derive(Clone)]
pub struct Recorded {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In the order and the case in which they came.
    pub headers: Vec<(String, String)>,
    /// At most the first MiB; transfer coding removed.
    pub body: Bytes,
}

impl Recorded {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn new(method: &str, target: &str, headers: &[(String, String)], body: &Bytes) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: headers.to_vec(),
            body: body.slice(..body.len().min(RECORDED_BODY_BYTES_MAX)),
        }
    }
}

impl fmt::Debug for Recorded {
    // Header values may be keys, bodies are prompts: a failing assertion must not print them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        write!(
            f,
            "{} {path} with {names:?} and {} body bytes",
            self.method,
            self.body.len()
        )
    }
}

/// What [`crate::Sim::wait_until`] waited for did not come; holds the last counters.
#[derive(Debug)]
pub struct WaitTimeout(pub Stats);

impl fmt::Display for WaitTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the simulator's counters did not become what was waited for; they are {:?}",
            self.0
        )
    }
}

impl std::error::Error for WaitTimeout {}

/// The observations of one simulator.
pub(crate) struct Observed {
    counts: [AtomicU64; COUNTERS],
    by_path: Vec<AtomicU64>,
    changed: Notify,
    recorder_size: AtomicUsize,
    recorder: Mutex<VecDeque<Recorded>>,
}

impl Observed {
    pub(crate) fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; COUNTERS],
            by_path: (0..=route::ROUTES.len()).map(|_| AtomicU64::new(0)).collect(),
            changed: Notify::new(),
            recorder_size: AtomicUsize::new(0),
            recorder: Mutex::default(),
        }
    }

    pub(crate) fn add(&self, counter: Counter, amount: u64) {
        self.counts[counter as usize].fetch_add(amount, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(crate) fn set(&self, counter: Counter, value: u64) {
        self.counts[counter as usize].store(value, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Counts one now and takes it back when the guard goes.
    pub(crate) fn during(self: &Arc<Self>, counter: Counter) -> During {
        self.add(counter, 1);
        During {
            observed: Arc::clone(self),
            counter,
        }
    }

    pub(crate) fn count_request(&self, path: &str) {
        self.by_path[route::index(path)].fetch_add(1, Ordering::SeqCst);
        self.add(Counter::Requests, 1);
    }

    pub(crate) async fn wait_until(
        &self,
        mut wanted: impl FnMut(&Stats) -> bool,
        timeout: Duration,
    ) -> Result<Stats, WaitTimeout> {
        let waiting = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                // Registered before the look, or a change between the two would be missed.
                changed.as_mut().enable();
                let stats = self.stats();
                if wanted(&stats) {
                    return stats;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(timeout, waiting).await {
            Ok(stats) => Ok(stats),
            Err(_) => Err(WaitTimeout(self.stats())),
        }
    }

    pub(crate) fn set_recorder(&self, requests: usize) {
        self.recorder_size.store(requests, Ordering::SeqCst);
        self.recorder().clear();
    }

    pub(crate) fn recorder_on(&self) -> bool {
        self.recorder_size.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn record(&self, request: Recorded) {
        let size = self.recorder_size.load(Ordering::SeqCst);
        let mut recorder = self.recorder();
        recorder.push_back(request);
        while recorder.len() > size {
            recorder.pop_front();
        }
    }

    pub(crate) fn recorded(&self) -> Vec<Recorded> {
        self.recorder().iter().cloned().collect()
    }

    fn recorder(&self) -> std::sync::MutexGuard<'_, VecDeque<Recorded>> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct During {
    observed: Arc<Observed>,
    counter: Counter,
}

impl Drop for During {
    fn drop(&mut self) {
        self.observed.counts[self.counter as usize].fetch_sub(1, Ordering::SeqCst);
        self.observed.changed.notify_waiters();
    }
}
