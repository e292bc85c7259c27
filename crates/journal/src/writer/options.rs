//! How a journal is written. The defaults are the product's.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub sync: SyncPolicy,
    pub loss: LossPolicy,
    /// A segment is followed by another before it grows beyond this; only a single batch that is larger makes it longer.
    pub segment_bytes_max: u64,
    /// All segments together. Room comes back when a reader removes what was ingested.
    pub folder_bytes_max: u64,
    /// How long an append may wait for another one. Each thread pays it once in a stall, and no append after that.
    ///
    /// A write to the page cache takes microseconds, but Linux lets a writer pause for 200 ms at a time where too much
    /// is dirty, and a crowded machine may take the processor away from whoever writes: neither is a stall.
    pub stall_max: Duration,
    /// How long an append waits for its sync under [`SyncPolicy::Always`].
    pub always_wait_max: Duration,
    /// Appends go through a tray, which costs a copy instead of a system call, where the file system is apt for one and
    /// nothing is to be synced at once.
    pub tray: bool,
}

impl Options {
    pub(super) fn wants_tray(&self) -> bool {
        // Places in a tray are `u32`s.
        self.tray && self.sync != SyncPolicy::Always && self.segment_bytes_max <= 1 << 30
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync: SyncPolicy::Interval(Duration::from_millis(100)),
            loss: LossPolicy::Drop,
            segment_bytes_max: 64 << 20,
            folder_bytes_max: 8 << 30,
            stall_max: Duration::from_millis(500),
            always_wait_max: Duration::from_secs(1),
            tray: true,
        }
    }
}

/// When what was written is made to survive the machine. It always survives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    Interval(Duration),
    /// Each append waits for the next sync, which it shares with all that wait.
    Always,
    /// When the kernel sees fit.
    Never,
}

/// What comes of a batch that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossPolicy {
    /// It is counted, the journal is marked as soon as it takes a mark, and work goes on.
    Drop,
    /// The caller gets an error, so that it begins nothing that could not be kept.
    Refuse,
}
