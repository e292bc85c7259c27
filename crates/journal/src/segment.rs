//! A segment's name and head. Owns the format's version; knows no frames. Invariant: a head is believed only where its
//! CRC agrees, and one flipped bit never costs a segment, for the head stands there three times.

use crate::frame::{Seal, u32_at, u64_at};

pub const VERSION: u32 = 1;
/// The bytes before a segment's first frame.
pub const SEGMENT_HEAD_BYTES: usize = 3 * COPY_BYTES;

const MAGIC: &[u8; 8] = b"CNCLVJNL";
const COPY_BYTES: usize = 48;
const SUFFIX: &str = ".segment";

/// `previous` and `previous_bytes` say which segment came before, and how long it was when this one was begun: so a
/// segment that is missing, or was cut short between two frames, is noticed. `previous` is 0 for a folder's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) seal: Seal,
    pub(crate) number: u64,
    pub(crate) previous: u64,
    pub(crate) previous_bytes: u64,
}

/// What a file's first bytes turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Intact(SegmentHead),
    /// Too short yet. The writer is at it, or died at it.
    Unfinished,
    /// Not a head, or another segment's.
    Damaged,
    Unknown {
        version: u32,
    },
}

impl SegmentHead {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEAD_BYTES] {
        let mut copy = [0; COPY_BYTES];
        copy[..8].copy_from_slice(MAGIC);
        copy[8..12].copy_from_slice(&VERSION.to_le_bytes());
        copy[12..16].copy_from_slice(&self.seal.marker);
        copy[16..20].copy_from_slice(&self.seal.salt.to_le_bytes());
        copy[20..28].copy_from_slice(&self.number.to_le_bytes());
        copy[28..36].copy_from_slice(&self.previous.to_le_bytes());
        copy[36..44].copy_from_slice(&self.previous_bytes.to_le_bytes());
        let checksum = crc32c::crc32c(&copy[..44]);
        copy[44..].copy_from_slice(&checksum.to_le_bytes());
        let mut head = [0; SEGMENT_HEAD_BYTES];
        head.as_chunks_mut().0.fill(copy);
        head
    }

    /// Reads the head of the file that is named after segment `number`.
    pub(crate) fn parse(bytes: &[u8], number: u64) -> Opening {
        let Some(bytes) = bytes.first_chunk::<SEGMENT_HEAD_BYTES>() else {
            return Opening::Unfinished;
        };
        let (copies, _) = bytes.as_chunks::<COPY_BYTES>();
        let vote: [u8; COPY_BYTES] = std::array::from_fn(|i| {
            let [a, b, c] = [copies[0][i], copies[1][i], copies[2][i]];
            a & b | b & c | a & c
        });
        let intact =
            |copy: &&[u8; COPY_BYTES]| copy.starts_with(MAGIC) && crc32c::crc32c(&copy[..44]) == u32_at(*copy, 44);
        match copies.iter().chain([&vote]).find(intact) {
            Some(copy) => Self::of_copy(copy, number),
            None => Opening::Damaged,
        }
    }

    fn of_copy(copy: &[u8; COPY_BYTES], number: u64) -> Opening {
        let version = u32_at(copy, 8);
        if version != VERSION {
            return Opening::Unknown { version };
        }
        if u64_at(copy, 20) != number {
            return Opening::Damaged; // A file under another's name: its records are read, or were, where they belong.
        }
        Opening::Intact(Self {
            seal: Seal {
                marker: [copy[12], copy[13], copy[14], copy[15]],
                salt: u32_at(copy, 16),
            },
            number,
            previous: u64_at(copy, 28),
            previous_bytes: u64_at(copy, 36),
        })
    }
}

/// Names sort as numbers do.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

pub(crate) fn number_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(SUFFIX)?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> SegmentHead {
        SegmentHead {
            seal: Seal::draw(),
            number: 9,
            previous: 8,
            previous_bytes: 1234,
        }
    }

    #[test]
    fn a_head_survives_each_single_bit_and_byte_and_one_whole_copy() {
        let (head, bytes) = (head(), head().encode());
        assert_eq!(SegmentHead::parse(&head.encode(), 9), Opening::Intact(head));
        for at in 0..bytes.len() * 8 {
            let mut hurt = head.encode();
            hurt[at / 8] ^= 1 << (at % 8);
            assert_eq!(SegmentHead::parse(&hurt, 9), Opening::Intact(head), "bit {at}");
        }
        let mut hurt = head.encode();
        for (copy, at) in [(0, 3), (1, 17), (2, 46)] {
            hurt[copy * COPY_BYTES + at] ^= 0xff; // One in each copy: the vote is needed.
        }
        assert_eq!(SegmentHead::parse(&hurt, 9), Opening::Intact(head));
    }

    #[test]
    fn a_head_that_is_not_this_segments_is_not_believed() {
        let bytes = head().encode();
        assert_eq!(SegmentHead::parse(&bytes, 10), Opening::Damaged);
        assert_eq!(SegmentHead::parse(&[0; 200], 9), Opening::Damaged);
        assert_eq!(
            SegmentHead::parse(&bytes[..SEGMENT_HEAD_BYTES - 1], 9),
            Opening::Unfinished
        );
    }

    #[test]
    fn names_are_numbers_and_nothing_else_is() {
        assert_eq!(number_of(&file_name(7)), Some(7));
        assert_eq!(number_of(&file_name(u64::MAX)), Some(u64::MAX));
        for name in [
            "lock",
            "7.segment",
            "+0000000000000000007.segment",
            "00000000000000000007.segment.bak",
        ] {
            assert_eq!(number_of(name), None, "{name}");
        }
    }
}
