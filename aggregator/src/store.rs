//! Every exchange, kept: SQLite in WAL mode, one thread that writes, a few connections that read.
//!
//! ```text
//!   ingest ── commit(batch, mark) ──┐
//!   admin API ── delete ────────────┤ bounded queue ──▶ the writer's thread ──▶ responses.db ◀── Readers (4) ── admin API
//!                                                         │ between two commands: retention, a small step at a time
//!
//!   exchange  one narrow row each; `seq` (its start in µs · 256 + a tie-breaker) is key, order and page cursor in one
//!   body      what was asked and answered, apart: each value one tag byte, then raw, zlib or zstd bytes, sealed or not
//!   word      names of keys, services, backends and models, each once
//!   usage     roll-ups by day: of all, of each key, model and backend; they outlive what they count
//!   held      roll-up by status of what is in the store now
//!   gone      ids of what was deleted, for as long as a journal may bring it again
//!   search    FTS5 over prompt, text and thinking: the index alone, without a copy of them
//! ```
//!
//! Owns the file, its format and its bounds. Refuses to know how an exchange came to be (`ingest`), and HTTP (`api`).
//! Invariants: rows, roll-ups and the journal's cursor are in one transaction, so that each exchange is counted once,
//! whatever dies when; a batch that fails leaves nothing; a page is found within a budget of time, not of luck.

mod codec;
mod config;
mod delete;
mod error;
mod exchange;
mod filter;
mod insert;
mod list;
mod place;
mod readers;
mod retention;
mod rollup;
mod row;
mod schema;
mod seal;
mod search;
mod series;
mod stats;
mod usage;
mod words;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;
use uuid::Uuid;

pub use config::{Retention, StoreConfig};
pub use error::StoreError;
pub use exchange::{Answered, Asked, Content, Embeddings, NewExchange, Plane, Status, Timing, Tokens};
pub use filter::{Filter, Span};
pub use list::{Page, PageRequest};
pub use row::{Row, Stored};
pub use seal::BodyKey;
pub use series::{Sums, TimeRequest, TimeSeries};
pub use stats::{Held, StoreStats};
pub use usage::{Usage, UsageBy, UsageRequest};

use codec::Codec;
use readers::Readers;
use writer::{Command, Writer};

/// How far a journal has been read: committed with the rows that were made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Which journal: each has a cursor of its own.
    pub journal: String,
    pub cursor: [u8; 16],
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed {
    pub stored: usize,
    /// Were there already, and are stored once.
    pub known: usize,
}

/// A handle; every clone is the same store. The writer's thread ends with the last one.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    /// Closed before the writer, whose connection puts the log back into the database if it is the last.
    readers: Readers,
    writer: Writer,
    codec: Codec,
    facts: Facts,
}

/// What the store was opened as.
#[derive(Debug, Clone)]
pub struct Facts {
    pub path: PathBuf,
    pub compresses: bool,
    pub is_encrypted: bool,
    pub is_searchable: bool,
    pub retention: Retention,
}

impl Store {
    /// Opens the database, makes it where there is none, and starts the writer's thread.
    ///
    /// # Errors
    /// [`StoreError::Open`], where the file is another program's or a newer version's, where its key is another one or
    /// missing, or where the place cannot be written.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let opened = schema::open(&config)?;
        let facts = Facts {
            compresses: config.compress,
            is_encrypted: config.encryption.is_some(),
            is_searchable: config.full_text_search,
            retention: config.retention,
            path: config.path,
        };
        let codec = Codec::new(config.compress, config.encryption.as_ref());
        let readers = Readers::open(&facts.path)?;
        let writer = Writer::start(opened, codec.clone(), &facts)?;
        let inner = Inner {
            readers,
            writer,
            codec,
            facts,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Stores a batch and the mark with it, all or nothing. What has an id that is there already is not stored twice.
    ///
    /// # Errors
    /// Whatever goes wrong, nothing of the batch is stored and the caller still has it: it may commit the same again.
    pub async fn commit(&self, batch: Arc<[NewExchange]>, mark: Option<Mark>) -> Result<Committed, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.inner.writer.send(Command::Commit { batch, mark, answer }).await?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// The same, for a thread that may wait; not to be called in async code.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn commit_blocking(&self, batch: Arc<[NewExchange]>, mark: Option<Mark>) -> Result<Committed, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.inner
            .writer
            .send_blocking(Command::Commit { batch, mark, answer })?;
        answered.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    /// How far this journal has been stored. Reads one row, so it is for a start and no loop.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn cursor(&self, journal: &str) -> Result<Option<[u8; 16]>, StoreError> {
        self.inner
            .readers
            .read_now(|connection| schema::cursor(connection, journal))
    }

    /// A page of what the filter lets through, the newest first. It may be short, even empty, while there is more: what
    /// would take too long to look through is left to the next page.
    ///
    /// # Errors
    /// [`StoreError::SearchOff`], where words are asked for that are not indexed; else where the database cannot be read.
    pub async fn list(&self, filter: Filter, page: PageRequest) -> Result<Page<Row>, StoreError> {
        filter.check(self.inner.facts.is_searchable)?;
        self.inner
            .readers
            .read(move |connection| list::page(connection, &filter, page))
            .await
    }

    /// One exchange with its bodies.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], where a body cannot be read back; else where the database cannot be read.
    pub async fn show(&self, id: Uuid) -> Result<Option<Stored>, StoreError> {
        let codec = self.inner.codec.clone();
        self.inner
            .readers
            .read(move |connection| row::stored(connection, &codec, &id))
            .await
    }

    /// # Errors
    /// Where the database cannot be read.
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.inner.readers.read(stats::read).await
    }

    /// # Errors
    /// Where the database cannot be read.
    pub async fn usage(&self, request: UsageRequest) -> Result<Page<Usage, String>, StoreError> {
        self.inner
            .readers
            .read(move |connection| usage::read(connection, &request))
            .await
    }

    /// What began in each part of a span, by key and by backend. What takes too long to count is left out, the oldest first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn series(&self, request: TimeRequest) -> Result<TimeSeries, StoreError> {
        self.inner
            .readers
            .read(move |connection| series::read(connection, &request))
            .await
    }

    /// The same by days since 1970.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn days(&self, first_day: i64, parts: usize) -> Result<TimeSeries, StoreError> {
        self.inner
            .readers
            .read(move |connection| series::days(connection, first_day, parts))
            .await
    }

    /// Removes one exchange; whether it was there. What it counted for in the roll-ups stays.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn delete(&self, id: Uuid) -> Result<bool, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.inner.writer.send(Command::DeleteOne { id, answer }).await?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Removes what the filter lets through, in small steps between which others may write. What is stored meanwhile and
    /// is newer than everything that was there at the beginning stays.
    ///
    /// # Errors
    /// As [`Store::list`]; what was removed before the failure is gone.
    pub async fn delete_matching(&self, filter: Filter) -> Result<u64, StoreError> {
        filter.check(self.inner.facts.is_searchable)?;
        let filter = Arc::new(filter);
        let (mut deleted, mut before) = (0, None);
        loop {
            let (answer, answered) = oneshot::channel();
            let filter = Arc::clone(&filter);
            let step = Command::DeleteSome { filter, before, answer };
            self.inner.writer.send(step).await?;
            let step = answered.await.map_err(|_| StoreError::Closed)??;
            deleted += step.deleted;
            match step.next {
                Some(next) => before = Some(next),
                None => return Ok(deleted),
            }
        }
    }

    pub fn facts(&self) -> &Facts {
        &self.inner.facts
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("facts", &self.inner.facts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
