//! What a breaker measures: the last ten seconds, in ten buckets of a second.

use std::time::{Duration, Instant};

use keymap::breaker::{CodeRange, Measured};

use super::Ended;

const BUCKETS: usize = 10;

/// Statuses from here on to 599.
const STATUS_MIN: u16 = 100;
const STATUSES: usize = 500;

/// Times fall into bounds that grow by a quarter each, from a millisecond to some nineteen hours.
const TIMES: usize = 81;
const GROWTH: f64 = 1.25;

#[derive(Debug)]
pub(super) struct Window {
    since: Instant,
    buckets: Box<[Bucket]>,
}

#[derive(Debug, Clone)]
struct Bucket {
    /// Which second it counts, from the window's beginning on.
    second: u64,
    counts: Option<Box<Counts>>,
}

#[derive(Debug, Clone)]
pub(super) struct Counts {
    total: u32,
    no_answer: u32,
    statuses: [u32; STATUSES],
    times: [u32; TIMES],
}

impl Counts {
    fn new() -> Self {
        Self {
            total: 0,
            no_answer: 0,
            statuses: [0; STATUSES],
            times: [0; TIMES],
        }
    }
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        let empty = Bucket {
            second: 0,
            counts: None,
        };
        Self {
            since: now,
            buckets: vec![empty; BUCKETS].into(),
        }
    }

    pub(super) fn add(&mut self, ended: Ended, took: Duration, now: Instant) {
        let second = self.second(now);
        let bucket = &mut self.buckets[second as usize % BUCKETS];
        if bucket.second != second {
            *bucket = Bucket { second, counts: None };
        }
        let counts = bucket.counts.get_or_insert_with(|| Box::new(Counts::new()));
        counts.total = counts.total.saturating_add(1);
        match ended {
            Ended::NoAnswer => counts.no_answer += 1,
            Ended::Answered(status) => {
                let at = usize::from(status.saturating_sub(STATUS_MIN)).min(STATUSES - 1);
                counts.statuses[at] += 1;
            }
        }
        counts.times[place(took)] += 1;
    }

    /// The sum of the buckets that are young enough.
    pub(super) fn measured(&self, now: Instant) -> Box<Counts> {
        let second = self.second(now);
        let mut sum = Box::new(Counts::new());
        let young = self.buckets.iter().filter(|it| it.second + BUCKETS as u64 > second);
        for counts in young.filter_map(|bucket| bucket.counts.as_deref()) {
            sum.total += counts.total;
            sum.no_answer += counts.no_answer;
            let add = |sum: &mut [u32], more: &[u32]| sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
            add(&mut sum.statuses, &counts.statuses);
            add(&mut sum.times, &counts.times);
        }
        sum
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.since).as_secs()
    }
}

fn place(took: Duration) -> usize {
    let ms = took.as_secs_f64() * 1000.0;
    if ms <= 1.0 {
        return 0;
    }
    (ms.ln() / GROWTH.ln()).ceil().min((TIMES - 1) as f64) as usize
}

impl Measured for Counts {
    fn network_error_ratio(&self) -> f64 {
        ratio(self.no_answer, self.total)
    }

    fn response_code_ratio(&self, counted: CodeRange, among: CodeRange) -> f64 {
        let sum = |range: CodeRange| {
            let statuses = (STATUS_MIN..).zip(self.statuses);
            statuses
                .filter(|(status, _)| range.contains(*status))
                .map(|(_, count)| count)
                .sum()
        };
        ratio(sum(counted), sum(among))
    }

    fn latency_at_quantile_ms(&self, quantile: f64) -> f64 {
        let wanted = f64::from(self.total) * (quantile / 100.0).clamp(0.0, 1.0);
        let mut so_far = 0.0;
        for (at, count) in (0..).zip(self.times) {
            so_far += f64::from(count);
            if count > 0 && so_far >= wanted {
                return GROWTH.powi(at);
            }
        }
        0.0
    }
}

fn ratio(counted: u32, among: u32) -> f64 {
    if among == 0 {
        0.0
    } else {
        f64::from(counted) / f64::from(among)
    }
}
