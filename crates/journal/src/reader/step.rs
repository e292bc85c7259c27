//! One step of reading: what is at the cursor. Nothing here moves the cursor; what was found says where it goes.

use super::border::Current;
use super::gap::{Cause, Gap};
use super::{Reader, read_error};
use crate::cursor::Cursor;
use crate::error::Error;
use crate::frame::{FRAME_HEAD_BYTES, FrameHead, MARK};
use crate::mark::Mark;

/// What a step came to. A gap comes with the cursor behind it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Frame(FrameHead),
    Gap(Gap, Cursor),
    Idle,
    /// The current segment is read to its end.
    End,
    Again,
}

impl Reader {
    /// What is at the cursor, in the current segment.
    pub(super) fn find(&mut self, current: &mut Current) -> Result<Found, Error> {
        let failed = |source| read_error(&current.path, source);
        let at = self.at.offset;
        let seal = current.head.seal;
        if current.scanned > at {
            return self.scan(current);
        }
        let bytes = self.window.get(&*current.file, at, FRAME_HEAD_BYTES).map_err(failed)?;
        if bytes.len() < FRAME_HEAD_BYTES {
            return self.find_end(current, Cause::Torn);
        }
        let Some(head) = FrameHead::parse(seal, bytes) else {
            return if self.is_confirmed(current) {
                self.scan(current)
            } else {
                Ok(Found::Again)
            };
        };
        let bytes = self
            .window
            .get(&*current.file, at, head.frame_bytes())
            .map_err(failed)?;
        let Some(payload) = bytes.get(FRAME_HEAD_BYTES..head.frame_bytes()) else {
            return self.find_end(current, Cause::Torn);
        };
        if head.agrees_with(seal, payload) {
            return Ok(match (head.kind, Mark::parse(payload)) {
                (MARK, Some(mark)) => self.marked(mark, &head),
                _ => Found::Frame(head),
            });
        }
        if !self.is_confirmed(current) {
            return Ok(Found::Again);
        }
        Ok(self.skip(
            at + head.frame_bytes() as u64,
            Cause::Damaged,
            (head.kind != MARK).then_some(&head),
        ))
    }

    /// Damage is believed at once where nobody writes any more, and otherwise when it was read from the file twice.
    fn is_confirmed(&mut self, current: &mut Current) -> bool {
        let confirmed = current.successor.is_some() || current.confirmed == Some(self.at.offset);
        if !confirmed {
            current.confirmed = Some(self.at.offset);
            self.window.forget();
        }
        confirmed
    }

    /// Looks for the next head that agrees. Each byte is looked at once, however often the search is taken up again.
    fn scan(&mut self, current: &mut Current) -> Result<Found, Error> {
        let failed = |source| read_error(&current.path, source);
        let seal = current.head.seal;
        let mut from = current.scanned.max(self.at.offset + 1);
        loop {
            let bytes = self
                .window
                .get(&*current.file, from, FRAME_HEAD_BYTES)
                .map_err(failed)?;
            if bytes.len() < FRAME_HEAD_BYTES {
                current.scanned = from;
                return self.find_end(current, Cause::Damaged);
            }
            let searched = bytes.len() - FRAME_HEAD_BYTES + 1;
            let heads = memchr::memmem::find_iter(&bytes[..searched + seal.marker.len() - 1], &seal.marker);
            let intact = |at: &usize| FrameHead::parse(seal, &bytes[*at..]).is_some();
            if let Some(at) = heads.into_iter().find(intact) {
                return Ok(self.skip(from + at as u64, Cause::Damaged, None));
            }
            from += searched as u64;
        }
    }

    /// The file ends before there is a whole frame.
    fn find_end(&mut self, current: &mut Current, cause: Cause) -> Result<Found, Error> {
        let Some(successor) = current.successor else {
            current.successor = self.successor(&current.head)?;
            // What was written between our read and the successor's birth is read now.
            return Ok(if current.successor.is_some() {
                Found::Again
            } else {
                Found::Idle
            });
        };
        let at = self.at.offset;
        let bytes = current
            .file
            .bytes()
            .map_err(|source| read_error(&current.path, source))?;
        let bytes_then = successor.bytes_then.unwrap_or(bytes);
        if bytes.max(bytes_then) <= at {
            return Ok(Found::End);
        }
        let cause = if bytes_then > bytes { Cause::Shortened } else { cause };
        Ok(self.skip(bytes.max(bytes_then), cause, None))
    }

    fn marked(&self, mark: Mark, head: &FrameHead) -> Found {
        let Cursor { segment, offset } = self.at;
        let then = Cursor {
            segment,
            offset: offset + head.frame_bytes() as u64,
        };
        let gap = match mark {
            Mark::Dropped { records, bytes } => Gap {
                segment,
                offset,
                length: 0,
                cause: Cause::Dropped { records, bytes },
                exchange: None,
            },
            Mark::Unsynced {
                segment,
                offset,
                length,
            } => Gap {
                segment,
                offset,
                length,
                cause: Cause::Unsynced,
                exchange: None,
            },
        };
        Found::Gap(gap, then)
    }

    fn skip(&self, to: u64, cause: Cause, head: Option<&FrameHead>) -> Found {
        let Cursor { segment, offset } = self.at;
        let gap = Gap {
            segment,
            offset,
            length: to - offset,
            cause,
            exchange: head.map(|head| head.exchange),
        };
        Found::Gap(gap, Cursor { segment, offset: to })
    }
}
