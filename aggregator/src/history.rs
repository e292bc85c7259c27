//! What the fleet and the host were like lately, in memory: for plots, also where no response is stored.
//!
//! Two rings, each bounded: an hour in steps of five seconds, a day in steps of a minute. A restart forgets them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::time::MissedTickBehavior;

use crate::fleet::Fleet;
use crate::stats::StatsBoard;
use crate::tasks::Stop;

const FINE_STEP: Duration = Duration::from_secs(5);
const FINE_MAX: usize = 720;
/// A coarse sample is every twelfth fine one: a minute.
const COARSE_EVERY: usize = 12;
const COARSE_MAX: usize = 1_440;
/// Backends beyond these are on their page and in no plot; a sample of each takes 40 bytes.
const BACKENDS_MAX: usize = 64;

/// The host and the fleet at one moment; absent is not zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    pub(crate) at_us: i64,
    pub(crate) cpu_percent: Option<f64>,
    pub(crate) memory_percent: Option<f64>,
    pub(crate) disk_percent: Option<f64>,
    pub(crate) gpu_percent: Option<f64>,
    pub(crate) backends: Arc<[BackendSample]>,
}

#[derive(Debug, Clone)]
pub(crate) struct BackendSample {
    pub(crate) name: Arc<str>,
    /// Since the process began.
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) latency_us: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Rings>);

#[derive(Debug, Default)]
struct Rings {
    fine: VecDeque<Sample>,
    coarse: VecDeque<Sample>,
    taken: usize,
}

impl History {
    /// Samples since this moment, the oldest first: fine ones where they reach so far back.
    pub(crate) fn since(&self, from_us: i64) -> Vec<Sample> {
        let rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reach = i64::try_from(FINE_STEP.as_micros()).unwrap_or(0) * i64::try_from(FINE_MAX).unwrap_or(0);
        let ring = match rings.fine.back().is_some_and(|last| last.at_us - from_us <= reach) {
            true => &rings.fine,
            false => &rings.coarse,
        };
        ring.iter().filter(|sample| sample.at_us >= from_us).cloned().collect()
    }

    fn put(&self, sample: Sample) {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rings.taken.is_multiple_of(COARSE_EVERY) {
            push(&mut rings.coarse, sample.clone(), COARSE_MAX);
        }
        rings.taken += 1;
        push(&mut rings.fine, sample, FINE_MAX);
    }
}

fn push(ring: &mut VecDeque<Sample>, sample: Sample, max: usize) {
    if ring.len() == max {
        ring.pop_front();
    }
    ring.push_back(sample);
}

/// Takes samples until stopped.
pub(crate) async fn keep(history: Arc<History>, fleet: Arc<Fleet>, board: Arc<StatsBoard>, mut stop: Stop) {
    let mut ticks = tokio::time::interval(FINE_STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.requested() => return,
            _ = ticks.tick() => history.put(sample(&fleet, &board)),
        }
    }
}

fn sample(fleet: &Fleet, board: &StatsBoard) -> Sample {
    let host: Value = board
        .peek()
        .and_then(|stats| serde_json::from_slice(&stats).ok())
        .unwrap_or_default();
    let backends = fleet.view();
    let backends = backends
        .backends
        .iter()
        .take(BACKENDS_MAX)
        .map(|backend| BackendSample {
            name: Arc::clone(&backend.spec.name),
            answered: backend.traffic.answered_total(),
            failed: backend.traffic.failed_total(),
            latency_us: backend
                .traffic
                .latency()
                .and_then(|latency| u64::try_from(latency.as_micros()).ok()),
        });
    Sample {
        at_us: now_us(),
        cpu_percent: host["cpu"]["usage_percent"].as_f64(),
        memory_percent: host["memory"]["percent"].as_f64(),
        disk_percent: host["disk"]["percent"].as_f64(),
        gpu_percent: busiest_gpu(&host),
        backends: backends.collect(),
    }
}

fn busiest_gpu(host: &Value) -> Option<f64> {
    let cards = host["gpu"].as_array()?;
    let busy = cards.iter().filter_map(|card| card["usage_percent"].as_f64());
    busy.reduce(f64::max)
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_bounded_and_the_fine_one_serves_what_it_reaches() {
        let history = History::default();
        let step = i64::try_from(FINE_STEP.as_micros()).unwrap();
        for tick in 0..2_000 {
            history.put(Sample {
                at_us: tick * step,
                ..Sample::default()
            });
        }
        let last = 1_999 * step;
        assert_eq!(history.since(last - 9 * step).len(), 10);
        assert_eq!(history.since(last - 719 * step).len(), 720);
        let day = history.since(0);
        assert_eq!(day.len(), 2_000_usize.div_ceil(COARSE_EVERY));
        assert_eq!(day[1].at_us - day[0].at_us, 60_000_000);
    }
}
