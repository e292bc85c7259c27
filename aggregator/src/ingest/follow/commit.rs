//! What waits to be committed, and the commits: rows with the place that was read to, then the place to resume from.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use journal::{Cursor, ExchangeId};

use super::{Failure, Follower};
use crate::ingest::assemble::Assembled;
use crate::ingest::options::IngestConfig;
use crate::ingest::row::row;
use crate::ingest::sink::Sink;
use crate::store::NewExchange;

/// Rows that wait for their commit, and what is to be done behind it.
#[derive(Default)]
pub(super) struct Batch {
    rows: Vec<NewExchange>,
    bytes: usize,
    /// Frozen once it was given to the sink: a commit that failed is tried again with the same.
    given: Option<(Arc<[NewExchange]>, Cursor)>,
    closed: Vec<ExchangeId>,
}

impl<S: Sink> Follower<S> {
    pub(super) fn push(&mut self, assembled: Assembled) {
        self.batch.closed.push(assembled.id);
        let row = row(assembled, self.plane, self.config.holding.body_bytes_max);
        self.metrics.note_row(&row);
        self.batch.bytes += bytes_of(&row.exchange);
        self.batch.rows.push(row.exchange);
    }

    /// Rows, and the place behind all they were made of.
    pub(super) fn commit(&mut self) -> Result<(), Failure> {
        if self.batch.given.is_none() {
            if self.batch.rows.is_empty() {
                return Ok(());
            }
            let rows = std::mem::take(&mut self.batch.rows).into();
            self.batch.given = Some((rows, self.reader.cursor()));
        }
        let Some((rows, place)) = &self.batch.given else {
            return Ok(());
        };
        self.sink
            .commit(rows, &self.marks.done, *place)
            .map_err(Failure::Sink)?;
        self.metrics.commits.add(1);
        self.metrics.exchanges.add(rows.len() as u64);
        self.done = *place;
        self.batch.given = None;
        self.batch.bytes = 0;
        for closed in std::mem::take(&mut self.batch.closed) {
            self.assembler.forget(closed);
        }
        Ok(())
    }

    /// Where a start would resume; behind that commit segments are removed. Never while rows wait.
    pub(super) fn commit_resume(&mut self) -> Result<(), Failure> {
        if !self.batch.rows.is_empty() || self.batch.given.is_some() {
            return Ok(());
        }
        let place = self.reader.cursor();
        let resume = self.assembler.oldest().unwrap_or(place).min(place);
        let is_due =
            resume.segment != self.resume.segment || self.resumed_at.elapsed() >= self.config.pace.resume_interval;
        if resume == self.resume || !is_due {
            return Ok(());
        }
        let none: Arc<[NewExchange]> = Arc::new([]);
        // All that ended before this place is stored, so that it is done as far as it is read.
        if place > self.done {
            self.sink
                .commit(&none, &self.marks.done, place)
                .map_err(Failure::Sink)?;
            self.done = place;
        }
        self.sink
            .commit(&none, &self.marks.resume, resume)
            .map_err(Failure::Sink)?;
        (self.resume, self.resumed_at) = (resume, Instant::now());
        if !self.config.keep_journal {
            let removed = self.reader.remove_ingested(resume).map_err(Failure::Journal)?;
            self.metrics.removed_segments.add(removed.segments);
            self.metrics.removed_bytes.add(removed.bytes);
        }
        Ok(())
    }
}

impl Batch {
    /// A commit of it was tried, and failed.
    pub(super) fn is_given(&self) -> bool {
        self.given.is_some()
    }

    pub(super) fn is_full(&self, config: &IngestConfig) -> bool {
        self.rows.len() >= config.pace.batch_rows_max || self.bytes >= config.pace.batch_bytes_max
    }
}

fn bytes_of(row: &NewExchange) -> usize {
    let body = |body: &Option<Bytes>| body.as_ref().map_or(0, Bytes::len);
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let content = &row.content;
    let texts = [&content.text, &content.thinking, &content.tool_calls, &content.prompt];
    body(&content.request) + body(&content.response) + texts.into_iter().map(text).sum::<usize>()
}
