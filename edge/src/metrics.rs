//! What the edge counts, and its Prometheus form.
//!
//! Counting is an atomic addition on the thread's own line of the cache; families with labels are put together when they are scraped. No label holds
//! anything a client sent.

mod budgets;
mod capture;
mod histogram;
mod servers;
mod spans;
mod specimen;
mod tls;
mod traffic;

pub use specimen::metrics_specimen;
pub(crate) use traffic::{Counted, Figures, Pace, Traffic};

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use keymap::{FileState, Snapshot};
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, IntCounterVec, IntGauge, IntGaugeVec, Opts, TextEncoder};

use crate::error::Refusal;
use crate::health;
use crate::limits::registry::UsedBudget;
use crate::tap::Tap;
use crate::tls::Front;

/// HTTP statuses end here.
const STATUS_END: usize = 600;

/// Threads that count without meeting in a cache line; more of them share.
const SHARDS: usize = 16;

/// Why an attempt at a server failed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UpstreamFailure {
    Connect,
    StaleConnection,
    /// It was sent a request and gave none.
    NoAnswer,
}

pub(crate) struct Metrics {
    /// Each thread adds to one of them; they are summed when they are read.
    shards: Box<[Shard]>,
    pub(crate) access_log_dropped: AtomicU64,
    /// Requests of services with `strategy: prefix`: those whose server had read their beginning, and the others.
    prefix_hits: AtomicU64,
    prefix_misses: AtomicU64,
    /// What passes, by router.
    pub(crate) traffic: Traffic,
}

struct Shard {
    /// By status; index 0 counts exchanges that ended without an answer (the client had gone).
    answers: [AtomicU64; STATUS_END],
    /// By [`Refusal::code_index`].
    refusals: [AtomicU64; Refusal::CODES.len()],
    /// By [`UpstreamFailure`].
    failures: [AtomicU64; FAILURES.len()],
}

/// In the order of [`UpstreamFailure`].
const FAILURES: [&str; 3] = ["connect", "stale_connection", "no_answer"];

thread_local! {
    static SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS
    };
}

/// Which of the shards is this thread's.
fn shard_index() -> usize {
    SHARD.with(|shard| *shard)
}

impl Shard {
    fn new() -> Self {
        Self {
            answers: [const { AtomicU64::new(0) }; STATUS_END],
            refusals: [const { AtomicU64::new(0) }; Refusal::CODES.len()],
            failures: [const { AtomicU64::new(0) }; FAILURES.len()],
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::new()).collect(),
            access_log_dropped: AtomicU64::new(0),
            prefix_hits: AtomicU64::new(0),
            prefix_misses: AtomicU64::new(0),
            traffic: Traffic::default(),
        }
    }

    fn shard(&self) -> &Shard {
        &self.shards[shard_index()]
    }

    pub(crate) fn answered(&self, status: Option<u16>) {
        let index = usize::from(status.unwrap_or(0)).min(STATUS_END - 1);
        self.shard().answers[index].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.shard().refusals[refusal.code_index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn upstream_failed(&self, failure: UpstreamFailure) {
        self.shard().failures[failure as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A conversation's server was chosen.
    pub(crate) fn prefix_looked_up(&self, is_held: bool) {
        let counter = if is_held {
            &self.prefix_hits
        } else {
            &self.prefix_misses
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self, counter: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        let counts = self.shards.iter().map(|shard| counter(shard).load(Ordering::Relaxed));
        counts.sum()
    }

    /// A family with one label, without the values that were never counted.
    fn family<'a>(
        (name, help, label): (&str, &str, &str),
        counts: impl Iterator<Item = (std::borrow::Cow<'a, str>, u64)>,
    ) -> Result<Vec<MetricFamily>, prometheus::Error> {
        let family = IntCounterVec::new(Opts::new(name, help), &[label])?;
        for (value, count) in counts.filter(|(_, count)| *count > 0) {
            family.with_label_values(&[&*value]).inc_by(count);
        }
        Ok(family.collect())
    }

    /// The text a scrape gets.
    pub(crate) fn render(
        &self,
        in_flight: usize,
        mappings: &Snapshot,
        tap: Option<&Tap>,
        front: Option<&Front>,
        further: &Further<'_>,
    ) -> Result<Vec<u8>, prometheus::Error> {
        let mut families = self.counted()?;
        families.extend(self.traffic.families()?);
        families.extend(plain(self, in_flight)?);
        families.extend(servers::families(&further.servers)?);
        families.extend(mapping_families(mappings)?);
        families.extend(budgets::families(&further.budgets)?);
        if let Some(tracer) = further.tracer {
            families.extend(spans::families(tracer.counts())?);
        }
        if let Some(tap) = tap {
            families.extend(capture::families(&tap.statistics())?);
        }
        if let Some(front) = front {
            families.extend(tls::of(front)?);
        }
        families.retain(|family| !family.get_metric().is_empty());
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }

    fn counted(&self) -> Result<Vec<MetricFamily>, prometheus::Error> {
        let refusals = (
            "conclave_edge_refusals_total",
            "Requests the edge answered by itself.",
            "reason",
        );
        let by_code = Refusal::CODES.iter().enumerate();
        let mut families = Self::family(
            refusals,
            by_code.map(|(index, code)| ((*code).into(), self.sum(|shard| &shard.refusals[index]))),
        )?;
        let failures = (
            "conclave_edge_upstream_failures_total",
            "Attempts at a server that failed, retried ones too.",
            "kind",
        );
        let by_kind = FAILURES.iter().enumerate();
        families.extend(Self::family(
            failures,
            by_kind.map(|(index, kind)| ((*kind).into(), self.sum(|shard| &shard.failures[index]))),
        )?);
        let prefixes = (
            "conclave_edge_prefix_requests_total",
            "Requests of services with `strategy: prefix`, by whether their server had read their beginning.",
            "result",
        );
        let looked_up = [("hit", &self.prefix_hits), ("miss", &self.prefix_misses)];
        families.extend(Self::family(
            prefixes,
            looked_up
                .into_iter()
                .map(|(result, counter)| (result.into(), counter.load(Ordering::Relaxed))),
        )?);
        let answers = (
            "conclave_edge_requests_total",
            "Requests by the status answered; 0: none.",
            "code",
        );
        families.extend(Self::family(
            answers,
            (0..STATUS_END).map(|status| (status.to_string().into(), self.sum(|shard| &shard.answers[status]))),
        )?);
        Ok(families)
    }
}

/// What a scrape shows beside what is counted here.
pub(crate) struct Further<'a> {
    pub(crate) servers: Vec<health::Shown>,
    pub(crate) budgets: Vec<UsedBudget>,
    pub(crate) tracer: Option<&'a traces::Tracer>,
}

/// Families without labels.
fn plain(metrics: &Metrics, in_flight: usize) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let help = "Connections being served.";
    let mut families = gauge("conclave_edge_connections", help, in_flight)?;
    families.extend(counter_value(
        "conclave_edge_access_log_dropped_total",
        "Access log lines lost because the writer could not keep up.",
        metrics.access_log_dropped.load(Ordering::Relaxed),
    )?);
    Ok(families)
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
