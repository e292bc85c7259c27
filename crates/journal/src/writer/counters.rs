//! What the writer counts. All of it can be read while appends run.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

#[derive(Default)]
pub(super) struct Counters {
    pub(super) writes: AtomicU64,
    pub(super) written_records: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) dropped_records: AtomicU64,
    pub(super) refused_records: AtomicU64,
    pub(super) unsynced_records: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) sync_failures: AtomicU64,
    pub(super) segments_begun: AtomicU64,
    pub(super) folder_bytes: AtomicU64,
    /// Dropped, and not told in the journal yet.
    pub(super) unmarked_records: AtomicU64,
    pub(super) unmarked_bytes: AtomicU64,
}

/// Since the writer was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Each wrote one batch, or all that waited.
    pub writes: u64,
    pub written_records: u64,
    pub written_bytes: u64,
    /// Lost under [`crate::LossPolicy::Drop`].
    pub dropped_records: u64,
    /// Turned away under [`crate::LossPolicy::Refuse`].
    pub refused_records: u64,
    /// Written under [`crate::SyncPolicy::Always`] without a confirmation.
    pub unsynced_records: u64,
    pub syncs: u64,
    pub sync_failures: u64,
    pub segments_begun: u64,
    /// What the folder holds, as of the last append or look.
    pub folder_bytes: u64,
}

impl Counters {
    pub(super) fn wrote(&self, frames: u64, bytes: usize) {
        // By whoever is in the gate, and nobody else: an addition that is safe against others would cost more.
        let add = |to: &AtomicU64, more: u64| to.store(to.load(Relaxed) + more, Relaxed);
        add(&self.writes, 1);
        add(&self.written_records, frames);
        add(&self.written_bytes, bytes as u64);
    }

    pub(super) fn dropped(&self, frames: u64, bytes: usize) {
        self.dropped_records.fetch_add(frames, Relaxed);
        self.unmarked_bytes.fetch_add(bytes as u64, Relaxed);
        self.unmarked_records.fetch_add(frames, Relaxed);
    }

    pub(super) fn read(&self) -> Statistics {
        Statistics {
            writes: self.writes.load(Relaxed),
            written_records: self.written_records.load(Relaxed),
            written_bytes: self.written_bytes.load(Relaxed),
            dropped_records: self.dropped_records.load(Relaxed),
            refused_records: self.refused_records.load(Relaxed),
            unsynced_records: self.unsynced_records.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            sync_failures: self.sync_failures.load(Relaxed),
            segments_begun: self.segments_begun.load(Relaxed),
            folder_bytes: self.folder_bytes.load(Relaxed),
        }
    }
}
