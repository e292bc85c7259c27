//! The one writer of a folder. Owns what an append promises: when it returns [`Appended::Written`], the bytes are with
//! the kernel and survive this process however it ends (with [`SyncPolicy::Always`], the machine too).
//!
//! ```text
//!  many threads ──▶ Batch (encoded and summed outside the lock) ── hand_in ──▶ waiting ┐
//!                     │                                                                │ goes with the next write
//!                     ▼ append, settle                 ◀───────────────────────────────┘
//!                   gate ── held too long by another? ──▶ lost: Stalled     at most one thread waits for the disk
//!                     ▼
//!                   log ─── folder full, disk full? ───▶ lost: Full, Disk
//!                     ▼ one write(2), or a copy into the tray
//!                 segment ◀── fsync ── journal-sync: a thread of its own; also writes marks, weighs the folder
//! ```
//!
//! **The tray.** Where the folder has one (see `tray.rs`), an append is a copy into memory that outlives the process, and
//! the segment's file gets it later, many appends in one call. Nothing else here knows the difference: a segment's length
//! is what was appended to it, wherever it lies. Without a tray, each append is a `write(2)`, and:
//!
//! **Handing in.** A call of `write` costs as much as all else together. [`Writer::hand_in`] copies a batch to where it
//! waits for the next write, whoever's that is, and [`Writer::settle`] sees to it that it has been: who has several things
//! to keep at one moment hands all of them in, then settles each, and pays for one write. What nobody settles, the syncing
//! thread writes within a tenth of a second.
//!
//! There is one lock around one `write`, and not a segment for each thread. `examples/journal_cost.rs` measures both: encoding
//! and write take about a microsecond together, and as much is written each second either way by as many threads as
//! there are processors; lanes only shorten the wait for a holder that lost its processor. They would cost readers a
//! merge and consumers a cursor of many parts, and a disk that stalls would hold every thread in its own write rather
//! than one in the only one. Who wants lanes opens a folder for each.
//!
//! A blocked `write` cannot be interrupted. A thread that hands its bytes to another could stop waiting, but pays a
//! switch of context for each append, always; here the one thread that is in the write stays there, which is seen by
//! the others, who do not queue behind it.

mod counters;
mod gate;
mod log;
mod options;
mod syncer;
mod waiting;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, io};

pub use self::counters::Statistics;
pub use self::options::{LossPolicy, Options, SyncPolicy};
pub use self::waiting::{Fate, Ticket};

use self::counters::Counters;
use self::gate::Gate;
use self::log::Log;
use self::syncer::Progress;
use self::waiting::Waiting;
use crate::batch::Batch;
use crate::cursor::Cursor;
use crate::error::Error;
use crate::frame::Seal;
use crate::io::{Disk, Folder, Trayed, WriterLock};
use crate::tray;

/// The pause between two attempts of [`Writer::append_within`].
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// Appends to a journal from any number of threads. Dropping it syncs what is left and ends its thread.
pub struct Writer {
    shared: Arc<Shared>,
    syncer: Option<JoinHandle<()>>,
    _lock: Option<WriterLock>,
}

/// What became of a batch, under [`LossPolicy::Drop`] or where nothing was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// All of it is in the journal; this is the place behind it.
    Written(Cursor),
    /// It is not, or with [`Reason::Unsynced`] perhaps not for good. It was counted, and the journal will tell.
    Dropped(Reason),
}

/// The batch is not in the journal, and [`LossPolicy::Refuse`] says that nothing may go on without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: Reason,
}

/// Why a batch could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Another append, or the syncing of old segments, waits for the disk for longer than [`Options::stall_max`].
    Stalled,
    /// The folder has reached [`Options::folder_bytes_max`].
    Full,
    /// The file system refused. Frames of the batch may have been written before it did: see [`crate::Exchange`].
    Disk(io::ErrorKind),
    /// Written, but under [`SyncPolicy::Always`] the sync failed or took longer than [`Options::always_wait_max`].
    Unsynced,
}

struct Shared {
    folder: Arc<dyn Folder>,
    appends_quickly: bool,
    seal: Seal,
    options: Options,
    counters: Counters,
    gate: Gate<Log>,
    progress: Progress,
    waiting: Waiting,
}

impl Writer {
    /// Opens the journal in `path`, which is made where it is missing. What a predecessor left is never written to
    /// again: the next append begins a new segment. Fails while another writer has the folder.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        let disk = Disk::prepare(path.as_ref())?;
        let lock = disk.lock()?;
        let folder = furnished(Arc::new(disk), &options)?;
        Self::start(folder, options, Some(lock))
    }

    /// Opens a journal on a file system of the caller's, who sees to it that there is no second writer.
    pub fn open_on(folder: Arc<dyn Folder>, options: Options) -> Result<Self, Error> {
        Self::start(folder, options, None)
    }

    fn start(folder: Arc<dyn Folder>, options: Options, lock: Option<WriterLock>) -> Result<Self, Error> {
        let failed = |action| {
            let path = folder.path().to_owned();
            move |source| Error::Io { action, path, source }
        };
        let listed = folder.list().map_err(failed("list"))?;
        let shared = Arc::new(Shared {
            gate: Gate::new(Log::after(&listed), options.stall_max),
            seal: Seal::draw(),
            counters: Counters::default(),
            progress: Progress::default(),
            waiting: Waiting::default(),
            appends_quickly: folder.is_quick(),
            folder: folder.clone(),
            options,
        });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("journal-sync".to_owned());
        let syncer = thread
            .spawn(move || syncer::run(&theirs))
            .map_err(failed("start the syncing thread of"))?;
        Ok(Self {
            shared,
            syncer: Some(syncer),
            _lock: lock,
        })
    }

    /// An empty batch for this writer's journal.
    pub fn batch(&self) -> Batch {
        Batch::new(self.shared.seal)
    }

    /// Writes the batch, or says within about [`Options::stall_max`] that it cannot.
    ///
    /// The exception is the one thread whose own write the disk holds up. `batch` must be this writer's.
    pub fn append(&self, batch: &Batch) -> Result<Appended, Refused> {
        self.append_within(batch, Duration::ZERO)
    }

    /// As [`Writer::append`], but tries again for as long as `patience` lasts: for what was begun and must not be lost.
    pub fn append_within(&self, batch: &Batch, patience: Duration) -> Result<Appended, Refused> {
        self.append_or_lose(batch, patience, self.shared.options.loss)
    }

    /// As [`Writer::append`], under another policy than [`Options::loss`]: what is in the batch may matter more, or less,
    /// than the rest.
    pub fn append_under(&self, batch: &Batch, loss: LossPolicy) -> Result<Appended, Refused> {
        self.append_or_lose(batch, Duration::ZERO, loss)
    }

    fn append_or_lose(&self, batch: &Batch, patience: Duration, loss: LossPolicy) -> Result<Appended, Refused> {
        assert!(
            batch.seal == self.shared.seal,
            "a batch is appended by the writer that made it"
        );
        let mut until = None;
        loop {
            match self.shared.attempt(batch) {
                Ok(end) => return Ok(Appended::Written(end)),
                Err(reason) => {
                    let until = *until.get_or_insert_with(|| Instant::now() + patience);
                    if reason == Reason::Unsynced || Instant::now() >= until {
                        return self.shared.lose(batch, reason, loss);
                    }
                    std::thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }

    /// Leaves the batch to the next write, whoever's it is: at the latest the syncing thread's, within a tenth of a second.
    /// What cannot be written is lost as under [`LossPolicy::Drop`].
    ///
    /// `None`: nothing was taken, and the batch is to be appended: it is long, or much waits already, or each append is to
    /// be confirmed ([`SyncPolicy::Always`]), or goes to a tray and costs no more than this.
    pub fn hand_in(&self, batch: &Batch) -> Option<Ticket> {
        assert!(
            batch.seal == self.shared.seal,
            "a batch is handed to the writer that made it"
        );
        if self.shared.options.sync == SyncPolicy::Always || self.shared.appends_quickly {
            return None;
        }
        self.shared.waiting.take_in(batch)
    }

    /// Writes what was handed in, unless that has been done. [`Fate::Waiting`]: the disk stalls, and it waits on.
    pub fn settle(&self, ticket: &Ticket) -> Fate {
        if ticket.fate() == Fate::Waiting
            && let Some(mut log) = self.shared.gate.enter()
        {
            let _told_by_the_ticket = self.shared.write(&mut log, None);
        }
        ticket.fate()
    }

    pub fn statistics(&self) -> Statistics {
        self.shared.counters.read()
    }
}

/// The folder with a tray, or without any: what a predecessor left in one has been handed over, or will be.
fn furnished(disk: Arc<Disk>, options: &Options) -> Result<Arc<dyn Folder>, Error> {
    let path = disk.path().to_owned();
    let failed = |source| Error::Io {
        action: "take over the tray of",
        path,
        source,
    };
    if !options.wants_tray() {
        tray::clear(&*disk).map_err(failed)?;
        return Ok(disk);
    }
    Ok(match Trayed::open(disk.clone()).map_err(failed)? {
        Some(trayed) => Arc::new(trayed),
        None => disk,
    })
}

impl Shared {
    fn attempt(&self, batch: &Batch) -> Result<Cursor, Reason> {
        let failures = self.counters.sync_failures.load(Relaxed);
        let end = {
            let mut log = self.gate.enter().ok_or(Reason::Stalled)?;
            self.write(&mut log, Some(batch))?.unwrap_or_default()
        };
        if self.options.sync == SyncPolicy::Always {
            let settled = self.progress.wait_for(end, self.options.always_wait_max);
            // A failure of someone else's bytes in the meantime counts too: better doubted than promised.
            if !settled || self.counters.sync_failures.load(Relaxed) != failures {
                return Err(Reason::Unsynced);
            }
        }
        Ok(end)
    }

    /// Writes what was handed in, and `batch` behind it: in one write, unless `batch` is long.
    fn write(&self, log: &mut Log, batch: Option<&Batch>) -> Result<Option<Cursor>, Reason> {
        // Nothing is ever handed in where appending costs no more.
        let handed = (!self.appends_quickly).then(|| self.waiting.take()).flatten();
        let Some(mut handed) = handed else {
            return batch.map(|batch| self.write_batch(log, batch)).transpose();
        };
        let (joined, apart) = match batch {
            Some(batch) if waiting::is_short(batch) => (Some(batch), None),
            batch => (None, batch),
        };
        let (frames, bytes) = (handed.frames, handed.bytes.len());
        handed.bytes.extend_from_slice(joined.map_or(&[], |batch| &batch.bytes));
        let written = log.write(self, &handed.bytes);
        match written {
            Ok(_) => {
                let frames = frames + joined.map_or(0, |batch| batch.frames);
                self.counters.wrote(frames, handed.bytes.len());
            }
            // What becomes of `batch` is its caller's to say.
            Err(_) => self.counters.dropped(frames, bytes),
        }
        handed.ends(written.map_or(Fate::Lost, |_| Fate::Written));
        self.waiting.give_back(handed.bytes);
        let end = written?;
        Ok(Some(match apart {
            Some(batch) => self.write_batch(log, batch)?,
            None => end,
        }))
    }

    fn write_batch(&self, log: &mut Log, batch: &Batch) -> Result<Cursor, Reason> {
        let end = log.write(self, &batch.bytes)?;
        self.counters.wrote(batch.frames, batch.bytes.len());
        Ok(end)
    }

    fn lose(&self, batch: &Batch, reason: Reason, loss: LossPolicy) -> Result<Appended, Refused> {
        let counters = &self.counters;
        if reason == Reason::Unsynced {
            counters.unsynced_records.fetch_add(batch.frames, Relaxed);
        } else if loss == LossPolicy::Drop {
            counters.dropped(batch.frames, batch.bytes.len());
        } else {
            counters.refused_records.fetch_add(batch.frames, Relaxed);
        }
        match loss {
            LossPolicy::Drop => Ok(Appended::Dropped(reason)),
            LossPolicy::Refuse => Err(Refused { reason }),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.progress.stop();
        if let Some(syncer) = self.syncer.take() {
            let _ended = syncer.join(); // A panic there was reported by its thread; here is nobody to act on it.
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Writer({})", self.shared.folder.path().display())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "every exchange is to be kept, and the journal cannot take this one: {}",
            self.reason
        )
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stalled => f.write_str("its disk stalls"),
            Self::Full => f.write_str("its folder has reached its bound; does the aggregator read it?"),
            Self::Disk(kind) => write!(f, "its disk refuses ({kind})"),
            Self::Unsynced => f.write_str("its disk did not confirm it"),
        }
    }
}
