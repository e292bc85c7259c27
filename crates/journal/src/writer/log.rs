//! The segment that is being written and what is known of the others; everything here happens inside the gate.
//! Invariant: a byte in a segment is never changed. A segment in which a frame was torn, or whose sync failed, is
//! closed, and the next append begins another.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};
use std::{io, mem};

use super::{Reason, Shared, SyncPolicy};
use crate::cursor::Cursor;
use crate::io::{Listed, SegmentFile};
use crate::mark::Mark;
use crate::segment::{SEGMENT_HEAD_BYTES, SegmentHead};

/// After the file system refused it is left alone for so long: a system call that fails for each request helps nobody.
const REST: Duration = Duration::from_millis(250);
/// Closed segments that wait for their sync. Each holds a descriptor; a disk that far behind is as good as stalled.
const UNSYNCED_SEGMENTS_MAX: usize = 64;
/// Marks of failed syncs that wait to be written. Beyond them a failure is only counted.
const MARKS_MAX: usize = 64;

pub(super) struct Log {
    open: Option<Open>,
    newest_number: u64,
    /// The newest segment that is closed, and its length.
    previous: (u64, u64),
    /// All segments but the open one.
    others_bytes: u64,
    to_sync: Vec<Span>,
    marks: Vec<Mark>,
    rest: Option<(Instant, Reason)>,
    folder_changed: bool,
}

struct Open {
    file: Arc<dyn SegmentFile>,
    number: u64,
    bytes: u64,
    synced_bytes: u64,
}

/// Bytes of a segment that are not durable yet.
pub(super) struct Span {
    pub(super) file: Arc<dyn SegmentFile>,
    number: u64,
    from: u64,
    to: u64,
}

/// What a sync has to do, and how far all is durable when it did.
pub(super) struct SyncWork {
    pub(super) spans: Vec<Span>,
    pub(super) folder_changed: bool,
    pub(super) until: Cursor,
}

impl Log {
    pub(super) fn after(listed: &[Listed]) -> Self {
        let newest = listed
            .iter()
            .max()
            .map_or((0, 0), |newest| (newest.segment, newest.bytes));
        Self {
            open: None,
            newest_number: newest.0,
            previous: newest,
            others_bytes: listed.iter().map(|listed| listed.bytes).sum(),
            to_sync: Vec::new(),
            marks: Vec::new(),
            rest: None,
            folder_changed: false,
        }
    }

    /// Writes whole frames, and before them the marks of what was lost until now.
    pub(super) fn write(&mut self, shared: &Shared, bytes: &[u8]) -> Result<Cursor, Reason> {
        if let Some((until, reason)) = self.rest {
            if Instant::now() < until {
                return Err(reason);
            }
            self.rest = None;
        }
        if !self.has_marks(shared) {
            return self.write_frames(shared, bytes);
        }
        let marks = self.take_marks(shared);
        let mut frames = Vec::new();
        marks.iter().for_each(|mark| mark.put(&mut frames, shared.seal));
        frames.extend_from_slice(bytes);
        let written = self.write_frames(shared, &frames);
        if written.is_err() {
            self.give_marks_back(shared, marks);
        }
        written
    }

    fn write_frames(&mut self, shared: &Shared, frames: &[u8]) -> Result<Cursor, Reason> {
        let (added, head_bytes) = (frames.len() as u64, SEGMENT_HEAD_BYTES as u64);
        let too_long = |open: &Open| open.bytes > head_bytes && open.bytes + added > shared.options.segment_bytes_max;
        if self.open.as_ref().is_some_and(too_long) {
            self.close(shared);
        }
        let of_head = if self.open.is_none() { head_bytes } else { 0 };
        if self.folder_bytes() + of_head + added > shared.options.folder_bytes_max {
            return Err(Reason::Full);
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(shared)?,
        };
        let (written, result) = append_all(&*open.file, frames);
        open.bytes += written;
        let end = Cursor {
            segment: open.number,
            offset: open.bytes,
        };
        self.open = Some(open);
        if result.is_err() && written > 0 {
            self.close(shared);
        }
        shared.counters.folder_bytes.store(self.folder_bytes(), Relaxed);
        result.map(|()| end).map_err(|error| self.rest_after(&error))
    }

    fn begin(&mut self, shared: &Shared) -> Result<Open, Reason> {
        if self.to_sync.len() >= UNSYNCED_SEGMENTS_MAX {
            return Err(Reason::Stalled);
        }
        let number = (self.newest_number + 1).max(unix_ms());
        let file = shared.folder.create(number).map_err(|error| self.rest_after(&error))?;
        self.newest_number = number;
        let head = SegmentHead {
            seal: shared.seal,
            number,
            previous: self.previous.0,
            previous_bytes: self.previous.1,
        };
        if let (_, Err(error)) = append_all(&*file, &head.encode()) {
            // No reader enters a newest segment without a whole head, so that this one may go.
            let _kept = shared.folder.remove(number);
            return Err(self.rest_after(&error));
        }
        self.folder_changed = true;
        shared.counters.segments_begun.fetch_add(1, Relaxed);
        Ok(Open {
            file: file.into(),
            number,
            bytes: SEGMENT_HEAD_BYTES as u64,
            synced_bytes: 0,
        })
    }

    fn close(&mut self, shared: &Shared) {
        let Some(open) = self.open.take() else { return };
        self.previous = (open.number, open.bytes);
        self.others_bytes += open.bytes;
        if shared.options.sync != SyncPolicy::Never && open.bytes > open.synced_bytes {
            self.to_sync.push(open.unsynced());
        }
    }

    fn rest_after(&mut self, error: &io::Error) -> Reason {
        let reason = Reason::Disk(error.kind());
        self.rest = Some((Instant::now() + REST, reason));
        reason
    }

    fn folder_bytes(&self) -> u64 {
        self.others_bytes + self.open.as_ref().map_or(0, |open| open.bytes)
    }
}

/// Losses.
impl Log {
    pub(super) fn has_marks(&self, shared: &Shared) -> bool {
        !self.marks.is_empty() || shared.counters.unmarked_records.load(Relaxed) > 0
    }

    fn take_marks(&mut self, shared: &Shared) -> Vec<Mark> {
        let mut marks = mem::take(&mut self.marks);
        let records = shared.counters.unmarked_records.swap(0, Relaxed);
        let bytes = shared.counters.unmarked_bytes.swap(0, Relaxed);
        marks.extend((records > 0).then_some(Mark::Dropped { records, bytes }));
        marks
    }

    fn give_marks_back(&mut self, shared: &Shared, marks: Vec<Mark>) {
        for mark in marks {
            match mark {
                Mark::Dropped { records, bytes } => {
                    shared.counters.unmarked_bytes.fetch_add(bytes, Relaxed);
                    shared.counters.unmarked_records.fetch_add(records, Relaxed);
                }
                unsynced @ Mark::Unsynced { .. } => self.marks.push(unsynced),
            }
        }
    }
}

/// Syncing.
impl Log {
    pub(super) fn take_sync_work(&mut self) -> SyncWork {
        let mut spans = mem::take(&mut self.to_sync);
        let open = self.open.as_ref();
        spans.extend(open.filter(|open| open.bytes > open.synced_bytes).map(Open::unsynced));
        let (segment, offset) = open.map_or(self.previous, |open| (open.number, open.bytes));
        let folder_changed = mem::take(&mut self.folder_changed);
        SyncWork {
            spans,
            folder_changed,
            until: Cursor { segment, offset },
        }
    }

    pub(super) fn give_sync_work_back(&mut self, work: SyncWork) {
        let open = self.open.as_ref().map(|open| open.number);
        // The open segment knows by itself how far it is synced; one that was closed meanwhile waits already.
        let waits = |number| self.to_sync.iter().any(|span| span.number == number);
        let spans = work.spans.into_iter();
        let back: Vec<_> = spans
            .filter(|span| Some(span.number) != open && !waits(span.number))
            .collect();
        self.to_sync.extend(back);
        self.folder_changed |= work.folder_changed;
    }

    pub(super) fn synced(&mut self, span: &Span) {
        if let Some(open) = self.open.as_mut().filter(|open| open.number == span.number) {
            open.synced_bytes = span.to;
        }
    }

    /// What a failed sync leaves in the page cache is marked clean there: a second sync of the same file would succeed
    /// and mean nothing. So the file is given up, with all that was added to it since.
    pub(super) fn sync_failed(&mut self, shared: &Shared, span: &Span) {
        let mut to = span.to;
        if let Some(open) = self.open.as_ref().filter(|open| open.number == span.number) {
            to = open.bytes;
            self.close(shared);
        }
        let later = self.to_sync.iter().filter(|other| other.number == span.number);
        to = later.map(|other| other.to).fold(to, u64::max);
        self.to_sync.retain(|other| other.number != span.number);
        if self.marks.len() < MARKS_MAX {
            self.marks.push(Mark::Unsynced {
                segment: span.number,
                offset: span.from,
                length: to - span.from,
            });
        }
    }

    pub(super) fn folder_sync_failed(&mut self) {
        self.folder_changed = true;
    }
}

/// Weighing.
impl Log {
    pub(super) fn newest_number(&self) -> u64 {
        self.newest_number
    }

    /// Takes over what the folder was found to hold when `newest_number` was its newest segment.
    pub(super) fn weigh(&mut self, shared: &Shared, listed: &[Listed], newest_number: u64) {
        if self.newest_number == newest_number {
            let open_number = self.open.as_ref().map(|open| open.number);
            let others = listed.iter().filter(|listed| Some(listed.segment) != open_number);
            self.others_bytes = others.map(|listed| listed.bytes).sum();
            shared.counters.folder_bytes.store(self.folder_bytes(), Relaxed);
        }
    }
}

impl Open {
    fn unsynced(&self) -> Span {
        Span {
            file: self.file.clone(),
            number: self.number,
            from: self.synced_bytes,
            to: self.bytes,
        }
    }
}

/// Returns how much was written, also where it was not all.
fn append_all(file: &dyn SegmentFile, bytes: &[u8]) -> (u64, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.append(&bytes[written..]) {
            Ok(0) => return (written as u64, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written as u64, Err(error)),
        }
    }
    (written as u64, Ok(()))
}

/// Segments are numbered by the time of their birth, so that a folder that was emptied does not give numbers out again
/// that some consumer's cursor is beyond.
fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}
