//! Bytes of an exchange as they passed: when each piece came, where something is missing, and a bound.

use std::fmt;

/// One direction's bytes. Invariant: the pieces and the holes lie within the bytes, in order.
#[derive(Default, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    /// Where each piece ends, and when it came.
    pieces: Vec<(usize, u64)>,
    /// Before these bytes others are missing.
    holes: Vec<usize>,
    cut: bool,
}

/// Bytes that came together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) elapsed_us: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) after_hole: bool,
}

impl Body {
    /// Appends what came at `elapsed_us` since the exchange began; what is beyond `bytes_max` is cut off and marked.
    pub(crate) fn push(&mut self, elapsed_us: u64, bytes: &[u8], bytes_max: usize) {
        let room = bytes_max.saturating_sub(self.bytes.len());
        let kept = &bytes[..bytes.len().min(room)];
        self.cut |= kept.len() < bytes.len();
        if kept.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(kept);
        self.pieces.push((self.bytes.len(), elapsed_us));
    }

    /// Something is missing here. At the beginning too: then the first bytes are.
    pub(crate) fn hole(&mut self) {
        if self.holes.last() != Some(&self.bytes.len()) {
            self.holes.push(self.bytes.len());
        }
    }

    /// The writer says that it did not keep all.
    pub(crate) fn mark_cut(&mut self) {
        self.cut = true;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// What came before anything was missing.
    pub(crate) fn before_hole(&self) -> &[u8] {
        &self.bytes[..self.holes.first().copied().unwrap_or(self.bytes.len())]
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut start = 0;
        let mut holes = self.holes.iter().copied().peekable();
        self.pieces.iter().map(move |&(end, elapsed_us)| {
            let mut after_hole = false;
            while holes.next_if(|hole| *hole <= start).is_some() {
                after_hole = true;
            }
            let bytes = &self.bytes[start..end];
            start = end;
            Piece {
                elapsed_us,
                bytes,
                after_hole,
            }
        })
    }

    /// Something is missing behind the last byte.
    pub(crate) fn ends_in_hole(&self) -> bool {
        self.holes.last() == Some(&self.bytes.len())
    }

    /// Appends what came after this.
    pub(crate) fn append(&mut self, later: &Self, bytes_max: usize) {
        for piece in later.pieces() {
            if piece.after_hole {
                self.hole();
            }
            self.push(piece.elapsed_us, piece.bytes, bytes_max);
        }
        if later.ends_in_hole() {
            self.hole();
        }
        self.cut |= later.cut;
    }

    /// What it costs to hold.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.pieces.capacity() * size_of::<(usize, u64)>()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes,
            pieces,
            holes,
            cut,
        } = self;
        let (bytes, pieces) = (bytes.len(), pieces.len());
        write!(
            f,
            "Body({bytes} bytes in {pieces} pieces, holes: {holes:?}, cut: {cut})"
        )
    }
}
