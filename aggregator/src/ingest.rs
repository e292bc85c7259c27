//! From the journals to the store: every exchange once, whatever dies when.
//!
//! ```text
//!   journal/edge/        ──Follower, a thread──▶ Assembler ─▶ parse ─▶ rows + place ─┐
//!   journal/edge-2/ …    ──Follower, a thread──▶ once it is there: an edge that took over while another still wrote
//!   journal/aggregator/  ──Follower, a thread──▶ Assembler ─▶ parse ─▶ rows + place ─┴▶ Sink (the store)
//!         ◀── removed once all of it is in the store (or kept: `--keep-journal`)
//! ```
//! Owns the threads, and what is believed of an exchange whose end never comes. Refuses to know HTTP and SQL.
//! Invariants: a record is read as often as it must be and counts once; a place is never committed before what lies before it
//! is stored or parked; what is missing is marked, never made up; everything that is held has a bound.

mod assemble;
mod follow;
mod metrics;
mod options;
mod parse;
mod row;
mod sink;
mod stop;
mod task;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use assemble::Holding;
pub use options::{IngestConfig, Pace};
pub use sink::{Sink, SinkError};
pub use stop::Stop;
pub(crate) use task::spawn;

use follow::{Failure, Follower};
use metrics::JournalMetrics;

use crate::metrics::Exposition;
use crate::store::Plane;

/// The followers' threads. Dropping it stops and joins them.
pub struct Ingest {
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
    metrics: Vec<Arc<JournalMetrics>>,
}

/// Whose journals there may be.
const PLANES: [(capture::Plane, Plane); 2] = [
    (capture::Plane::Edge, Plane::Edge),
    (capture::Plane::Aggregator, Plane::Aggregator),
];

/// So often is looked whether a writer has begun a folder of its own, beside that of a predecessor which still writes.
const FURTHER_LOOK: Duration = Duration::from_millis(500);

/// A folder for each writer, as [`capture::folder_names`] names them; whether it is a plane's usual one.
fn journals() -> impl Iterator<Item = (&'static str, Plane, bool)> {
    PLANES.into_iter().flat_map(|(names, plane)| {
        let names = capture::folder_names(names).iter().enumerate();
        names.map(move |(index, name)| (*name, plane, index == 0))
    })
}

impl Ingest {
    /// Begins to follow the journals. A folder that is not there yet is waited for.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub fn start<S: Sink>(config: &IngestConfig, sink: &Arc<S>) -> std::io::Result<Self> {
        let mut ingest = Self {
            stop: Stop::default(),
            threads: Vec::new(),
            metrics: Vec::new(),
        };
        let mut further = Vec::new();
        for (name, plane, is_usual) in journals() {
            let metrics = Arc::new(JournalMetrics::of(name));
            ingest.metrics.push(Arc::clone(&metrics));
            let followed = Followed {
                config: config.clone(),
                name,
                plane,
                sink: Arc::clone(sink),
                metrics,
                stop: ingest.stop.clone(),
            };
            if is_usual {
                ingest.threads.push(followed.start()?);
            } else {
                further.push(followed);
            }
        }
        let stop = ingest.stop.clone();
        let thread = std::thread::Builder::new().name("ingest-further".to_owned());
        ingest
            .threads
            .push(thread.spawn(move || follow_further(further, &stop))?);
        Ok(ingest)
    }

    /// What has been counted, onto the page.
    pub(crate) fn metrics(&self) -> IngestMetrics {
        IngestMetrics(self.metrics.clone())
    }

    /// Whether a thread has ended by itself, which none does but by a fault of ours.
    pub fn has_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Ends the threads: each commits what it has and leaves the rest to the next start.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.stop.request();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of ingest panicked");
            }
        }
    }
}

/// What ingest counts, for the page.
#[derive(Debug, Clone)]
pub(crate) struct IngestMetrics(Vec<Arc<JournalMetrics>>);

impl Default for IngestMetrics {
    /// Nothing has been counted.
    fn default() -> Self {
        let journals = journals().map(|(name, ..)| JournalMetrics::of(name));
        let journals = journals.inspect(JournalMetrics::note_followed).map(Arc::new);
        Self(journals.collect())
    }
}

impl IngestMetrics {
    pub(crate) fn expose(&self, page: &mut Exposition) {
        let followed = self.0.iter().filter(|journal| journal.is_followed());
        let journals: Vec<&JournalMetrics> = followed.map(AsRef::as_ref).collect();
        metrics::expose(&journals, page);
    }
}

/// One journal, and what its thread needs.
struct Followed<S> {
    config: IngestConfig,
    name: &'static str,
    plane: Plane,
    sink: Arc<S>,
    metrics: Arc<JournalMetrics>,
    stop: Stop,
}

impl<S: Sink> Followed<S> {
    fn is_there(&self) -> bool {
        self.config.journal.join(self.name).is_dir()
    }

    fn start(self) -> std::io::Result<JoinHandle<()>> {
        self.metrics.note_followed();
        let thread = std::thread::Builder::new().name(format!("ingest-{}", self.name));
        thread.spawn(move || {
            follow(
                &self.config,
                self.name,
                self.plane,
                &self.sink,
                &self.metrics,
                &self.stop,
            )
        })
    }
}

/// Starts following each of these once it is there. Returns once it is told to, or one of them ended by itself.
fn follow_further<S: Sink>(mut waiting: Vec<Followed<S>>, stop: &Stop) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while !stop.is_requested() && !threads.iter().any(JoinHandle::is_finished) {
        for followed in waiting.extract_if(.., |followed| followed.is_there()) {
            let name = followed.name;
            match followed.start() {
                Ok(thread) => threads.push(thread),
                Err(error) => tracing::error!(journal = name, %error, "a journal is followed by the next start only"),
            }
        }
        stop.wait(FURTHER_LOOK);
    }
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of ingest panicked");
        }
    }
}

/// A store that cannot be asked now is asked again.
fn follow<S: Sink>(
    config: &IngestConfig,
    name: &'static str,
    plane: Plane,
    sink: &Arc<S>,
    metrics: &Arc<JournalMetrics>,
    stop: &Stop,
) {
    let mut told = false;
    while !stop.is_requested() {
        match Follower::open(config, name, plane, sink, Arc::clone(metrics)) {
            Ok(follower) => return follower.run(stop),
            Err(failure) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(journal = name, "{failure}");
                }
                stop.wait(config.pace.retry_interval);
            }
        }
    }
}

/// What [`catch_up`] met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaughtUp {
    /// Rows given to the sink.
    pub stored: u64,
    /// Exchanges that were rows already.
    pub replayed: u64,
    pub records: u64,
    pub bytes: u64,
    /// Parts of the journal that could not be read; each is in the log.
    pub gaps: u64,
    /// Exchanges that are not over.
    pub open: u64,
}

/// Reads what is there of every journal, and returns when all of it is committed: for tools and tests.
///
/// # Errors
/// Where disk or store fail; the log says how.
pub fn catch_up<S: Sink>(config: &IngestConfig, sink: &Arc<S>) -> Result<CaughtUp, String> {
    let mut caught_up = CaughtUp::default();
    for (name, plane, is_usual) in journals() {
        if !is_usual && !config.journal.join(name).is_dir() {
            continue;
        }
        let metrics = Arc::new(JournalMetrics::of(name));
        let opened = Follower::open(config, name, plane, sink, Arc::clone(&metrics));
        let mut follower = opened.map_err(|failure: Failure| failure.to_string())?;
        follower.catch_up().map_err(|failure| failure.to_string())?;
        caught_up.stored += metrics.exchanges.get();
        caught_up.replayed += metrics.replayed.get();
        caught_up.records += metrics.records.get();
        caught_up.bytes += metrics.bytes.get();
        caught_up.gaps += metrics.gaps();
        caught_up.open += metrics.open.get();
    }
    Ok(caught_up)
}
