//! What one append writes: frames, encoded outside any lock. Owns the splitting of long payloads.

use std::fmt;

use crate::frame::{self, PAYLOAD_BYTES_MAX, Seal};
use crate::record::{Exchange, Kind};

/// Frames that are written by one call. Made by [`crate::Writer::batch`], reused after [`Batch::clear`].
pub struct Batch {
    pub(crate) seal: Seal,
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: u64,
}

impl Batch {
    pub(crate) fn new(seal: Seal) -> Self {
        Self {
            seal,
            bytes: Vec::new(),
            frames: 0,
        }
    }

    /// Adds a record of `exchange`: one frame, or several where the payload is longer than [`PAYLOAD_BYTES_MAX`].
    pub fn push(&mut self, exchange: &mut Exchange, kind: Kind, payload: &[u8]) {
        let (first, rest) = payload.split_at(payload.len().min(PAYLOAD_BYTES_MAX));
        self.push_frame(exchange, kind, first);
        for part in rest.chunks(PAYLOAD_BYTES_MAX) {
            self.push_frame(exchange, kind, part);
        }
    }

    fn push_frame(&mut self, exchange: &mut Exchange, kind: Kind, part: &[u8]) {
        let sequence = exchange.next_sequence;
        frame::put(&mut self.bytes, self.seal, kind.number(), exchange.id, sequence, part);
        exchange.next_sequence = sequence.wrapping_add(1);
        self.frames += 1;
    }

    /// What an append of this writes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many frames there are: as many as records, but for those with long payloads.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Empties the batch; its memory stays for the next, unless a long payload made it large.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(2 * PAYLOAD_BYTES_MAX);
        self.frames = 0;
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch {{ frames: {}, bytes: {} }}", self.frames, self.bytes.len())
    }
}
