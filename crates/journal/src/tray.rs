//! The tray: where the newest segment's last bytes lie until they are handed over to it. A file of the journal's folder
//! that its writer has mapped into memory: a store is with the kernel at once, as a `write(2)` is, and costs a copy. Owns
//! the file's layout and how it is read beside its segment; who fills it is [`fill`].
//!
//! ```text
//!   append ── copy, then publish the length ──▶ tray ── full, or a tenth of a second ──▶ one write(2) ──▶ segment
//!                                                 │                                                         │
//!   reader, recovery ── the segment's bytes, and behind them the tray's ◀───────────────────────────────────┘
//!
//!   ┌──────────────────────────────────────────────────────────────────────┬─────────┬─────────────────────────┐
//!   │ three times: "CNCLVTRY", version 4, zero 4, segment 8, length 4, base 4 │ zero to │ bytes of that segment,  │
//!   │                                                                      │ 4096    │ which begin at its base │
//!   └──────────────────────────────────────────────────────────────────────┴─────────┴─────────────────────────┘
//! ```
//!
//! Together the two read as the segment would if each append had been written to it, byte for byte and at the same
//! offsets: nobody above the seam knows of a tray. The standing (segment, base, length) stands there three times, and the
//! two that agree count: neither a flipped bit nor a death between the three costs anything.
//!
//! Invariants: a byte leaves the tray only after the segment has it; base and segment only ever change while the length
//! is 0. So whoever saw the same segment and base before and after it read has read what was appended.

mod fill;
mod map;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub use self::fill::Trayed;
pub(crate) use self::fill::clear;
use crate::frame::{u32_at, u64_at};

const NAME: &str = "tray";
const MAGIC: &[u8; 8] = b"CNCLVTRY";
const VERSION: u32 = 1;
/// What is written of a standing, three times from the file's beginning on.
const STANDING_BYTES: usize = 32;
const SEGMENT_AT: usize = 16;
const PLACE_AT: usize = 24;
const HEAD_BYTES: usize = 4096;
/// What it holds: a second of five hundred streams, and small enough to stay in the processor's cache.
const CAPACITY: usize = 256 * 1024 - HEAD_BYTES;
const TRAY_BYTES: usize = HEAD_BYTES + CAPACITY;

/// A live tray is looked at so often while its writer empties it, before it is left for later.
const LOOKS_MAX: u32 = 8;

/// Whose bytes are in the tray, and how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    segment: u64,
    /// Where in the segment the tray's first byte belongs.
    base: u32,
    length: u32,
}

impl Standing {
    fn end(&self) -> u64 {
        u64::from(self.base) + u64::from(self.length)
    }

    /// One number, so that base and length are never seen apart.
    fn place(&self) -> u64 {
        u64::from(self.base) << 32 | u64::from(self.length)
    }

    /// `None`: this is no tray, or none that this release knows, or its writer is changing it at this moment.
    fn parse(head: &[u8]) -> Option<Self> {
        let ([a, b, c], []) = head.as_chunks::<STANDING_BYTES>() else {
            return None;
        };
        // Not the majority of each bit: of three moments that would be a fourth, which never was.
        let pairs = [(a, b), (b, c), (a, c)];
        let agreed = pairs.into_iter().find(|(one, other)| one == other)?.0;
        if !agreed.starts_with(MAGIC) || u32_at(agreed, 8) != VERSION {
            return None;
        }
        let place = u64_at(agreed, PLACE_AT);
        let standing = Self {
            segment: u64_at(agreed, SEGMENT_AT),
            base: (place >> 32) as u32,
            length: place as u32,
        };
        (standing.length as usize <= CAPACITY).then_some(standing)
    }

    fn encode(&self) -> [u8; STANDING_BYTES] {
        let mut bytes = [0; STANDING_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[SEGMENT_AT..][..8].copy_from_slice(&self.segment.to_le_bytes());
        bytes[PLACE_AT..][..8].copy_from_slice(&self.place().to_le_bytes());
        bytes
    }

    fn of(tray: &File) -> io::Result<Option<Self>> {
        let mut head = [0; 3 * STANDING_BYTES];
        match tray.read_exact_at(&mut head, 0) {
            Ok(()) => Ok(Self::parse(&head)),
            // It is being made, or was cut: there is nothing in it that anybody was promised.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

pub(crate) fn path_in(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// Opens a folder's tray for reading, where there is one.
fn open(folder: &Path) -> io::Result<Option<File>> {
    match File::open(path_in(folder)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which segment is longer than its file, and how long.
pub(crate) fn longer(folder: &Path) -> io::Result<Option<(u64, u64)>> {
    let Some(tray) = open(folder)? else { return Ok(None) };
    Ok(Standing::of(&tray)?.map(|standing| (standing.segment, standing.end())))
}

/// A segment as it is read: its file, and behind it what the tray has of it.
pub(crate) struct Whole {
    file: File,
    number: u64,
    tray: Option<File>,
}

impl Whole {
    /// A writer has its tray before it begins its first segment, and keeps it: what is not there now has nothing of this one.
    pub(crate) fn of(file: File, number: u64, folder: &Path) -> io::Result<Self> {
        let tray = open(folder)?;
        Ok(Self { file, number, tray })
    }

    pub(crate) fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        for _ in 0..LOOKS_MAX {
            let count = self.file.read_at(into, offset)?;
            let Some(tray) = self.tray.as_ref().filter(|_| count == 0 && !into.is_empty()) else {
                return Ok(count);
            };
            let before = match Standing::of(tray)? {
                None => return Ok(0),
                // Before it went on to another, the file got all of this one.
                Some(before) if before.segment != self.number => return self.file.read_at(into, offset),
                Some(before) => before,
            };
            let Some(from) = offset.checked_sub(before.base.into()) else {
                continue; // Handed over since.
            };
            let left = u64::from(before.length).saturating_sub(from);
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
            if wanted == 0 {
                return Ok(0);
            }
            let count = tray.read_at(&mut into[..wanted], HEAD_BYTES as u64 + from)?;
            let after = Standing::of(tray)?;
            if after.is_some_and(|after| (after.segment, after.base) == (before.segment, before.base)) {
                return Ok(count);
            }
        }
        Ok(0)
    }

    pub(crate) fn bytes(&self) -> io::Result<u64> {
        let standing = self.tray.as_ref().map(Standing::of).transpose()?.flatten();
        // The file after the tray: what has left the one meanwhile is in the other.
        let bytes = self.file.metadata()?.len();
        let mine = standing.filter(|standing| standing.segment == self.number);
        Ok(mine.map_or(bytes, |standing| bytes.max(standing.end())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(standings: [Standing; 3]) -> Vec<u8> {
        standings.iter().flat_map(Standing::encode).collect()
    }

    #[test]
    fn a_standing_survives_each_single_bit_and_a_death_between_its_copies() {
        let standing = Standing {
            segment: 1_753_791_211_406,
            base: 144,
            length: 9_999,
        };
        let bytes = head([standing; 3]);
        for bit in 0..bytes.len() * 8 {
            let mut hurt = bytes.clone();
            hurt[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Standing::parse(&hurt), Some(standing), "bit {bit}");
        }
        let later = Standing {
            length: 12_345,
            ..standing
        };
        assert_eq!(Standing::parse(&head([later, standing, standing])), Some(standing));
        assert_eq!(Standing::parse(&head([later, later, standing])), Some(later));
        assert_eq!(Standing::parse(&head([later, standing, Standing::default()])), None);
    }

    #[test]
    fn what_is_no_tray_is_not_read_as_one() {
        let mut bytes = head([Standing::default(); 3]);
        assert!(Standing::parse(&bytes).is_some());
        for nth in 0..3 {
            bytes[nth * STANDING_BYTES + 8] = 2;
        }
        assert_eq!(Standing::parse(&bytes), None);
        assert_eq!(Standing::parse(&[0; 3 * STANDING_BYTES]), None);
        assert_eq!(Standing::parse(&[0; 7]), None);
        let too_long = Standing {
            length: CAPACITY as u32 + 1,
            ..Standing::default()
        };
        assert_eq!(Standing::parse(&head([too_long; 3])), None);
    }
}
