//! What a journal holds: records of exchanges, by kind. Owns the numbers that stand for kinds in the file; a number
//! once given is never given again. Payloads are opaque here, and no `Debug` shows one.

use std::fmt;

/// What a record says about its exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Begun,
    RequestBytes,
    ResponseHead,
    ResponseBytes,
    Ended,
}

impl Kind {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Begun => 1,
            Self::RequestBytes => 2,
            Self::ResponseHead => 3,
            Self::ResponseBytes => 4,
            Self::Ended => 5,
        }
    }

    /// `None` is a kind that a later release writes: readers skip and count it.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Begun),
            2 => Some(Self::RequestBytes),
            3 => Some(Self::ResponseHead),
            4 => Some(Self::ResponseBytes),
            5 => Some(Self::Ended),
            _ => None,
        }
    }
}

/// An exchange's name: a UUIDv7 in its 16 bytes, made by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub [u8; 16]);

/// An exchange as its writer sees it: its name, and the number that its next frame gets.
///
/// Each frame of an exchange is numbered from 0 without a hole. A batch that was lost has used its numbers up, so whoever
/// assembles an exchange sees what is missing whatever the cause; a frame that is there twice, because a batch was
/// written in part and then again, has the same number twice.
#[derive(Debug)]
pub struct Exchange {
    pub(crate) id: ExchangeId,
    pub(crate) next_sequence: u32,
}

impl Exchange {
    pub fn new(id: ExchangeId) -> Self {
        Self { id, next_sequence: 0 }
    }

    pub fn id(&self) -> ExchangeId {
        self.id
    }
}

/// One frame as it was read. `payload` is at most [`crate::PAYLOAD_BYTES_MAX`] long: what was longer comes as several
/// records of the same kind with ascending sequence.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    pub kind: Kind,
    pub exchange: ExchangeId,
    pub sequence: u32,
    pub payload: &'a [u8],
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("kind", &self.kind)
            .field("exchange", &self.exchange)
            .field("sequence", &self.sequence)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}
