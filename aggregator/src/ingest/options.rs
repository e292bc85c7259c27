//! How a journal is ingested. The defaults are the product's.

use std::path::PathBuf;
use std::time::Duration;

use super::assemble::Holding;

#[derive(Debug, Clone)]
pub struct IngestConfig {
    /// The folder that holds a folder for each writer.
    pub journal: PathBuf,
    /// Segments stay where they are once they are ingested.
    pub keep_journal: bool,
    pub holding: Holding,
    pub pace: Pace,
}

/// How much goes into a transaction, and how often is looked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub batch_rows_max: usize,
    /// Of bodies and texts; the row that passes it is the batch's last.
    pub batch_bytes_max: usize,
    /// Between two looks at a journal that has nothing new.
    pub look_interval: Duration,
    /// After a failure of disk or store.
    pub retry_interval: Duration,
    /// Between two commits of where a start would resume, while its segment stays the same.
    pub resume_interval: Duration,
    /// Between two lines of progress while there is much to catch up with.
    pub progress_interval: Duration,
}

impl IngestConfig {
    pub fn of(journal: impl Into<PathBuf>) -> Self {
        Self {
            journal: journal.into(),
            keep_journal: false,
            holding: Holding::default(),
            pace: Pace::default(),
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            batch_rows_max: 256,
            batch_bytes_max: 16 << 20,
            look_interval: Duration::from_millis(50),
            retry_interval: Duration::from_secs(1),
            resume_interval: Duration::from_secs(5),
            progress_interval: Duration::from_secs(5),
        }
    }
}
