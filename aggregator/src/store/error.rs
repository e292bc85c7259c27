//! What can go wrong with the store, by what whoever meets it can do.

use std::fmt;
use std::path::PathBuf;

/// No variant holds anything of an exchange's.
#[derive(Debug)]
pub enum StoreError {
    /// It cannot be opened as it is: the rule, the file, the cause, the fix.
    Open {
        path: PathBuf,
        rule: String,
        fix: &'static str,
    },
    /// The disk is full: nothing of the batch is stored, and the same batch can be committed again.
    Full,
    /// Somebody else holds the database, or every reader is taken: try again.
    Busy,
    /// The words asked for cannot be searched for: full-text search is off.
    SearchOff,
    /// A stored value cannot be read back.
    Damaged(&'static str),
    /// A body cannot be encrypted, so it is not stored: why.
    Encryption(&'static str),
    /// The store has been closed.
    Closed,
    Sqlite(rusqlite::Error),
}

impl StoreError {
    /// Whether the same call may succeed later, without anybody changing anything but the disk.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full | Self::Busy)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            _ => Self::Sqlite(error),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, rule, fix } => {
                write!(f, "the response store {}: {rule}\n    fix:   {fix}", path.display())
            }
            Self::Full => f.write_str("the response store's disk is full"),
            Self::Busy => f.write_str("the response store is busy"),
            Self::SearchOff => f.write_str("full-text search is switched off"),
            Self::Damaged(what) => write!(f, "the response store holds {what} that cannot be read"),
            Self::Encryption(why) => write!(f, "the response store cannot encrypt: {why}"),
            Self::Closed => f.write_str("the response store has been closed"),
            Self::Sqlite(error) => write!(f, "the response store: {error}"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sqlite(error) => Some(error),
            _ => None,
        }
    }
}
