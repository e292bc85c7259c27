//! What the journal's reader reports as lost: logged with its place, counted, and marked at the exchanges concerned.

use std::time::{Duration, Instant};

use journal::{Cause, Cursor, Gap};

use crate::ingest::assemble::Assembler;
use crate::ingest::metrics::{GapCause, JournalMetrics};

/// A damaged disk reports thousands: each is counted, so many a minute are logged.
const LOGGED_A_MINUTE: u32 = 20;

pub(super) struct Losses {
    minute: Instant,
    logged: u32,
    /// Where the end of a journal that nobody writes could not be read.
    tail: Option<Cursor>,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            minute: Instant::now(),
            logged: 0,
            tail: None,
        }
    }
}

impl Losses {
    /// `is_told`: it lies before what was committed, and was reported by an earlier read.
    pub(super) fn note(&mut self, gap: &Gap, is_told: bool, assembler: &mut Assembler, metrics: &JournalMetrics) {
        match gap.exchange {
            Some(exchange) => assembler.mark_lossy(exchange),
            // What failed to be confirmed was read all the same; what was torn off as its writer died was never passed on.
            None if matches!(gap.cause, Cause::Unsynced | Cause::Torn) => {}
            None => assembler.mark_loss(),
        }
        let begins_at = Cursor {
            segment: gap.segment,
            offset: gap.offset,
        };
        if is_told || self.tail == Some(begins_at) {
            return;
        }
        let cause = match gap.cause {
            Cause::Damaged => GapCause::Damaged,
            Cause::Torn => GapCause::Torn,
            Cause::Shortened => GapCause::Shortened,
            Cause::Head => GapCause::Head,
            Cause::Missing => GapCause::Missing,
            Cause::Dropped { .. } => GapCause::Dropped,
            Cause::Unsynced => GapCause::Unsynced,
        };
        let bytes = match gap.cause {
            Cause::Dropped { bytes, .. } => bytes,
            _ => gap.length,
        };
        metrics.note_gap(cause, bytes);
        if self.may_log() {
            let exchange = gap.exchange.map(|id| uuid::Uuid::from_bytes(id.0));
            tracing::warn!(
                segment = gap.segment,
                offset = gap.offset,
                length = gap.length,
                cause = cause.name(),
                exchange = exchange.map(tracing::field::display),
                "a part of the journal is lost: {gap}"
            );
        }
    }

    /// The journal ends in so many bytes that are no record, and nobody is there to write their rest. Whether they were ever
    /// passed on nobody knows. The reader tells of them once there is a segment behind: not a second time here.
    pub(super) fn note_tail(&mut self, at: Cursor, bytes: u64, assembler: &mut Assembler, metrics: &JournalMetrics) {
        assembler.mark_loss();
        if self.tail.replace(at) == Some(at) {
            return;
        }
        metrics.note_gap(GapCause::Torn, bytes);
        tracing::warn!(
            segment = at.segment,
            offset = at.offset,
            length = bytes,
            cause = GapCause::Torn.name(),
            "the end of a journal that nobody writes cannot be read"
        );
    }

    fn may_log(&mut self) -> bool {
        if self.minute.elapsed() > Duration::from_secs(60) {
            (self.minute, self.logged) = (Instant::now(), 0);
        }
        self.logged += 1;
        self.logged <= LOGGED_A_MINUTE
    }
}
