//! The part of a segment that is in memory. Owns the reading ahead. Invariant: its bytes were read from the current
//! segment in one run, and the end of a file is never remembered: a live file grows.

use std::io;

use crate::frame::{FRAME_HEAD_BYTES, PAYLOAD_BYTES_MAX};
use crate::io::SegmentFile;

/// Several frames of the longest kind.
const CAPACITY: usize = 4 * (FRAME_HEAD_BYTES + PAYLOAD_BYTES_MAX);

pub(super) struct Window {
    bytes: Box<[u8]>,
    filled: usize,
    /// Where in the file `bytes` begins.
    start: u64,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; CAPACITY].into(),
            filled: 0,
            start: 0,
        }
    }

    pub(super) fn forget(&mut self) {
        self.filled = 0;
    }

    /// All that is in memory from `offset` on: `wanted` bytes at least, unless the file ends before.
    pub(super) fn get(&mut self, file: &dyn SegmentFile, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let mut skip = self.skip_to(offset);
        if self.filled - skip < wanted {
            self.bytes.copy_within(skip..self.filled, 0);
            self.filled -= skip;
            (self.start, skip) = (offset, 0);
            while self.filled < wanted {
                match read_at(file, &mut self.bytes[self.filled..], offset + self.filled as u64)? {
                    0 => break,
                    count => self.filled += count,
                }
            }
        }
        Ok(&self.bytes[skip..self.filled])
    }

    /// The `length` bytes before `end`, which were got just now.
    pub(super) fn before(&self, end: u64, length: usize) -> &[u8] {
        let end = usize::try_from(end - self.start).unwrap_or(usize::MAX);
        &self.bytes[end - length..end]
    }

    fn skip_to(&mut self, offset: u64) -> usize {
        let skip = offset
            .checked_sub(self.start)
            .and_then(|skip| usize::try_from(skip).ok());
        match skip.filter(|skip| *skip <= self.filled) {
            Some(skip) => skip,
            None => {
                (self.start, self.filled) = (offset, 0);
                0
            }
        }
    }
}

pub(super) fn read_at(file: &dyn SegmentFile, into: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(into, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
