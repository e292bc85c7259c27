//! One plane's journal, open for writing, and what its recorders share: memory to encode in, and what is counted.
//! Invariant: it appends whole batches, and what it could not append it has counted.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use journal::{
    Appended, Batch, Error, Exchange, ExchangeId, Fate, Kind, LossPolicy, Options, PAYLOAD_BYTES_MAX, Refused, Ticket,
};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::entry::Plane;
use crate::latency::{Counting, Latency};

/// One append in so many is timed: two looks at the clock are a tenth of what an append of a token costs.
const TIMED_ONE_IN: u64 = 8;

/// Scratch memory that waits for its next use: one a thread is enough, a few more are spared a fight.
const SCRATCHES_MAX: usize = 64;

pub struct Ledger {
    writer: journal::Writer,
    #[expect(
        clippy::vec_box,
        reason = "a recorder that waits holds a pointer, and what it points to is handed over, not moved"
    )]
    scratches: Mutex<Vec<Box<Scratch>>>,
    /// Tried, by a recorder.
    tries: AtomicU64,
    latency: Counting,
    errors: AtomicU64,
    /// Records that were not even tried: their exchange's beginning is lost.
    forgone_records: AtomicU64,
}

/// Since the ledger was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    pub records: u64,
    /// With what surrounds them in the file.
    pub bytes: u64,
    /// Records that should have been kept and were not.
    pub dropped: u64,
    /// Appends that failed, also those that were tried again and failed again, and those that were not confirmed.
    pub errors: u64,
    pub folder_bytes: u64,
    /// Calls that wrote, each with one exchange's records or with those of many.
    pub appends: u64,
    /// Of one append in eight.
    pub append: Latency,
}

/// What is being put together for one append.
pub(crate) struct Scratch {
    pub(crate) batch: Batch,
    /// A body's bytes that belong in one record, with their time before them.
    piece: Vec<u8>,
    piece_kind: Kind,
}

impl Ledger {
    /// Opens the journal in `folder` ([`crate::folder_of`]), which is made where it is missing.
    ///
    /// # Errors
    /// Where the folder cannot be used, or another process writes it.
    pub fn open(folder: &Path, options: Options) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            writer: journal::Writer::open(folder, options)?,
            scratches: Mutex::default(),
            tries: AtomicU64::new(0),
            latency: Counting::default(),
            errors: AtomicU64::new(0),
            forgone_records: AtomicU64::new(0),
        }))
    }

    /// Opens the first of a plane's folders that nobody writes: an edge that was succeeded keeps its own until its last
    /// stream has ended.
    ///
    /// # Errors
    /// Where the folder cannot be used, or all are written.
    pub fn open_free(journal: &Path, plane: Plane, options: Options) -> Result<Arc<Self>, Error> {
        let mut outcome = Self::open(&crate::folder_of(journal, plane), options);
        for name in &crate::folder_names(plane)[1..] {
            if !matches!(outcome, Err(Error::Locked { .. })) {
                break;
            }
            outcome = Self::open(&journal.join(name), options);
        }
        outcome
    }

    pub fn statistics(&self) -> Statistics {
        let journal = self.writer.statistics();
        Statistics {
            records: journal.written_records,
            bytes: journal.written_bytes,
            dropped: journal.dropped_records + self.forgone_records.load(Relaxed),
            errors: self.errors.load(Relaxed),
            folder_bytes: journal.folder_bytes,
            appends: journal.writes,
            append: self.latency.read(),
        }
    }

    pub(crate) fn append(&self, batch: &Batch, loss: LossPolicy) -> Result<Appended, Refused> {
        let appended = self.timed(|| self.writer.append_under(batch, loss));
        if !matches!(appended, Ok(Appended::Written(_))) {
            self.failed();
        }
        appended
    }

    /// `None`: it is to be appended.
    pub(crate) fn hand_in(&self, batch: &Batch) -> Option<Ticket> {
        self.writer.hand_in(batch)
    }

    /// What was handed in is written on return, or lost, or the disk stalls.
    pub(crate) fn settle(&self, ticket: &Ticket) -> Fate {
        let fate = match ticket.fate() {
            Fate::Waiting => self.timed(|| self.writer.settle(ticket)),
            told => told,
        };
        if fate == Fate::Waiting {
            self.failed();
        }
        fate
    }

    /// What was appended or handed in was not taken.
    pub(crate) fn failed(&self) {
        self.errors.fetch_add(1, Relaxed);
    }

    fn timed<T>(&self, act: impl FnOnce() -> T) -> T {
        if !self.tries.fetch_add(1, Relaxed).is_multiple_of(TIMED_ONE_IN) {
            return act();
        }
        let began = Instant::now();
        let done = act();
        self.latency.note(began.elapsed());
        done
    }

    pub(crate) fn forgo(&self, records: u64) {
        self.forgone_records.fetch_add(records, Relaxed);
    }

    pub(crate) fn scratch(&self) -> Box<Scratch> {
        let kept = self.scratches.lock().pop();
        kept.unwrap_or_else(|| {
            Box::new(Scratch {
                batch: self.writer.batch(),
                piece: Vec::new(),
                piece_kind: Kind::RequestBytes,
            })
        })
    }

    pub(crate) fn give_back(&self, mut scratch: Box<Scratch>) {
        scratch.batch.clear();
        scratch.piece.clear();
        let mut kept = self.scratches.lock();
        if kept.len() < SCRATCHES_MAX {
            kept.push(scratch);
        }
    }
}

impl Scratch {
    /// A record whose payload `encode` appends.
    pub(crate) fn entry(&mut self, exchange: &mut Exchange, kind: Kind, encode: impl FnOnce(&mut Vec<u8>)) {
        self.finish_piece(exchange);
        encode(&mut self.piece);
        self.batch.push(exchange, kind, &self.piece);
        self.piece.clear();
    }

    /// Adds a body's bytes. What comes at once becomes one record, however many calls it took.
    pub(crate) fn bytes(&mut self, exchange: &mut Exchange, kind: Kind, mut bytes: &[u8], elapsed_us: u64) {
        if self.piece_kind != kind {
            self.finish_piece(exchange);
        }
        while !bytes.is_empty() {
            if self.piece.is_empty() {
                self.piece_kind = kind;
                crate::fields::put_varint(&mut self.piece, elapsed_us);
            }
            // A record that the journal split could not be read piece by piece.
            let (now, later) = bytes.split_at(bytes.len().min(PAYLOAD_BYTES_MAX - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
            if self.piece.len() == PAYLOAD_BYTES_MAX {
                self.finish_piece(exchange);
            }
        }
    }

    pub(crate) fn finish_piece(&mut self, exchange: &mut Exchange) {
        if !self.piece.is_empty() {
            self.batch.push(exchange, self.piece_kind, &self.piece);
            self.piece.clear();
        }
    }
}

/// A new name for an exchange: by time, so that rows lie in the order in which they came.
pub fn new_id() -> ExchangeId {
    ExchangeId(Uuid::now_v7().into_bytes())
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ledger").field(&self.writer).finish()
    }
}
