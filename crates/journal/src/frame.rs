//! One record's bytes: how they are laid out and checked. Owns the layout (drawn in the crate's documentation) and the
//! seal; knows no file. Invariant: nothing is taken from bytes whose CRC does not agree.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use crate::record::ExchangeId;

/// The bytes before a frame's payload.
pub const FRAME_HEAD_BYTES: usize = 40;
/// The longest payload of one frame. It bounds a reader's memory and what one flipped bit can cost.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// The kind of a frame by which a writer tells of a loss. Outside the range of records' kinds.
pub(crate) const MARK: u8 = 0xf0;

/// What a writer drew at random when it opened the journal, and wrote into each of its segments' heads.
///
/// A reader that lost its place looks for a frame's beginning among bytes that clients chose. Without a secret a client
/// could send bytes that read as a frame and wait for a damaged sector; with it, 64 bits have to be guessed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) marker: [u8; 4],
    pub(crate) salt: u32,
}

impl Seal {
    pub(crate) fn draw() -> Self {
        // The standard library's hash keys come from the operating system's generator; a crate for 8 bytes is spared.
        let random = RandomState::new().hash_one("seal").to_le_bytes();
        let [m0, m1, m2, m3, s0, s1, s2, s3] = random;
        Self {
            // No ASCII in the marker: a search through JSON then never stops for a false candidate.
            marker: [m0, m1, m2, m3].map(|byte| byte | 0x80),
            salt: u32::from_le_bytes([s0, s1, s2, s3]),
        }
    }

    fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.salt, bytes)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

/// What stands before a payload, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) payload_bytes: usize,
    pub(crate) kind: u8,
    pub(crate) sequence: u32,
    pub(crate) exchange: ExchangeId,
    payload_checksum: u32,
}

impl FrameHead {
    /// `None` where `bytes` do not begin with an intact head.
    pub(crate) fn parse(seal: Seal, bytes: &[u8]) -> Option<Self> {
        let head: &[u8; FRAME_HEAD_BYTES] = bytes.first_chunk()?;
        if head[..4] != seal.marker || seal.checksum(&head[..36]) != u32_at(head, 36) {
            return None;
        }
        let payload_bytes = usize::try_from(u32_at(head, 4)).ok()?;
        let exchange = ExchangeId(*head[16..].first_chunk()?);
        (payload_bytes <= PAYLOAD_BYTES_MAX).then_some(Self {
            payload_bytes,
            kind: head[8],
            sequence: u32_at(head, 12),
            exchange,
            payload_checksum: u32_at(head, 32),
        })
    }

    pub(crate) fn frame_bytes(&self) -> usize {
        FRAME_HEAD_BYTES + self.payload_bytes
    }

    pub(crate) fn agrees_with(&self, seal: Seal, payload: &[u8]) -> bool {
        payload.len() == self.payload_bytes && seal.checksum(payload) == self.payload_checksum
    }
}

/// Appends one frame to `out`. The payload is at most [`PAYLOAD_BYTES_MAX`] long.
pub(crate) fn put(out: &mut Vec<u8>, seal: Seal, kind: u8, exchange: ExchangeId, sequence: u32, payload: &[u8]) {
    assert!(payload.len() <= PAYLOAD_BYTES_MAX, "callers split what is longer");
    let mut head = [0; FRAME_HEAD_BYTES];
    head[..4].copy_from_slice(&seal.marker);
    head[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[8] = kind;
    head[12..16].copy_from_slice(&sequence.to_le_bytes());
    head[16..32].copy_from_slice(&exchange.0);
    head[32..36].copy_from_slice(&seal.checksum(payload).to_le_bytes());
    let checksum = seal.checksum(&head[..36]);
    head[36..].copy_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
}

/// The little-endian number at `at`, which the caller knows to be inside.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_has_no_ascii_and_seals_differ() {
        let seals: Vec<Seal> = (0..64).map(|_| Seal::draw()).collect();
        assert!(seals.iter().all(|seal| seal.marker.iter().all(|byte| !byte.is_ascii())));
        assert!(seals.windows(2).all(|two| two[0] != two[1]));
        // Seven bits of each byte are drawn: 64 markers that were all alike in one would not be.
        let seen = |bits: fn(u8, u8) -> u8, from: u8| seals.iter().fold(from, |all, seal| bits(all, seal.marker[0]));
        assert_eq!((seen(|a, b| a | b, 0), seen(|a, b| a & b, 0xff)), (0xff, 0x80));
    }
}
