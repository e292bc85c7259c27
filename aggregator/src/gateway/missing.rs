//! Backends that lack the younger path of an endpoint which can also be put to them in another way: remembered for a
//! while, so that not every request asks twice.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::locked;

/// By then a server may have been replaced by a newer one.
const REMEMBERED: Duration = Duration::from_secs(600);

/// By the backends' numbers. No larger than there are backends within [`REMEMBERED`].
#[derive(Default)]
pub(super) struct Missing(Mutex<HashMap<u32, Instant>>);

impl Missing {
    pub(super) fn is_known(&self, number: u32) -> bool {
        locked(&self.0)
            .get(&number)
            .is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    pub(super) fn note(&self, number: u32) {
        let mut missing = locked(&self.0);
        missing.retain(|_, since| since.elapsed() < REMEMBERED);
        missing.insert(number, Instant::now());
    }
}
