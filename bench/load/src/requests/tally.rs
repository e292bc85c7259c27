//! What a run of requests came to.

use std::collections::BTreeMap;

use serde_json::json;

use crate::events::{self, tell};
use crate::latencies::Latencies;

/// So many different failures are told; the rest is counted.
const REASONS_MAX: usize = 8;

pub(crate) struct Tally {
    pub(crate) answered_in_window: u64,
    pub(crate) failed: u64,
    pub(crate) reconnects: u64,
    pub(crate) unanswered: u64,
    right: Latencies,
    wrong: Latencies,
    statuses: BTreeMap<u16, u64>,
    reasons: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            answered_in_window: 0,
            failed: 0,
            reconnects: 0,
            unanswered: 0,
            right: Latencies::new()?,
            wrong: Latencies::new()?,
            statuses: BTreeMap::new(),
            reasons: BTreeMap::new(),
        })
    }

    pub(crate) fn record(&mut self, right_key: bool, nanos: u64) {
        match right_key {
            true => self.right.record(nanos),
            false => self.wrong.record(nanos),
        }
    }

    pub(crate) fn count_status(&mut self, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
    }

    pub(crate) fn fail(&mut self, how: &str) {
        self.failed += 1;
        if self.reasons.len() < REASONS_MAX || self.reasons.contains_key(how) {
            *self.reasons.entry(how.to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn tell(&self, duration_s: f64) {
        tell(
            events::SUMMARY,
            json!({
                "answered": self.answered_in_window,
                "per_s": self.answered_in_window as f64 / duration_s,
                "failed": self.failed,
                "unanswered": self.unanswered,
                "reconnects": self.reconnects,
                "latency": self.right.summary(),
                "latency_wrong": self.wrong.summary(),
                "statuses": self.statuses,
                "reasons": self.reasons,
            }),
        );
    }
}
