//! A loss that the writer knows of, told in the journal itself. Owns the payload of a mark's frame.

use crate::frame::{self, MARK, Seal, u64_at};
use crate::record::ExchangeId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Since the mark before this one, so much was not written.
    Dropped { records: u64, bytes: u64 },
    /// The disk reported that it could not keep these bytes.
    Unsynced { segment: u64, offset: u64, length: u64 },
}

impl Mark {
    pub(crate) fn put(&self, out: &mut Vec<u8>, seal: Seal) {
        let (form, numbers) = match *self {
            Self::Dropped { records, bytes } => (1, [records, bytes, 0]),
            Self::Unsynced {
                segment,
                offset,
                length,
            } => (2, [segment, offset, length]),
        };
        let mut payload = [0; 25];
        payload[0] = form;
        for (place, number) in payload[1..].as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        frame::put(out, seal, MARK, ExchangeId([0; 16]), 0, &payload);
    }

    /// `None` is a form that a later release writes.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let payload: &[u8; 25] = payload.first_chunk()?;
        let [a, b, c] = [1, 9, 17].map(|at| u64_at(payload, at));
        match payload[0] {
            1 => Some(Self::Dropped { records: a, bytes: b }),
            2 => Some(Self::Unsynced {
                segment: a,
                offset: b,
                length: c,
            }),
            _ => None,
        }
    }
}
