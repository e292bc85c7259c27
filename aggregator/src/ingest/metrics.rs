//! What ingest counts: `conclave_ingest_*`, one set for each journal. Owns the names; the page is [`crate::metrics`]'.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::row::Row;
use crate::metrics::{Exposition, Kind};
use crate::store::Status;

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(super) fn set(&self, now: u64) {
        self.0.store(now, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Why a part of a journal could not be read.
#[derive(Debug, Clone, Copy)]
pub(super) enum GapCause {
    Damaged,
    Torn,
    Shortened,
    Head,
    Missing,
    Dropped,
    Unsynced,
}

impl GapCause {
    const ALL: [Self; 7] = [
        Self::Damaged,
        Self::Torn,
        Self::Shortened,
        Self::Head,
        Self::Missing,
        Self::Dropped,
        Self::Unsynced,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Torn => "torn",
            Self::Shortened => "shortened",
            Self::Head => "head",
            Self::Missing => "missing",
            Self::Dropped => "dropped",
            Self::Unsynced => "unsynced",
        }
    }
}

/// Declares what is counted of a journal by one number: each line is a field, and a family of the page. A function could
/// not declare the fields, and two lists of twenty would not stay the same.
macro_rules! counted {
    ($($field:ident $kind:ident $name:literal $help:literal)*) => {
        #[derive(Debug, Default)]
        pub(super) struct Counted {
            $(pub(super) $field: Counter,)*
        }

        const FAMILIES: &[Family] = &[$(($name, Kind::$kind, $help, |it| &it.$field),)*];
    };
}

/// Its name, what it is, what it counts, and where that is.
type Family = (&'static str, Kind, &'static str, fn(&Counted) -> &Counter);

counted! {
    behind_bytes     Gauge   "behind_bytes"           "Bytes of the journal that have not been read."
    open             Gauge   "open_exchanges"         "Exchanges that have begun and not ended."
    open_bytes       Gauge   "open_bytes"             "Memory that open exchanges take."
    parked_now       Gauge   "parked_exchanges"       "Open exchanges that are on disk."
    records          Counter "records_total"          "Records read."
    bytes            Counter "bytes_total"            "Bytes of records read."
    exchanges        Counter "stored_total"           "Exchanges committed to the store."
    commits          Counter "commits_total"          "Transactions that held rows."
    replayed         Counter "replayed_total"         "Exchanges read again after a start, and not stored again."
    failures         Counter "failures_total"         "Failures of disk or store; each is tried again."
    lossy            Counter "lossy_total"            "Exchanges of which records are missing."
    cut              Counter "cut_total"              "Exchanges whose bodies were longer than is kept."
    opaque           Counter "opaque_total"           "Answers in an encoding that is not read."
    broken_frames    Counter "broken_frames_total"    "Frames or documents that are not their dialect's."
    given_up         Counter "given_up_total"         "Exchanges whose end never came."
    parked           Counter "parkings_total"         "Times that an open exchange was moved to disk."
    shed             Counter "shed_total"             "Open exchanges whose bodies were given up for want of room."
    removed_segments Counter "removed_segments_total" "Segments removed once they were ingested."
    removed_bytes    Counter "removed_bytes_total"    "Bytes of these segments."
    gap_bytes        Counter "gap_bytes_total"        "Bytes in parts of the journal that could not be read."
}

/// Of one journal.
#[derive(Debug, Default)]
pub(super) struct JournalMetrics {
    pub(super) name: &'static str,
    /// Whether somebody reads it.
    followed: AtomicBool,
    counted: Counted,
    rows: [Counter; Status::ALL.len()],
    gaps: [Counter; GapCause::ALL.len()],
}

impl Deref for JournalMetrics {
    type Target = Counted;

    fn deref(&self) -> &Counted {
        &self.counted
    }
}

impl JournalMetrics {
    pub(super) fn of(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    pub(super) fn note_followed(&self) {
        self.followed.store(true, Relaxed);
    }

    pub(super) fn is_followed(&self) -> bool {
        self.followed.load(Relaxed)
    }

    pub(super) fn note_row(&self, row: &Row) {
        let answered = &row.exchange.answered;
        let rows = Status::ALL
            .iter()
            .zip(&self.rows)
            .find(|(status, _)| **status == answered.status);
        if let Some((_, counter)) = rows {
            counter.add(1);
        }
        self.lossy.add(u64::from(answered.is_lossy));
        self.cut
            .add(u64::from(answered.is_request_cut || answered.is_response_cut));
        self.opaque.add(u64::from(row.is_opaque));
        self.broken_frames.add(row.broken_frames);
    }

    pub(super) fn gaps(&self) -> u64 {
        self.gaps.iter().map(Counter::get).sum()
    }

    pub(super) fn note_gap(&self, cause: GapCause, bytes: u64) {
        self.gaps[cause as usize].add(1);
        self.gap_bytes.add(bytes);
    }
}

/// Of all journals, as they are now.
pub(super) fn expose(journals: &[&JournalMetrics], page: &mut Exposition) {
    for (name, kind, help, counter) in FAMILIES {
        page.family(&format!("conclave_ingest_{name}"), *kind, help);
        for journal in journals {
            page.sample(&[("journal", journal.name)], counter(journal).get());
        }
    }
    let help = "Exchanges assembled, by how they ended.";
    page.family("conclave_ingest_exchanges_total", Kind::Counter, help);
    for journal in journals {
        for (status, rows) in Status::ALL.iter().zip(&journal.rows) {
            page.sample(&[("journal", journal.name), ("status", status.name())], rows.get());
        }
    }
    let help = "Parts of the journal that could not be read, by cause.";
    page.family("conclave_ingest_gaps_total", Kind::Counter, help);
    for journal in journals {
        for (cause, gaps) in GapCause::ALL.iter().zip(&journal.gaps) {
            page.sample(&[("journal", journal.name), ("cause", cause.name())], gaps.get());
        }
    }
}
