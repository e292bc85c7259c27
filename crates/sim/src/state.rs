//! What all connections of one simulator share: its settings, its slots, what was observed, and whether it is loaded.
//! Nothing here is global, so simulators in one process do not meet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::answer;
use crate::api;
use crate::fault::FaultBox;
use crate::observe::Observed;
use crate::scheduler::Scheduler;
use crate::settings::Settings;
use crate::text::Random;

/// Remembered words for `/detokenize`; beyond it words are not remembered.
const VOCABULARY_MAX: usize = 100_000;

pub(crate) struct State {
    pub settings: Settings,
    pub observed: Arc<Observed>,
    pub scheduler: Scheduler,
    pub faults: FaultBox,
    pub introduction: Arc<[String]>,
    /// Seconds since 1970.
    pub started: u64,
    // Read at every request, while the deadline behind it hardly ever matters.
    may_be_loading: AtomicBool,
    loading: Mutex<Loading>,
    fixed_answer: Option<Vec<u8>>,
    ids: AtomicU64,
    vocabulary: Mutex<Vocabulary>,
}

enum Loading {
    Until(Instant),
    /// A test holds it there.
    Held,
}

#[derive(Default)]
pub(crate) struct Vocabulary {
    texts: HashMap<u32, String>,
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        let observed = Arc::new(Observed::new());
        let loading = !settings.loading.is_zero();
        Self {
            scheduler: Scheduler::new(settings.slots, Arc::clone(&observed)),
            observed,
            faults: FaultBox::default(),
            introduction: answer::introduction(&settings.model),
            started: unix_now(),
            may_be_loading: AtomicBool::new(loading),
            loading: Mutex::new(Loading::Until(Instant::now() + settings.loading)),
            fixed_answer: settings
                .answer_bytes
                .map(|bytes| api::fixed_answer(&settings.model, bytes)),
            ids: AtomicU64::new(0),
            vocabulary: Mutex::default(),
            settings,
        }
    }

    pub(crate) fn is_loading(&self) -> bool {
        if !self.may_be_loading.load(Ordering::Acquire) {
            return false;
        }
        let loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let still = match *loading {
            Loading::Held => true,
            Loading::Until(until) => Instant::now() < until,
        };
        self.may_be_loading.store(still, Ordering::Release);
        still
    }

    pub(crate) fn set_loading(&self, held: bool) {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        *loading = if held {
            Loading::Held
        } else {
            Loading::Until(Instant::now())
        };
        self.may_be_loading.store(held, Ordering::Release);
    }

    pub(crate) fn fixed_answer(&self) -> Option<Vec<u8>> {
        self.fixed_answer.clone()
    }

    /// A new identifier, unique within this server.
    pub(crate) fn id(&self, prefix: &str) -> String {
        let serial = self.ids.fetch_add(1, Ordering::Relaxed);
        format!("{prefix}-{}", Random(self.started << 24 ^ serial).id())
    }

    pub(crate) fn now(&self) -> u64 {
        unix_now()
    }

    pub(crate) fn vocabulary(&self) -> MutexGuard<'_, Vocabulary> {
        self.vocabulary.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vocabulary {
    pub(crate) fn learn(&mut self, token: u32, text: &str) {
        if self.texts.len() < VOCABULARY_MAX {
            self.texts.entry(token).or_insert_with(|| text.to_owned());
        }
    }

    /// The text of a token; one that `/tokenize` never gave out is shown as unknown.
    pub(crate) fn text(&self, token: u32) -> &str {
        self.texts.get(&token).map_or("\u{fffd}", String::as_str)
    }
}

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
