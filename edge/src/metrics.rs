//! What the edge counts, and its Prometheus form.
//!
//! Counting is an atomic addition; families with labels are put together when they are scraped. No label holds
//! anything a client sent.

use std::sync::atomic::{AtomicU64, Ordering};

use keymap::{FileState, Snapshot};
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, IntCounterVec, IntGauge, IntGaugeVec, Opts, TextEncoder};

use crate::error::Refusal;

/// HTTP statuses end here.
const STATUS_END: usize = 600;

pub(crate) struct Metrics {
    /// By status; index 0 counts exchanges that ended without an answer (the client had gone).
    answers: Box<[AtomicU64]>,
    refusals: IntCounterVec,
    upstream_failures: IntCounterVec,
    pub(crate) access_log_dropped: AtomicU64,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            answers: (0..STATUS_END).map(|_| AtomicU64::new(0)).collect(),
            refusals: counters(
                "conclave_edge_refusals_total",
                "Requests the edge answered by itself.",
                "reason",
            )?,
            upstream_failures: counters(
                "conclave_edge_upstream_failures_total",
                "Attempts at a server that failed, retried ones too.",
                "kind",
            )?,
            access_log_dropped: AtomicU64::new(0),
        })
    }

    pub(crate) fn answered(&self, status: Option<u16>) {
        let index = usize::from(status.unwrap_or(0)).min(STATUS_END - 1);
        self.answers[index].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refusals.with_label_values(&[refusal.code()]).inc();
    }

    pub(crate) fn upstream_failed(&self, kind: &'static str) {
        self.upstream_failures.with_label_values(&[kind]).inc();
    }

    /// The text a scrape gets.
    pub(crate) fn render(&self, in_flight: usize, mappings: &Snapshot) -> Result<Vec<u8>, prometheus::Error> {
        let mut families = self.refusals.collect();
        families.extend(self.upstream_failures.collect());
        families.extend(self.answers()?);
        families.extend(gauge(
            "conclave_edge_connections",
            "Connections being served.",
            in_flight,
        )?);
        families.extend(mapping_families(mappings)?);
        let dropped = counter_value(
            "conclave_edge_access_log_dropped_total",
            "Access log lines lost because the writer could not keep up.",
            self.access_log_dropped.load(Ordering::Relaxed),
        )?;
        families.extend(dropped);
        families.retain(|family| !family.get_metric().is_empty());
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }

    fn answers(&self) -> Result<Vec<MetricFamily>, prometheus::Error> {
        let vec = counters(
            "conclave_edge_requests_total",
            "Requests by the status answered; 0: none.",
            "code",
        )?;
        for (status, count) in self.answers.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                vec.with_label_values(&[&status.to_string()]).inc_by(count);
            }
        }
        Ok(vec.collect())
    }
}

fn mapping_families(mappings: &Snapshot) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let opts = Opts::new("conclave_mapping_files", "Mapping files by state.");
    let files = IntGaugeVec::new(opts, &["state"])?;
    for state in [FileState::Loaded, FileState::KeptLastGood, FileState::Refused] {
        let count = mappings.files.iter().filter(|file| file.state == state).count();
        files.with_label_values(&[state_label(state)]).set(as_i64(count));
    }
    let mut families = files.collect();
    families.extend(gauge(
        "conclave_mapping_keys",
        "Keys pinned exactly.",
        mappings.table.keys(),
    )?);
    families.extend(gauge(
        "conclave_mapping_routers",
        "Routers in the table.",
        mappings.table.routers(),
    )?);
    let reloads = "Changes of the mapping folder taken in.";
    families.extend(counter_value(
        "conclave_mapping_reloads_total",
        reloads,
        mappings.generation,
    )?);
    let reads = "Mapping files read and parsed.";
    families.extend(counter_value(
        "conclave_mapping_file_reads_total",
        reads,
        mappings.files_read,
    )?);
    Ok(families)
}

pub(crate) fn state_label(state: FileState) -> &'static str {
    match state {
        FileState::Loaded => "loaded",
        FileState::KeptLastGood => "kept_last_good",
        FileState::Refused => "refused",
    }
}

fn counters(name: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), &[label])
}

fn counter_value(name: &str, help: &str, value: u64) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let counter = prometheus::IntCounter::new(name, help)?;
    counter.inc_by(value);
    Ok(counter.collect())
}

fn gauge(name: &str, help: &str, value: usize) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let gauge = IntGauge::new(name, help)?;
    gauge.set(as_i64(value));
    Ok(gauge.collect())
}

fn as_i64(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
