//! What can go wrong with a journal as a whole. What goes wrong with one append is [`crate::Reason`]; what goes wrong
//! with single records is a [`crate::Gap`], which is no error.

use std::path::PathBuf;
use std::{fmt, io};

use crate::cursor::Cursor;
use crate::segment::VERSION;

#[derive(Debug)]
pub enum Error {
    /// The folder or a file in it cannot be used.
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Another writer holds the folder.
    Locked { path: PathBuf },
    /// A segment of a format that this release does not know.
    Version { path: PathBuf, found: u32 },
    /// The folder holds segments, but none that is as new as the cursor.
    CursorAhead {
        path: PathBuf,
        cursor: Cursor,
        newest_segment: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, source } => write!(
                f,
                "cannot {action} {}: {source}; the journal needs a folder that its process owns and can write, \
                 on a disk with room",
                path.display()
            ),
            Self::Locked { path } => write!(
                f,
                "a journal has one writer, and another process holds {}; stop that process, or give this one \
                 another folder",
                path.display()
            ),
            Self::Version { path, found } => write!(
                f,
                "this release reads journals of version {VERSION}, and {} has version {found}; a newer release \
                 wrote it: read it with that one, or move the file away",
                path.display()
            ),
            Self::CursorAhead {
                path,
                cursor,
                newest_segment,
            } => write!(
                f,
                "a cursor lies within its journal, but {cursor} is beyond {}, whose newest segment is \
                 {newest_segment}; the folder was exchanged or emptied: give back the folder, or begin anew \
                 at {}",
                path.display(),
                Cursor::BEGINNING
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Locked { .. } | Self::Version { .. } | Self::CursorAhead { .. } => None,
        }
    }
}

/// A text that is not a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorError {
    text: String,
}

impl CursorError {
    pub(crate) fn new(text: &str) -> Self {
        // What is shown of a value that came from elsewhere is bounded.
        Self {
            text: text.chars().take(64).collect(),
        }
    }
}

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a cursor is written segment:offset in decimal, not {:?}; use one that a reader gave",
            self.text
        )
    }
}

impl std::error::Error for CursorError {}
