//! What a reader tells of what it could not read.

use std::fmt;

use crate::record::ExchangeId;

/// A loss, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub segment: u64,
    pub offset: u64,
    pub length: u64,
    pub cause: Cause,
    /// Whose record it was, where one frame was lost and its head could still be read.
    pub exchange: Option<ExchangeId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Bytes that are no frame, or whose CRC does not agree.
    Damaged,
    /// The segment ends inside a frame: its writer died at it, or the disk was full.
    Torn,
    /// The segment was longer once. `length` is all that is missing.
    Shortened,
    /// The segment's head cannot be read, and nothing after it can be told apart.
    Head,
    /// The segment is not there. Of several in a row only the last is named, for only that one is known of; a `length`
    /// of 0 says that not even its length is.
    Missing,
    /// The writer could not write so much, between the mark before this one and here. `bytes` counts their frames.
    Dropped { records: u64, bytes: u64 },
    /// The disk failed to confirm these bytes. They were given out where they could be read.
    Unsynced,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.cause {
            Cause::Damaged => "damaged",
            Cause::Torn => "torn off",
            Cause::Shortened => "cut off",
            Cause::Head => "unreadable for want of a head",
            Cause::Missing => "missing with their segment",
            Cause::Unsynced => "perhaps lost, as their sync failed",
            Cause::Dropped { records, bytes } => {
                let Self { segment, offset, .. } = self;
                return write!(
                    f,
                    "segment {segment}, before byte {offset}: {records} records ({bytes} bytes) were dropped"
                );
            }
        };
        let Self {
            segment,
            offset,
            length,
            ..
        } = self;
        write!(f, "segment {segment}, {length} bytes from byte {offset} on are {what}")
    }
}
