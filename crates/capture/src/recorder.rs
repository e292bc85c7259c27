//! One exchange as it is being kept. Owns the order: nothing is appended before the beginning, nothing after the end.
//!
//! What is told is gathered; [`Recorder::flush`] appends it, and is called before the bytes it speaks of reach a client.
//! [`Recorder::hand_in`] leaves it to the next append of whoever's, and is for what no client sees (a request on its way to
//! a server), and for who can wait a moment before it flushes (others' answers then go in the same append). One append is
//! what a small exchange comes to, or its part of one.
//!
//! Invariant: where the beginning could not be kept, nothing of the exchange is.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use journal::{Appended, Exchange, ExchangeId, Fate, Kind, LossPolicy, Reason, Ticket};

use crate::entry::{Begun, Ended, Outcome, ResponseHead};
use crate::ledger::{Ledger, Scratch};
use crate::terms::{Mode, Terms};

/// Of what has been told and not flushed, so much is gathered: a body that was read whole is appended piece by piece.
const GATHERED_BYTES_MAX: usize = 256 * 1024;

/// Dropped without an end, it leaves an end as interrupted: its process lives, so nobody would ever infer it.
pub struct Recorder {
    ledger: Arc<Ledger>,
    exchange: Exchange,
    terms: Terms,
    started: Instant,
    gathered: Option<Box<Scratch>>,
    /// When what is gathered began to be told, in microseconds since `started`: what goes in one append was told at one moment.
    moment_us: Option<u64>,
    handed: Option<Handed>,
    request: Passed,
    response: Passed,
    standing: Standing,
}

/// What was handed in, while nobody has asked what became of it.
struct Handed {
    ticket: Ticket,
    /// The exchange's beginning is among it.
    begins: bool,
}

/// A body so far.
#[derive(Default)]
struct Passed {
    bytes: u64,
    kept_bytes: u64,
    cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its beginning has been told, and neither been appended nor handed in.
    Beginning,
    Open,
    Ended,
    /// Nothing more of it is kept.
    Forgone,
}

/// What was told is not in the journal, and the terms say that nothing may go on without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotKept {
    pub reason: Reason,
}

/// How an exchange ended, as its plane knows it.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    pub outcome: Outcome<'a>,
    pub status: Option<u16>,
    pub server: Option<&'a str>,
    pub attempts: u32,
}

impl Recorder {
    /// `started` is the moment that `begun` tells the wall clock's time of.
    pub fn begin(ledger: &Arc<Ledger>, id: ExchangeId, begun: &Begun<'_>, terms: Terms, started: Instant) -> Self {
        let mut recorder = Self {
            ledger: Arc::clone(ledger),
            exchange: Exchange::new(id),
            terms,
            started,
            gathered: None,
            moment_us: None,
            handed: None,
            request: Passed::default(),
            response: Passed::default(),
            standing: Standing::Beginning,
        };
        let begun = Begun {
            mode: terms.mode,
            ..begun.clone()
        };
        recorder.entry(Kind::Begun, |out| begun.encode(out));
        recorder
    }

    pub fn id(&self) -> ExchangeId {
        self.exchange.id()
    }

    /// From here on only how it ends is kept: it turned into something that has no bodies.
    pub fn only_metadata(&mut self) {
        self.terms.mode = Mode::Metadata;
    }

    pub fn request_bytes(&mut self, bytes: &[u8]) {
        let keep = self.request.take(bytes, &self.terms);
        self.body(Kind::RequestBytes, &bytes[keep]);
    }

    /// The request is sent once more, from its first byte on: what is kept of it already is not kept twice.
    pub fn request_restarts(&mut self) {
        self.request.bytes = 0;
    }

    /// `elapsed_us` of the head is filled in here.
    pub fn response_head(&mut self, head: &ResponseHead<'_>) {
        let elapsed_us = self.elapsed_us();
        self.entry(Kind::ResponseHead, |out| {
            ResponseHead { elapsed_us, ..*head }.encode(out)
        });
    }

    pub fn response_bytes(&mut self, bytes: &[u8]) {
        let keep = self.response.take(bytes, &self.terms);
        self.body(Kind::ResponseBytes, &bytes[keep]);
    }

    /// Bytes that passed and are not kept, in each direction.
    pub fn count(&mut self, request_bytes: u64, response_bytes: u64) {
        self.request.bytes += request_bytes;
        self.response.bytes += response_bytes;
    }

    /// Tells the end; it is appended with what was gathered before. Only the first one counts.
    pub fn end(&mut self, end: &End<'_>) {
        if self.standing == Standing::Ended {
            return;
        }
        let ended = Ended {
            elapsed_us: self.elapsed_us(),
            outcome: end.outcome,
            status: end.status,
            server: end.server,
            attempts: end.attempts,
            request_bytes: self.request.bytes,
            response_bytes: self.response.bytes,
            cut_request: self.request.cut,
            cut_response: self.response.cut,
        };
        self.entry(Kind::Ended, |out| ended.encode(out));
        if self.standing != Standing::Forgone {
            self.standing = Standing::Ended;
        }
    }

    /// Leaves what was told to the next append, whoever's that is: at the latest that of the journal's own thread, a tenth of
    /// a second later. Where the terms are to refuse, it is appended. True: [`Recorder::flush`] has something left to do.
    ///
    /// # Errors
    /// As [`Recorder::flush`].
    pub fn hand_in(&mut self) -> Result<bool, NotKept> {
        if self.terms.loss == LossPolicy::Drop
            && let Some(mut scratch) = self.wanted()
        {
            scratch.finish_piece(&mut self.exchange);
            match self.ledger.hand_in(&scratch.batch) {
                None => self.gathered = Some(scratch),
                Some(ticket) => {
                    self.handed_in(ticket);
                    self.ledger.give_back(scratch);
                    return Ok(true);
                }
            }
        }
        self.flush().map(|()| false)
    }

    /// Appends what was told, and sees to it that what was handed in is appended. Where it fails, what was told stays, and
    /// calling again tries again.
    ///
    /// # Errors
    /// Where the terms are to refuse, and the journal does not take it.
    pub fn flush(&mut self) -> Result<(), NotKept> {
        let Some(mut scratch) = self.wanted() else {
            if let Some(handed) = &self.handed {
                let _told_by_the_ticket = self.ledger.settle(&handed.ticket);
                self.learn();
            }
            return Ok(());
        };
        scratch.finish_piece(&mut self.exchange);
        match self.ledger.append(&scratch.batch, self.terms.loss) {
            Err(refused) => {
                self.gathered = Some(scratch);
                return Err(NotKept { reason: refused.reason });
            }
            Ok(Appended::Dropped(reason)) if self.standing == Standing::Beginning && reason != Reason::Unsynced => {
                self.standing = Standing::Forgone;
            }
            Ok(_) if self.standing == Standing::Beginning => self.standing = Standing::Open,
            Ok(_) => {}
        }
        self.ledger.give_back(scratch);
        self.learn();
        Ok(())
    }

    fn elapsed_us(&mut self) -> u64 {
        let started = self.started;
        *self.moment_us.get_or_insert_with(|| micros_since(started))
    }

    /// What was gathered, unless by now the beginning is known to be lost.
    fn wanted(&mut self) -> Option<Box<Scratch>> {
        self.learn();
        self.moment_us = None;
        let mut scratch = self.gathered.take()?;
        if self.standing != Standing::Forgone {
            return Some(scratch);
        }
        scratch.finish_piece(&mut self.exchange);
        self.ledger.forgo(scratch.batch.frames());
        self.ledger.give_back(scratch);
        None
    }

    fn handed_in(&mut self, ticket: Ticket) {
        let at_stake = self.handed.take().is_some_and(|before| before.begins);
        let begins = at_stake || self.standing == Standing::Beginning;
        if self.standing == Standing::Beginning {
            self.standing = Standing::Open;
        }
        self.handed = Some(Handed { ticket, begins });
    }

    /// What became of what was handed in.
    fn learn(&mut self) {
        let Some(handed) = &self.handed else { return };
        match handed.ticket.fate() {
            Fate::Waiting => return,
            Fate::Written => {}
            Fate::Lost => {
                self.ledger.failed();
                if handed.begins {
                    self.standing = Standing::Forgone;
                }
            }
        }
        self.handed = None;
    }

    /// It never was, unless its beginning has been kept: then its end is still to be told.
    pub fn abandon(&mut self) {
        if self.standing != Standing::Beginning {
            return;
        }
        self.standing = Standing::Forgone;
        if let Some(scratch) = self.gathered.take() {
            self.ledger.give_back(scratch);
        }
    }

    fn body(&mut self, kind: Kind, bytes: &[u8]) {
        if bytes.is_empty() || !self.takes() {
            return;
        }
        for piece in bytes.chunks(GATHERED_BYTES_MAX) {
            let elapsed_us = self.elapsed_us();
            let scratch = self.gathered.get_or_insert_with(|| self.ledger.scratch());
            scratch.bytes(&mut self.exchange, kind, piece, elapsed_us);
            if scratch.batch.bytes() >= GATHERED_BYTES_MAX {
                // Where this fails, the flush before the bytes are passed on tries again, and says so.
                let _tried_again = self.flush();
            }
            if self.standing == Standing::Forgone {
                return;
            }
        }
    }

    fn entry(&mut self, kind: Kind, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.takes() {
            let scratch = self.gathered.get_or_insert_with(|| self.ledger.scratch());
            scratch.entry(&mut self.exchange, kind, encode);
        }
    }

    fn takes(&self) -> bool {
        match self.standing {
            Standing::Beginning | Standing::Open => true,
            Standing::Forgone => {
                self.ledger.forgo(1);
                false
            }
            Standing::Ended => false,
        }
    }
}

impl Passed {
    /// Counts the bytes; says which of them are to be kept.
    fn take(&mut self, bytes: &[u8], terms: &Terms) -> std::ops::Range<usize> {
        let from = self.bytes;
        self.bytes += bytes.len() as u64;
        if terms.mode == Mode::Metadata {
            return 0..0;
        }
        self.cut |= self.bytes > terms.body_bytes_max;
        let until = self.bytes.min(terms.body_bytes_max);
        let first = self.kept_bytes.max(from);
        if first >= until {
            return 0..0;
        }
        self.kept_bytes = until;
        // Both are within `bytes`, whose length is a `usize`.
        (first - from) as usize..(until - from) as usize
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        match self.standing {
            Standing::Beginning => self.abandon(),
            Standing::Open => self.end(&End::of(Outcome::Interrupted)),
            Standing::Ended | Standing::Forgone => {}
        }
        // Nobody is left to be refused.
        self.terms.loss = LossPolicy::Drop;
        let _nobody = self.flush();
    }
}

impl<'a> End<'a> {
    /// Of an exchange that no server answered.
    pub fn of(outcome: Outcome<'a>) -> Self {
        Self {
            outcome,
            status: None,
            server: None,
            attempts: 0,
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("exchange", &self.exchange.id())
            .field("standing", &self.standing)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the exchange is to be kept, and the journal does not take it: {}",
            self.reason
        )
    }
}

impl std::error::Error for NotKept {}

fn micros_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}
