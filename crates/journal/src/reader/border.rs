//! Going from one segment to the next: which one follows, and what is missing between. The cursor moves here only where
//! there is nothing to tell of what it passes.

use std::path::PathBuf;

use super::gap::{Cause, Gap};
use super::step::Found;
use super::{Reader, WriterMark};
use crate::cursor::Cursor;
use crate::error::Error;
use crate::io::SegmentFile;
use crate::segment::{Opening, SEGMENT_HEAD_BYTES, SegmentHead};

/// The segment that is being read.
pub(super) struct Current {
    pub(super) file: Box<dyn SegmentFile>,
    pub(super) path: PathBuf,
    pub(super) head: SegmentHead,
    /// Known once there is a newer segment: from then on this one is never written to.
    pub(super) successor: Option<Successor>,
    /// The offset whose damage was seen twice. A live file's last bytes get a second look, past the window.
    pub(super) confirmed: Option<u64>,
    /// How far the search for a frame's head has come, where the cursor is at damage.
    pub(super) scanned: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Successor {
    pub(super) number: u64,
    /// What the current segment's length was when the successor was begun.
    pub(super) bytes_then: Option<u64>,
    /// The segment between the two, and its length, where there was one.
    pub(super) missing: Option<(u64, u64)>,
}

impl Reader {
    /// Opens the first segment at or behind the cursor.
    pub(super) fn enter(&mut self) -> Result<Found, Error> {
        let listed = self.list()?;
        let mut behind = listed.iter().filter(|listed| listed.segment >= self.at.segment);
        let Some(first) = behind.next() else {
            return match listed.last() {
                Some(newest) => Err(Error::CursorAhead {
                    path: self.folder.path().to_owned(),
                    cursor: self.at,
                    newest_segment: newest.segment,
                }),
                None => Ok(Found::Idle),
            };
        };
        let next = behind.next().map(|next| next.segment);
        let (opening, file) = self.opening(first.segment)?;
        if let (Opening::Unfinished | Opening::Damaged, None) = (&opening, next) {
            return Ok(Found::Idle);
        }
        if first.segment != self.at.segment {
            return Ok(self.enter_another(first.segment, &opening));
        }
        let (Opening::Intact(head), _) = (opening, next) else {
            let then = Cursor {
                segment: next.unwrap_or(first.segment + 1),
                offset: 0,
            };
            return Ok(self.gap_to(first.bytes, Cause::Head, then));
        };
        self.at.offset = self.at.offset.max(SEGMENT_HEAD_BYTES as u64);
        self.window.forget();
        let path = self.path_of(head.number);
        self.writer = Some(WriterMark(head.seal));
        self.current = Some(Current {
            file,
            path,
            head,
            successor: None,
            confirmed: None,
            scanned: 0,
        });
        Ok(Found::Again)
    }

    /// The cursor's segment is not there, and `number` is the next that is. That is as it should be where the cursor was
    /// at its end, or at the very beginning.
    fn enter_another(&mut self, number: u64, opening: &Opening) -> Found {
        let then = Cursor {
            segment: number,
            offset: 0,
        };
        let Cursor { segment, offset } = self.at;
        let missing = match opening {
            _ if segment == 0 => None,
            Opening::Intact(head) if head.previous == segment => {
                head.previous_bytes.checked_sub(offset).filter(|length| *length > 0)
            }
            // The cursor's segment was withdrawn before it held anything.
            Opening::Intact(head) if head.previous < segment => None,
            _ => Some(0), // It held something, how much nobody knows.
        };
        if let Some(length) = missing {
            return Found::Gap(
                Gap {
                    segment,
                    offset,
                    length,
                    cause: Cause::Missing,
                    exchange: None,
                },
                then,
            );
        }
        self.at = then;
        Found::Again
    }

    pub(super) fn successor(&self, head: &SegmentHead) -> Result<Option<Successor>, Error> {
        let listed = self.list()?;
        let mut newer = listed.iter().filter(|listed| listed.segment > head.number);
        let Some(next) = newer.next() else {
            return Ok(None);
        };
        let successor = Successor {
            number: next.segment,
            bytes_then: None,
            missing: None,
        };
        Ok(match self.opening(next.segment)?.0 {
            Opening::Intact(next) if next.previous == head.number => Some(Successor {
                bytes_then: Some(next.previous_bytes),
                ..successor
            }),
            Opening::Intact(next) if next.previous > head.number => Some(Successor {
                missing: Some((next.previous, next.previous_bytes)),
                ..successor
            }),
            // A head that is being written, or was not written to its end: it matters once something is behind it.
            Opening::Unfinished | Opening::Damaged if newer.next().is_none() => None,
            _ => Some(successor),
        })
    }

    pub(super) fn leave(&mut self, current: &Current) -> Found {
        let Some(successor) = current.successor else {
            return Found::Again;
        };
        let then = Cursor {
            segment: successor.number,
            offset: 0,
        };
        match successor.missing {
            Some((segment, length)) => {
                let gap = Gap {
                    segment,
                    offset: 0,
                    length,
                    cause: Cause::Missing,
                    exchange: None,
                };
                Found::Gap(gap, then)
            }
            None => {
                self.at = then;
                Found::Again
            }
        }
    }

    /// A gap from the cursor to the end of its segment; none where there is nothing between.
    fn gap_to(&mut self, end: u64, cause: Cause, then: Cursor) -> Found {
        let Cursor { segment, offset } = self.at;
        if end <= offset {
            self.at = then;
            return Found::Again;
        }
        Found::Gap(
            Gap {
                segment,
                offset,
                length: end - offset,
                cause,
                exchange: None,
            },
            then,
        )
    }
}
