//! What ingest counts: `conclave_ingest_*`, one set for each journal. Owns the names; the page is [`crate::metrics`]'.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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

/// Of one journal.
#[derive(Debug, Default)]
pub(super) struct JournalMetrics {
    pub(super) name: &'static str,
    pub(super) records: Counter,
    pub(super) bytes: Counter,
    pub(super) commits: Counter,
    pub(super) exchanges: Counter,
    pub(super) replayed: Counter,
    pub(super) failures: Counter,
    pub(super) given_up: Counter,
    pub(super) parked: Counter,
    pub(super) shed: Counter,
    pub(super) removed_segments: Counter,
    pub(super) removed_bytes: Counter,
    pub(super) behind_bytes: Counter,
    pub(super) open: Counter,
    pub(super) open_bytes: Counter,
    pub(super) parked_now: Counter,
    rows: [Counter; Status::ALL.len()],
    lossy: Counter,
    cut: Counter,
    opaque: Counter,
    broken_frames: Counter,
    gaps: [Counter; GapCause::ALL.len()],
    gap_bytes: Counter,
}

impl JournalMetrics {
    pub(super) fn of(name: &'static str) -> Self {
        Self {
            name,
            ..Self::default()
        }
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

/// Its name, what it is, what it counts, and where that is.
type Family = (&'static str, Kind, &'static str, fn(&JournalMetrics) -> &Counter);

/// Of all journals, as they are now.
pub(super) fn expose(journals: &[&JournalMetrics], page: &mut Exposition) {
    const FAMILIES: [Family; 19] = [
        (
            "behind_bytes",
            Kind::Gauge,
            "Bytes of the journal that have not been read.",
            |it| &it.behind_bytes,
        ),
        (
            "open_exchanges",
            Kind::Gauge,
            "Exchanges that have begun and not ended.",
            |it| &it.open,
        ),
        ("open_bytes", Kind::Gauge, "Memory that open exchanges take.", |it| {
            &it.open_bytes
        }),
        (
            "parked_exchanges",
            Kind::Gauge,
            "Open exchanges that are on disk.",
            |it| &it.parked_now,
        ),
        ("records_total", Kind::Counter, "Records read.", |it| &it.records),
        ("bytes_total", Kind::Counter, "Bytes of records read.", |it| &it.bytes),
        (
            "stored_total",
            Kind::Counter,
            "Exchanges committed to the store.",
            |it| &it.exchanges,
        ),
        ("commits_total", Kind::Counter, "Transactions that held rows.", |it| {
            &it.commits
        }),
        (
            "replayed_total",
            Kind::Counter,
            "Exchanges read again after a start, and not stored again.",
            |it| &it.replayed,
        ),
        (
            "failures_total",
            Kind::Counter,
            "Failures of disk or store; each is tried again.",
            |it| &it.failures,
        ),
        (
            "lossy_total",
            Kind::Counter,
            "Exchanges of which records are missing.",
            |it| &it.lossy,
        ),
        (
            "cut_total",
            Kind::Counter,
            "Exchanges whose bodies were longer than is kept.",
            |it| &it.cut,
        ),
        (
            "opaque_total",
            Kind::Counter,
            "Answers in an encoding that is not read.",
            |it| &it.opaque,
        ),
        (
            "broken_frames_total",
            Kind::Counter,
            "Frames or documents that are not their dialect's.",
            |it| &it.broken_frames,
        ),
        (
            "given_up_total",
            Kind::Counter,
            "Exchanges whose end never came.",
            |it| &it.given_up,
        ),
        (
            "parkings_total",
            Kind::Counter,
            "Times that an open exchange was moved to disk.",
            |it| &it.parked,
        ),
        (
            "shed_total",
            Kind::Counter,
            "Open exchanges whose bodies were given up for want of room.",
            |it| &it.shed,
        ),
        (
            "removed_segments_total",
            Kind::Counter,
            "Segments removed once they were ingested.",
            |it| &it.removed_segments,
        ),
        ("removed_bytes_total", Kind::Counter, "Bytes of these segments.", |it| {
            &it.removed_bytes
        }),
    ];
    for (name, kind, help, counter) in FAMILIES {
        page.family(&format!("conclave_ingest_{name}"), kind, help);
        for journal in journals {
            page.sample(&[("journal", journal.name)], counter(journal).get());
        }
    }
    page.family(
        "conclave_ingest_exchanges_total",
        Kind::Counter,
        "Exchanges assembled, by how they ended.",
    );
    for journal in journals {
        for (status, rows) in Status::ALL.iter().zip(&journal.rows) {
            page.sample(&[("journal", journal.name), ("status", status.name())], rows.get());
        }
    }
    page.family(
        "conclave_ingest_gaps_total",
        Kind::Counter,
        "Parts of the journal that could not be read, by cause.",
    );
    for journal in journals {
        for (cause, gaps) in GapCause::ALL.iter().zip(&journal.gaps) {
            page.sample(&[("journal", journal.name), ("cause", cause.name())], gaps.get());
        }
    }
    page.family(
        "conclave_ingest_gap_bytes_total",
        Kind::Counter,
        "Bytes in these parts.",
    );
    for journal in journals {
        page.sample(&[("journal", journal.name)], journal.gap_bytes.get());
    }
}
