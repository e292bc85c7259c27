//! Follows one journal: reads, assembles, and commits rows together with the place that was read to.
//!
//! ```text
//!  Reader ─▶ Assembler ─▶ row ─▶ batch ──commit: rows + `done`──▶ Sink
//!                                         then: `resume` ───────▶ Sink, then segments before it are removed
//!
//!      resume            done                 the journal's end
//!   ──────┬───────────────┬─────────────────────────┬──▶
//!         │ open then     │ committed with the rows │
//!         │ re-read after a start; what ended before `done` is a row already and is not made into one again
//! ```
//! Two places, for streams of hours must not keep back the rows of minutes. `done` is in the rows' transaction, so that each
//! exchange is stored once whatever dies when, also one that was deleted since. `resume` follows when it may: an older one
//! only means that more is read again.
//!
//! Owns the order of these writes, and who is believed to be gone. Refuses to skip anything because of a failure: it tries
//! again until it is told to stop.

mod commit;
mod losses;
mod progress;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::{Cursor, Error as JournalError, ExchangeId, FRAME_HEAD_BYTES, Kind, Reader, Step, WriterMark};

use super::assemble::{Assembled, Assembler, Placed};
use super::metrics::JournalMetrics;
use super::options::IngestConfig;
use super::sink::{Sink, SinkError};
use super::stop::Stop;
use crate::store::Plane;

use commit::Batch;
use losses::Losses;
use progress::Progress;

/// So many records are read before other things are looked at.
const RECORDS_A_TURN: usize = 1_024;

pub(super) struct Follower<S> {
    sink: Arc<S>,
    config: IngestConfig,
    plane: Plane,
    folder: PathBuf,
    marks: Marks,
    reader: Reader,
    assembler: Assembler,
    /// The payload in hand; reused.
    payload: Vec<u8>,
    writer: Option<WriterMark>,
    /// All that ended before is stored.
    done: Cursor,
    /// Where a start would resume, as it was committed.
    resume: Cursor,
    resumed_at: Instant,
    batch: Batch,
    /// The segments that were read last, the oldest first.
    recent: VecDeque<u64>,
    losses: Losses,
    progress: Progress,
    metrics: Arc<JournalMetrics>,
}

struct Marks {
    done: String,
    resume: String,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Busy,
    /// The journal is read to its end, and all of it is committed that can be.
    Idle,
    /// The disk or the store failed; it has been logged.
    Failed,
}

#[derive(Debug)]
pub(super) enum Failure {
    Journal(JournalError),
    Sink(SinkError),
    Parking(std::io::Error),
}

impl<S: Sink> Follower<S> {
    /// # Errors
    /// Where the sink cannot say how far it is, or what was parked cannot be read.
    pub(super) fn open(
        config: &IngestConfig,
        name: &'static str,
        plane: Plane,
        sink: &Arc<S>,
        metrics: Arc<JournalMetrics>,
    ) -> Result<Self, Failure> {
        let folder = config.journal.join(name);
        let marks = Marks {
            done: name.to_owned(),
            resume: format!("{name}.resume"),
        };
        let done = sink.cursor(&marks.done).map_err(Failure::Sink)?.unwrap_or_default();
        let resume = sink
            .cursor(&marks.resume)
            .map_err(Failure::Sink)?
            .unwrap_or_default()
            .min(done);
        let assembler = Assembler::open(folder.join("parked"), config.holding).map_err(Failure::Parking)?;
        Ok(Self {
            reader: Reader::open(&folder, resume),
            sink: Arc::clone(sink),
            config: config.clone(),
            plane,
            folder,
            marks,
            assembler,
            payload: Vec::new(),
            writer: None,
            done,
            resume,
            resumed_at: Instant::now(),
            batch: Batch::default(),
            recent: VecDeque::new(),
            losses: Losses::default(),
            progress: Progress::new(name),
            metrics,
        })
    }

    /// Until it is told to stop. What is read and not committed by then is read again by the next start.
    pub(super) fn run(mut self, stop: &Stop) {
        while !stop.is_requested() {
            match self.turn() {
                Turn::Busy => {}
                Turn::Idle => stop.wait(self.config.pace.look_interval),
                Turn::Failed => stop.wait(self.config.pace.retry_interval),
            }
        }
        if let Err(failure) = self.commit() {
            self.progress.failed(&failure);
        }
    }

    pub(super) fn turn(&mut self) -> Turn {
        let outcome = self.try_turn();
        self.observe();
        match outcome {
            Ok(turn) => {
                self.progress.succeeded();
                turn
            }
            Err(failure) => {
                self.metrics.failures.add(1);
                self.progress.failed(&failure);
                if matches!(failure, Failure::Journal(JournalError::CursorAhead { .. })) {
                    self.begin_anew();
                }
                Turn::Failed
            }
        }
    }

    fn try_turn(&mut self) -> Result<Turn, Failure> {
        if self.batch.is_given() {
            self.commit()?;
        }
        let is_at_end = self.read()?;
        if is_at_end {
            let silent = self.assembler.close_silent(Instant::now());
            self.metrics.given_up.add(silent.len() as u64);
            self.keep_all(silent);
            self.close_of_the_dead()?;
        }
        self.relieve()?;
        if is_at_end || self.batch.is_full(&self.config) {
            self.commit()?;
        }
        self.commit_resume()?;
        Ok(if is_at_end { Turn::Idle } else { Turn::Busy })
    }

    /// Reads some records; whether there are no more for now.
    fn read(&mut self) -> Result<bool, Failure> {
        for _ in 0..RECORDS_A_TURN {
            if self.batch.is_full(&self.config) {
                return Ok(false);
            }
            let (kind, exchange, sequence) = match self.reader.next_step().map_err(Failure::Journal)? {
                Step::Idle => {
                    self.noted_writer();
                    return Ok(true);
                }
                Step::Gap(gap) => {
                    self.noted_writer();
                    let is_told = self.reader.cursor() <= self.done;
                    self.losses.note(&gap, is_told, &mut self.assembler, &self.metrics);
                    continue;
                }
                Step::Record(record) => {
                    self.payload.clear();
                    self.payload.extend_from_slice(record.payload);
                    (record.kind, record.exchange, record.sequence)
                }
            };
            self.noted_writer();
            self.take(kind, exchange, sequence);
        }
        Ok(false)
    }

    fn take(&mut self, kind: Kind, exchange: ExchangeId, sequence: u32) {
        let behind = self.reader.cursor();
        let from = Cursor {
            segment: behind.segment,
            offset: behind
                .offset
                .saturating_sub((FRAME_HEAD_BYTES + self.payload.len()) as u64),
        };
        if self.recent.back() != Some(&behind.segment) {
            self.recent.push_back(behind.segment);
            if self.recent.len() > self.config.holding.segments_max.max(1) {
                self.recent.pop_front();
            }
        }
        self.metrics.records.add(1);
        self.metrics.bytes.add((FRAME_HEAD_BYTES + self.payload.len()) as u64);
        let record = Placed {
            from,
            kind,
            exchange,
            sequence,
            payload: &self.payload,
        };
        if let Some(assembled) = self.assembler.take(&record) {
            self.keep(assembled, behind);
        }
    }

    /// A writer starts only once the one before is gone: what that one left open is over.
    fn noted_writer(&mut self) {
        let now = self.reader.writer();
        if now != self.writer && self.writer.is_some() {
            let place = self.reader.cursor();
            let interrupted = self.assembler.close_all();
            interrupted
                .into_iter()
                .for_each(|assembled| self.keep(assembled, place));
        }
        self.writer = now;
    }

    /// The journal is read to its end. Where nobody writes it, what is open stays as it is for good.
    fn close_of_the_dead(&mut self) -> Result<(), Failure> {
        if self.assembler.held().exchanges == 0 || is_written(&self.folder) {
            return Ok(());
        }
        // It may have written its last between our last look and its death, and another may have begun since.
        if self.read()? && !is_written(&self.folder) {
            let unread = self.reader.behind_bytes().map_err(Failure::Journal)?;
            if unread > 0 {
                self.losses
                    .note_tail(self.reader.cursor(), unread, &mut self.assembler, &self.metrics);
            }
            let interrupted = self.assembler.close_all();
            self.keep_all(interrupted);
        }
        Ok(())
    }

    fn keep_all(&mut self, assembled: Vec<Assembled>) {
        assembled.into_iter().for_each(|assembled| self.push(assembled));
    }

    /// Makes it a row, unless it is one: what ended before `done` was committed with it.
    fn keep(&mut self, assembled: Assembled, place: Cursor) {
        if place <= self.done {
            self.metrics.replayed.add(1);
            self.assembler.forget(assembled.id);
            return;
        }
        self.push(assembled);
    }

    fn relieve(&mut self) -> Result<(), Failure> {
        let oldest_kept = match self.recent.len() >= self.config.holding.segments_max.max(1) {
            true => self.recent.front().copied().unwrap_or(0),
            false => 0,
        };
        let place = self.reader.cursor();
        match self.assembler.relieve(oldest_kept, place) {
            Ok(parked) => {
                self.metrics.parked.add(parked as u64);
                Ok(())
            }
            Err(error) => {
                // Segments can wait for room on the disk; memory cannot.
                let shed = self.assembler.shed();
                self.metrics.shed.add(shed as u64);
                self.progress.failed(&Failure::Parking(error));
                Ok(())
            }
        }
    }

    /// The folder was exchanged or emptied, and holds nothing that was read: all that is in it is new, and what is not is in
    /// the store already.
    fn begin_anew(&mut self) {
        tracing::error!(journal = %self.folder.display(), "the journal is older than what was read of it; it is read from its beginning");
        self.reader = Reader::open(&self.folder, Cursor::BEGINNING);
        (self.done, self.resume) = (Cursor::BEGINNING, Cursor::BEGINNING);
        self.recent.clear();
        self.writer = None;
        let interrupted = self.assembler.close_all();
        self.keep_all(interrupted);
    }

    /// Reads to the journal's end and commits all of it, where the next start resumes too.
    pub(super) fn catch_up(&mut self) -> Result<(), Failure> {
        while self.try_turn()? == Turn::Busy {}
        self.config.pace.resume_interval = Duration::ZERO;
        let outcome = self.commit_resume();
        self.observe();
        outcome
    }

    fn observe(&mut self) {
        if let Some(behind) = self
            .progress
            .look(&self.reader, self.config.pace.progress_interval, &self.metrics)
        {
            self.metrics.behind_bytes.set(behind);
        }
        let held = self.assembler.held();
        self.metrics.open.set(held.exchanges as u64);
        self.metrics.open_bytes.set(held.bytes as u64);
        self.metrics.parked_now.set(held.parked as u64);
    }
}

/// Where it cannot be known, a writer is believed to live: nothing is given up for it.
fn is_written(folder: &Path) -> bool {
    journal::is_written(folder).unwrap_or(true)
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Journal(error) => write!(f, "{error}"),
            Self::Sink(error) => write!(
                f,
                "rows cannot be stored: {error}; the journal keeps them until they can"
            ),
            Self::Parking(error) => write!(
                f,
                "open exchanges cannot be parked beside the journal: {error}; give the disk room, or they keep segments"
            ),
        }
    }
}
