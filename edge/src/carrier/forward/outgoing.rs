//! A request on its way to a server: its head rewritten, its body framed, and so much of it kept as a second attempt on
//! a fresh connection needs.

use std::future::poll_fn;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};

use super::client::Client;
use super::connection::Connection;
use super::hops::{Nominated, is_hop_by_hop};
use super::inbound::{self, BodyError, Inbound};
use super::kept::{Budget, LARGE_BYTES, Portion, SMALL_BYTES, STEP_BYTES};
use super::request::Request;
use super::scratch::{self, Filled};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::rewrite::KeyLines;
use crate::upstream::Http2;

/// One read of a body takes so much.
const PIECE_BYTES: usize = 64 * 1024;

/// A head, as a rule.
const HEAD_BYTES: usize = 1024;

/// The first send gathers so much of a body that is already here.
const FIRST_SEND_BYTES: usize = 16 * 1024;

pub(super) struct Outgoing {
    /// The head, then what of the body was sent so far (framed), unless that grew too long.
    wire: Vec<u8>,
    head_bytes: usize,
    framing: Framing,
    /// The body, where it was read before it is forwarded, and is too long to join the head.
    whole: Option<Bytes>,
    complete: bool,
    /// Of the body, so much may stay in `wire`.
    kept_bytes_max: usize,
    /// `wire` no longer holds all of the body.
    overflown: bool,
    fresh_connection: bool,
    /// Another server may get it: all of it is kept, as long as the budget has room.
    keeps_all: bool,
    budget: Arc<Budget>,
    portion: Option<Portion>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    Length(u64),
    Chunked,
}

pub(super) enum Sent {
    Whole,
    /// The server began to answer before it had everything.
    EarlyAnswer {
        first: Filled,
        upload: Upload,
    },
}

pub(super) enum SendError {
    Upstream,
    Body(BodyError),
    Refused(Refusal),
}

impl Outgoing {
    /// `body`: where it was read before it is forwarded.
    pub(super) fn new(request: &Request, body: Option<Bytes>, budget: &Arc<Budget>, keeps_all: bool) -> Self {
        let framing = match (&body, request.body.framing()) {
            (Some(body), _) => Framing::Length(body.len() as u64),
            (None, inbound::Framing::Chunked(_)) => Framing::Chunked,
            (None, inbound::Framing::Length(length)) => Framing::Length(*length),
            (None, inbound::Framing::None) => Framing::None,
        };
        let announced = match framing {
            Framing::Length(length) if body.is_none() => usize::try_from(length).unwrap_or(usize::MAX),
            _ => 0,
        };
        let portion = if announced > SMALL_BYTES && announced <= LARGE_BYTES {
            budget.take(announced)
        } else {
            None
        };
        let kept_bytes_max = portion.as_ref().map_or(SMALL_BYTES, |_| LARGE_BYTES);
        let is_long = announced > kept_bytes_max;
        let overflown = is_long && !keeps_all;
        Self {
            wire: Vec::with_capacity(HEAD_BYTES + if is_long { PIECE_BYTES } else { announced }),
            head_bytes: 0,
            framing,
            complete: body.is_some() || matches!(framing, Framing::None | Framing::Length(0)),
            whole: body,
            kept_bytes_max,
            overflown,
            fresh_connection: overflown,
            keeps_all,
            budget: budget.clone(),
            portion,
        }
    }

    /// Whether all that was sent so far could be sent again, so that a connection from the pool will do.
    pub(super) fn is_replayable(&self) -> bool {
        !self.overflown && !self.fresh_connection
    }

    /// Whether another server could get it from its first byte on.
    pub(super) fn can_move(&self) -> bool {
        !self.overflown
    }

    /// What was sent, head and body, where all of it is here.
    pub(super) fn sent(&self) -> Option<(&[u8], &[u8])> {
        let is_here = self.complete && !self.overflown && self.framing != Framing::Chunked;
        let (head, body) = self.wire.split_at_checked(self.head_bytes).filter(|_| is_here)?;
        Some((head, self.whole.as_deref().unwrap_or(body)))
    }

    pub(super) fn needs_fresh_connection(&mut self) {
        self.fresh_connection = true;
    }

    /// Puts the head for the exchange's current server before what there is of the body.
    pub(super) fn write_head(&mut self, request: &Request, exchange: &Exchange) {
        let begun = self.wire.split_off(self.head_bytes);
        self.wire.clear();
        // Who waited to be told to go on was told.
        let origin = exchange.origin(&request.headers, true);
        let lines = request.headers.get_all(http::header::CONNECTION).iter();
        let nominated = Nominated::of(lines.map(|line| line.as_bytes()));
        let wire = &mut self.wire;
        wire.extend_from_slice(request.method.as_str().as_bytes());
        wire.push(b' ');
        exchange.write_target(wire);
        wire.extend_from_slice(b" HTTP/1.1\r\n");
        let mut keys = KeyLines::default();
        for (name, value) in request.lines() {
            let stays = is_hop_by_hop(name) || origin.owns(name) || nominated.contains(name);
            if !stays && !keys.repeats(name, value) {
                line(wire, name, value);
            }
        }
        origin.each(|name, value| line(wire, name.as_bytes(), value));
        for (name, value) in origin.changes.each() {
            line(wire, name.as_str().as_bytes(), value.as_bytes());
        }
        match self.framing {
            Framing::None => {}
            Framing::Length(length) => drop(write!(wire, "Content-Length: {length}\r\n")),
            Framing::Chunked => wire.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        if request.terms.takes_trailers
            && exchange
                .current_server()
                .is_some_and(|server| server.http_2() != Http2::Never)
        {
            wire.extend_from_slice(b"Connection: TE\r\nTE: trailers\r\n");
        }
        if request.wants_websocket {
            wire.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
        }
        wire.extend_from_slice(b"\r\n");
        self.head_bytes = wire.len();
        wire.extend_from_slice(&begun);
        if let Some(whole) = self.whole.take_if(|whole| whole.len() <= SMALL_BYTES) {
            wire.extend_from_slice(&whole);
        }
    }

    /// Sends head and body; what of the body is there already goes out with the head, in one send.
    pub(super) async fn send(
        &mut self,
        client: &mut Client,
        body: &mut Inbound,
        connection: &mut Connection,
        exchange: &mut Exchange,
    ) -> Result<Sent, SendError> {
        self.take_unread(client, body, exchange)?;
        while !self.complete && self.wire.len() < FIRST_SEND_BYTES {
            let read = poll_fn(|cx| match self.poll_more(client, body, exchange, cx) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => Poll::Ready(None),
            });
            match read.await {
                Some(read) => read?,
                None => break,
            }
        }
        if exchange.request_ready().is_err() {
            return Err(SendError::Refused(exchange.not_kept()));
        }
        if let Some(early) = self.push(0, connection).await? {
            return Ok(early);
        }
        while !self.complete {
            self.forget_what_cannot_be_kept();
            let begin = self.wire.len();
            // Whichever is first: more of the body, or the beginning of an answer.
            let next = poll_fn(|cx| {
                if let Poll::Ready(read) = scratch::poll_read(connection, cx) {
                    return Poll::Ready(read.map(Some).map_err(|_| SendError::Upstream));
                }
                if let Poll::Ready(read) = self.poll_more(client, body, exchange, cx) {
                    return Poll::Ready(read.map(|()| None));
                }
                body.poll_too_slow(cx).map(|error| Err(SendError::Body(error)))
            });
            match next.await? {
                None => {}
                Some(first) if first.bytes().is_empty() => return Err(SendError::Upstream),
                Some(first) => return Ok(self.early(first, Vec::new())),
            }
            let pushed_at = Instant::now();
            if exchange.request_ready().is_err() {
                return Err(SendError::Refused(exchange.not_kept()));
            }
            if let Some(early) = self.push(begin, connection).await? {
                return Ok(early);
            }
            body.was_not_read_since(pushed_at);
        }
        self.forget_what_cannot_be_kept();
        Ok(Sent::Whole)
    }

    /// Sends what is here from `begin` on, unless the server answers before it has taken that.
    async fn push(&mut self, begin: usize, connection: &mut Connection) -> Result<Option<Sent>, SendError> {
        let whole = self.whole.as_deref().filter(|_| begin == 0).unwrap_or_default();
        for (at, part) in [(0, &self.wire[begin..]), (1, whole)] {
            let (sent, first) = write_or_read(connection, part).await.map_err(|_| SendError::Upstream)?;
            let Some(first) = first else {
                continue;
            };
            if first.bytes().is_empty() {
                return Err(SendError::Upstream);
            }
            let mut unsent = part[sent..].to_vec();
            if at == 0 {
                unsent.extend_from_slice(whole);
            }
            return Ok(Some(self.early(first, unsent)));
        }
        connection.flush().await.map_err(|_| SendError::Upstream)?;
        Ok(None)
    }

    fn early(&self, first: Filled, unsent: Vec<u8>) -> Sent {
        let upload = Upload {
            framing: self.framing,
            unsent,
            sent: 0,
            complete: self.complete,
        };
        Sent::EarlyAnswer { first, upload }
    }

    /// All of it that is here, from the first byte.
    pub(super) async fn send_whole(&self, connection: &mut Connection) -> std::io::Result<()> {
        connection.write_all(&self.wire).await?;
        if let Some(whole) = &self.whole {
            connection.write_all(whole).await?;
        }
        connection.flush().await
    }

    /// One read of the body. Where its length is known, the bytes go straight to their place.
    fn poll_more(
        &mut self,
        client: &mut Client,
        body: &mut Inbound,
        exchange: &mut Exchange,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        let gone = |_| SendError::Body(BodyError::ClientGone);
        let bytes = if let inbound::Framing::Length(left) = *body.framing() {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let bytes = ready!(client.poll_read_into(&mut self.wire, room, cx)).map_err(gone)?;
            let payload = &self.wire[self.wire.len() - bytes..];
            exchange.request_chunk(payload).map_err(SendError::Refused)?;
            self.note(body.advance(bytes));
            bytes
        } else {
            let filled = ready!(client.poll_read(cx)).map_err(gone)?;
            let taken = self.frame(filled.bytes(), body, exchange)?;
            client.keep_unread(&filled.bytes()[taken..]);
            filled.bytes().len()
        };
        Poll::Ready(if bytes == 0 {
            Err(SendError::Body(BodyError::ClientGone))
        } else {
            Ok(())
        })
    }

    fn take_unread(
        &mut self,
        client: &mut Client,
        body: &mut Inbound,
        exchange: &mut Exchange,
    ) -> Result<(), SendError> {
        if !self.complete && !client.unread.is_empty() {
            let taken = self.frame(&client.unread, body, exchange)?;
            client.has_read(taken);
        }
        Ok(())
    }

    /// How many of the bytes were the body's.
    fn frame(&mut self, bytes: &[u8], body: &mut Inbound, exchange: &mut Exchange) -> Result<usize, SendError> {
        let mut within_bounds = Ok(());
        let taken = body
            .feed(bytes, |piece| {
                within_bounds = within_bounds.and_then(|()| exchange.request_chunk(piece));
                self.framing.frame(piece, &mut self.wire);
            })
            .map_err(SendError::Body)?;
        within_bounds.map_err(SendError::Refused)?;
        self.note(body.is_done());
        Ok(taken)
    }

    fn note(&mut self, is_done: bool) {
        if is_done {
            self.complete = true;
            self.wire.extend_from_slice(self.framing.terminator());
        }
    }

    /// After a send: a body that outgrew its bound is not gathered any further.
    fn forget_what_cannot_be_kept(&mut self) {
        let kept_bytes = self.wire.len() - self.head_bytes;
        if self.keeps_all && !self.overflown {
            self.overflown = kept_bytes > SMALL_BYTES && !self.has_room();
        } else if kept_bytes > self.kept_bytes_max && self.portion.is_none() && !self.overflown {
            // Its length was not announced: it turned out to be one of the larger ones.
            self.portion = self.budget.take(LARGE_BYTES);
            self.kept_bytes_max = self.portion.as_ref().map_or(SMALL_BYTES, |_| LARGE_BYTES);
        }
        self.overflown |= !self.keeps_all && kept_bytes > self.kept_bytes_max;
        if self.overflown {
            self.wire.clear();
            self.wire.shrink_to(HEAD_BYTES + PIECE_BYTES);
            self.head_bytes = 0;
            self.portion = None;
        }
    }

    /// What is taken of the budget is what the memory takes, in steps.
    fn has_room(&mut self) -> bool {
        let bytes = self.wire.capacity().next_multiple_of(STEP_BYTES);
        match &mut self.portion {
            Some(portion) => portion.grow_to(bytes),
            None => {
                self.portion = self.budget.take(bytes);
                self.portion.is_some()
            }
        }
    }
}

/// What is left to send of a request that is being answered.
pub(super) struct Upload {
    pub(super) framing: Framing,
    pub(super) unsent: Vec<u8>,
    /// Of `unsent`.
    pub(super) sent: usize,
    /// The client has nothing more to send.
    pub(super) complete: bool,
}

impl Framing {
    /// One piece of a body as it goes over the wire.
    pub(super) fn frame(self, piece: &[u8], wire: &mut Vec<u8>) {
        if self != Self::Chunked {
            wire.extend_from_slice(piece);
        } else if !piece.is_empty() {
            let _ = write!(wire, "{:x}\r\n", piece.len());
            wire.extend_from_slice(piece);
            wire.extend_from_slice(b"\r\n");
        }
    }

    /// What stands after the last piece.
    pub(super) fn terminator(self) -> &'static [u8] {
        if self == Self::Chunked { b"0\r\n\r\n" } else { b"" }
    }
}

/// Writes all of `bytes`, unless something can be read while they cannot be written. Returns how many were written.
///
/// A server that answers without reading any further would otherwise wait for us as we for it.
async fn write_or_read(connection: &mut Connection, bytes: &[u8]) -> std::io::Result<(usize, Option<Filled>)> {
    let mut sent = 0;
    poll_fn(|cx| {
        while sent < bytes.len() {
            match Pin::new(&mut *connection).poll_write(cx, &bytes[sent..])? {
                Poll::Ready(0) => return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                Poll::Ready(written) => sent += written,
                Poll::Pending => return scratch::poll_read(connection, cx).map_ok(|first| (sent, Some(first))),
            }
        }
        Poll::Ready(Ok((sent, None)))
    })
    .await
}

fn line(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    head.extend_from_slice(name);
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}
