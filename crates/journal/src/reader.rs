//! Reads a journal from a cursor on, while a writer writes it or after. Owns what counts as a loss and where it is told.
//! Invariant: no record whose CRC does not agree is ever given out, each intact one is given out once and in order, and
//! all bytes between are in a [`Gap`].
//!
//! ```text
//!             ┌──────── enter: the next segment with a head ◀───────┐
//!             ▼                                                     │
//!  frame at the cursor ── whole, sums agree ──▶ Record, Gap (mark)  │
//!             │ ├──────── head agrees, payload not ──▶ Gap: skip it │
//!             │ ├──────── head does not ──▶ scan ──▶ Gap: skip to the next head that agrees
//!             │ └──────── file ends inside: newest segment? ──yes──▶ Idle, asked again later
//!             │                                 no ──▶ Gap: the rest │
//!             └── file ends: a newer segment? ──no──▶ Idle      leave ┘
//! ```

mod border;
mod gap;
mod step;
mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

pub use self::gap::{Cause, Gap};

use self::border::Current;
use self::step::Found;
use self::window::Window;
use crate::cursor::Cursor;
use crate::error::Error;
use crate::frame::{FrameHead, Seal};
use crate::io::{Disk, Folder, Listed, SegmentFile};
use crate::record::{Kind, Record};
use crate::segment::{self, Opening, SEGMENT_HEAD_BYTES, SegmentHead};

/// Reads a journal. It holds one file, and memory for a few frames.
pub struct Reader {
    folder: Arc<dyn Folder>,
    at: Cursor,
    current: Option<Current>,
    window: Window,
    writer: Option<WriterMark>,
    skipped_records: u64,
}

/// What comes next in a journal.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Record(Record<'a>),
    Gap(Gap),
    /// Nothing more for now. Asking again costs a read and a look at the folder.
    Idle,
}

impl Step<'_> {
    /// Whether the reader has reached the journal's end, for now.
    pub fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }
}

/// Which writer wrote a segment. Each start of a writer is another one, and it starts only once the one before it is gone:
/// where the mark changes, nothing more comes of what that one had begun.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WriterMark(Seal);

/// What [`Reader::remove_ingested`] took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    pub segments: u64,
    pub bytes: u64,
}

impl Reader {
    /// Reads on from `cursor`. A folder that is not there yet is an empty one.
    pub fn open(path: impl AsRef<Path>, cursor: Cursor) -> Self {
        Self::open_on(Arc::new(Disk::at(path.as_ref())), cursor)
    }

    pub fn open_on(folder: Arc<dyn Folder>, cursor: Cursor) -> Self {
        Self {
            folder,
            at: cursor,
            current: None,
            window: Window::new(),
            writer: None,
            skipped_records: 0,
        }
    }

    /// Behind what was given last. Who commits it together with that gets each record once.
    ///
    /// It may move where there is nothing to give, from a segment's end to the next one's beginning.
    pub fn cursor(&self) -> Cursor {
        self.at
    }

    /// Whose segment was read last; `None` before the first.
    pub fn writer(&self) -> Option<WriterMark> {
        self.writer
    }

    /// How many intact records were skipped because this release does not know their kind.
    pub fn skipped_records(&self) -> u64 {
        self.skipped_records
    }

    /// The bytes that lie between the cursor and the journal's end: how far behind the reader is.
    pub fn behind_bytes(&self) -> Result<u64, Error> {
        let behind = |listed: &Listed| match listed.segment.cmp(&self.at.segment) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => listed.bytes.saturating_sub(self.at.offset),
            std::cmp::Ordering::Greater => listed.bytes.saturating_sub(SEGMENT_HEAD_BYTES as u64),
        };
        Ok(self.list()?.iter().map(behind).sum())
    }

    /// The next record or gap. After an error, asking again tries the same again.
    pub fn next_step(&mut self) -> Result<Step<'_>, Error> {
        loop {
            let found = match self.current.take() {
                None => self.enter()?,
                Some(mut current) => {
                    let found = self.find(&mut current)?;
                    if found != Found::End {
                        self.current = Some(current);
                        found
                    } else {
                        self.leave(&current)
                    }
                }
            };
            match found {
                Found::Frame(head) => {
                    if let Some(kind) = self.pass(&head) {
                        return Ok(Step::Record(self.record(kind, &head)));
                    }
                }
                Found::Gap(gap, then) => {
                    self.at = then;
                    return Ok(Step::Gap(gap));
                }
                Found::Idle => return Ok(Step::Idle),
                Found::Again | Found::End => {}
            }
        }
    }

    /// Removes the segments that lie wholly before `committed`. Those the reader has not left yet stay in any case.
    pub fn remove_ingested(&self, committed: Cursor) -> Result<Removed, Error> {
        let before = committed.segment.min(self.at.segment);
        let mut removed = Removed::default();
        // The oldest go first: what an interruption leaves is then still without a hole.
        for listed in self.list()?.into_iter().filter(|listed| listed.segment < before) {
            self.folder.remove(listed.segment).map_err(|source| Error::Io {
                action: "remove",
                path: self.path_of(listed.segment),
                source,
            })?;
            removed.segments += 1;
            removed.bytes += listed.bytes;
        }
        if removed.segments > 0 {
            self.folder.sync().map_err(|source| self.folder_error("sync", source))?;
        }
        Ok(removed)
    }

    /// Moves behind the frame. Only what is a record of a known kind is given out.
    fn pass(&mut self, head: &FrameHead) -> Option<Kind> {
        self.at.offset += head.frame_bytes() as u64;
        let kind = Kind::of_number(head.kind);
        self.skipped_records += u64::from(kind.is_none());
        kind
    }

    fn record(&self, kind: Kind, head: &FrameHead) -> Record<'_> {
        let payload = self.window.before(self.at.offset, head.payload_bytes);
        Record {
            kind,
            exchange: head.exchange,
            sequence: head.sequence,
            payload,
        }
    }

    fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut listed = self.folder.list().map_err(|source| self.folder_error("list", source))?;
        listed.sort_unstable();
        Ok(listed)
    }

    fn path_of(&self, number: u64) -> PathBuf {
        self.folder.path().join(segment::file_name(number))
    }

    fn folder_error(&self, action: &'static str, source: io::Error) -> Error {
        Error::Io {
            action,
            path: self.folder.path().to_owned(),
            source,
        }
    }

    /// The head of segment `number`, and its file.
    fn opening(&self, number: u64) -> Result<(Opening, Box<dyn SegmentFile>), Error> {
        let path = self.path_of(number);
        let failed = |source| read_error(&path, source);
        let file = self.folder.open(number).map_err(failed)?;
        let mut head = [0; SEGMENT_HEAD_BYTES];
        let mut filled = 0;
        while filled < head.len() {
            match window::read_at(&*file, &mut head[filled..], filled as u64).map_err(failed)? {
                0 => break,
                count => filled += count,
            }
        }
        match SegmentHead::parse(&head[..filled], number) {
            Opening::Unknown { version } => Err(Error::Version { path, found: version }),
            opening => Ok((opening, file)),
        }
    }
}

fn read_error(path: &Path, source: io::Error) -> Error {
    Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    }
}

impl fmt::Debug for WriterMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The seal is the writer's secret.
        f.write_str("WriterMark")
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({} at {})", self.folder.path().display(), self.at)
    }
}
