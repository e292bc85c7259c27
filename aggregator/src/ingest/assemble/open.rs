//! One exchange while its end has not come. Owns the order of its records: each counts once, and a missing one leaves a
//! hole in both bodies, for nobody knows whose it was.

use std::time::Instant;

use capture::Entry;
use journal::{Cursor, ExchangeId, Kind};

use super::Placed;
use crate::ingest::parse::Body;

/// What an exchange comes to.
#[derive(Debug)]
pub(in crate::ingest) struct Assembled {
    pub(in crate::ingest) id: ExchangeId,
    /// Payloads as the journal holds them; absent where they were lost, or never came.
    pub(in crate::ingest) begun: Option<Box<[u8]>>,
    pub(in crate::ingest) head: Option<Box<[u8]>>,
    pub(in crate::ingest) ended: Option<Box<[u8]>>,
    pub(in crate::ingest) request: Body,
    pub(in crate::ingest) response: Body,
    /// When the last record came, since the beginning.
    pub(in crate::ingest) last_us: u64,
    pub(in crate::ingest) is_lossy: bool,
}

/// Behind all of a journal: what is parked needs nothing of it.
const NOTHING: Cursor = Cursor {
    segment: u64::MAX,
    offset: u64::MAX,
};

/// What of an exchange is parked, or about to be.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) next_sequence: u32,
    pub(super) last_us: u64,
    pub(super) is_lossy: bool,
    pub(super) begun: Option<Box<[u8]>>,
    pub(super) head: Option<Box<[u8]>>,
    pub(super) request: Body,
    pub(super) response: Body,
}

pub(super) struct Open {
    needs_from: Cursor,
    heard_at: Instant,
    /// Records are known to be lost since it began, perhaps its own.
    is_shaken: bool,
    ended: Option<Box<[u8]>>,
    /// In memory: all of it, or what came since it was parked.
    part: Part,
    /// Bytes of its bodies in the lot.
    parked: Option<[usize; 2]>,
}

impl Open {
    pub(super) fn at(from: Cursor) -> Self {
        Self {
            needs_from: from,
            heard_at: Instant::now(),
            is_shaken: false,
            ended: None,
            part: Part::default(),
            parked: None,
        }
    }

    /// As it was parked, by its last part; nothing of the journal is needed but what comes.
    pub(super) fn parked(last: Part, body_bytes: [usize; 2]) -> Self {
        Self {
            part: Part {
                request: Body::default(),
                response: Body::default(),
                ..last
            },
            parked: Some(body_bytes),
            ..Self::at(NOTHING)
        }
    }

    /// Whether it ends here.
    pub(super) fn take(&mut self, record: &Placed<'_>, body_bytes_max: usize) -> bool {
        if record.sequence < self.part.next_sequence {
            return false; // Read before, or written twice.
        }
        self.heard_at = Instant::now();
        if self.needs_from == NOTHING {
            self.needs_from = record.from;
        }
        if record.sequence > self.part.next_sequence {
            self.mark_lossy();
            self.part.request.hole();
            self.part.response.hole();
        }
        self.part.next_sequence = record.sequence.saturating_add(1);
        let Ok(entry) = capture::decode(record.kind, record.payload) else {
            self.mark_lossy();
            self.part.request.hole();
            self.part.response.hole();
            // An end that cannot be read is one all the same.
            return record.kind == Kind::Ended;
        };
        let [parked_request, parked_response] = self.parked.unwrap_or_default();
        match entry {
            Entry::Begun(_) => self.part.begun = Some(record.payload.into()),
            Entry::ResponseHead(head) => {
                self.part.last_us = head.elapsed_us;
                self.part.head = Some(record.payload.into());
            }
            Entry::RequestBytes(piece) => {
                let room = body_bytes_max.saturating_sub(parked_request);
                self.part.request.push(piece.elapsed_us, piece.bytes, room);
                self.part.last_us = piece.elapsed_us;
            }
            Entry::ResponseBytes(piece) => {
                let room = body_bytes_max.saturating_sub(parked_response);
                self.part.response.push(piece.elapsed_us, piece.bytes, room);
                self.part.last_us = piece.elapsed_us;
            }
            Entry::Ended(ended) => {
                self.part.last_us = ended.elapsed_us;
                self.ended = Some(record.payload.into());
                return true;
            }
        }
        false
    }

    pub(super) fn needs_from(&self) -> Cursor {
        self.needs_from
    }

    pub(super) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    pub(super) fn is_shaken(&self) -> bool {
        self.is_shaken || self.part.is_lossy
    }

    pub(super) fn mark_shaken(&mut self) {
        self.is_shaken = true;
    }

    pub(super) fn mark_lossy(&mut self) {
        self.part.is_lossy = true;
    }

    pub(super) fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    pub(super) fn part(&self) -> &Part {
        &self.part
    }

    pub(super) fn held_bytes(&self) -> usize {
        let payload = |payload: &Option<Box<[u8]>>| payload.as_ref().map_or(0, |payload| payload.len());
        let part = &self.part;
        let bodies = part.request.held_bytes() + part.response.held_bytes();
        size_of::<Self>() + bodies + payload(&part.begun) + payload(&part.head)
    }

    /// What is in memory has been written to the lot; of the journal only what comes is needed.
    pub(super) fn parked_at(&mut self, now_at: Cursor) {
        let [request, response] = self.parked.unwrap_or_default();
        let part = &mut self.part;
        self.parked = Some([
            request + part.request.bytes().len(),
            response + part.response.bytes().len(),
        ]);
        (part.request, part.response) = (Body::default(), Body::default());
        self.needs_from = now_at;
    }

    /// Forgets the bodies in memory, and says so.
    pub(super) fn shed(&mut self) {
        for body in [&mut self.part.request, &mut self.part.response] {
            *body = Body::default();
            body.hole();
            body.mark_cut();
        }
        self.mark_lossy();
    }

    pub(super) fn assemble(self, id: ExchangeId, parked: Vec<Part>, body_bytes_max: usize) -> Assembled {
        let Part {
            last_us,
            is_lossy,
            begun,
            head,
            request,
            response,
            ..
        } = self.part;
        let is_endless = self.ended.is_none();
        let was_parked: usize = self.parked.iter().flatten().sum();
        let found: usize = parked
            .iter()
            .map(|part| part.request.bytes().len() + part.response.bytes().len())
            .sum();
        let mut bodies = [Body::default(), Body::default()];
        let [all_request, all_response] = &mut bodies;
        for part in &parked {
            all_request.append(&part.request, body_bytes_max);
            all_response.append(&part.response, body_bytes_max);
        }
        if found < was_parked {
            all_request.hole();
            all_response.hole();
        }
        if parked.is_empty() && was_parked == 0 {
            bodies = [request, response];
        } else {
            all_request.append(&request, body_bytes_max);
            all_response.append(&response, body_bytes_max);
        }
        let [request, response] = bodies;
        Assembled {
            id,
            begun,
            head,
            ended: self.ended,
            // Its end may be what was lost.
            is_lossy: is_lossy || found < was_parked || (self.is_shaken && is_endless),
            request,
            response,
            last_us,
        }
    }
}
