//! A request on its way to a server: its head rewritten, its body framed, and so much of it kept as a second attempt on
//! a fresh connection needs.

use std::future::poll_fn;
use std::io::Write as _;
use std::task::Poll;

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use tokio::io::AsyncWriteExt;

use super::connection::Connection;
use super::scratch::{self, Filled};
use crate::carrier::head::{asks_for_websocket, content_length, expects_continue};
use crate::error::Refusal;
use crate::exchange::Exchange;

/// Of a body that is passed on as it comes, so much is kept for a second attempt. What is announced to be longer gets
/// a fresh connection at once: next to reading such a prompt, connecting costs nothing.
const KEPT_BYTES_MAX: usize = 64 * 1024;

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
    /// `wire` no longer holds all of the body.
    overflown: bool,
    fresh_connection: bool,
    /// The client was told to go on, so the server need not be asked.
    continued: bool,
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
    EarlyAnswer(Filled),
}

pub(super) enum SendError {
    Upstream,
    ClientGone,
    Refused(Refusal),
}

impl Outgoing {
    pub(super) fn new(session: &ServerSession, body: Option<Bytes>) -> Self {
        let request = session.req_header();
        let length = content_length(request);
        let framing = match (&body, length) {
            (Some(body), _) => Framing::Length(body.len() as u64),
            _ if request.headers.contains_key(http::header::TRANSFER_ENCODING) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length),
            (None, None) => Framing::None,
        };
        let overflown = body.is_none() && length.is_some_and(|length| length > KEPT_BYTES_MAX as u64);
        Self {
            wire: Vec::new(),
            head_bytes: 0,
            framing,
            complete: body.is_some() || matches!(framing, Framing::None | Framing::Length(0)),
            whole: body,
            overflown,
            fresh_connection: overflown,
            continued: expects_continue(request),
        }
    }

    /// Whether all that was sent so far could be sent again, so that a connection from the pool will do.
    pub(super) fn is_replayable(&self) -> bool {
        !self.overflown && !self.fresh_connection
    }

    pub(super) fn needs_fresh_connection(&mut self) {
        self.fresh_connection = true;
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Puts the head for the exchange's current server before what there is of the body.
    pub(super) fn write_head(&mut self, session: &ServerSession, exchange: &Exchange) {
        let begun = self.wire.split_off(self.head_bytes);
        self.wire.clear();
        self.wire.reserve(1024);
        let request = session.req_header();
        let origin = exchange.origin(&request.headers, self.continued);
        let nominated = Nominated::of(&request.headers);
        let wire = &mut self.wire;
        wire.extend_from_slice(request.method.as_str().as_bytes());
        wire.push(b' ');
        exchange.write_target(wire);
        wire.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in request.case_header_iter() {
            let name = name.as_slice();
            if !is_hop_by_hop(name) && !origin.owns(name) && !nominated.contains(name) {
                line(wire, name, value.as_bytes());
            }
        }
        origin.each(|name, value| line(wire, name.as_bytes(), value));
        match self.framing {
            Framing::None => {}
            Framing::Length(length) => drop(write!(wire, "Content-Length: {length}\r\n")),
            Framing::Chunked => wire.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        if session.is_upgrade_req() && asks_for_websocket(request) {
            wire.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
        }
        wire.extend_from_slice(b"\r\n");
        self.head_bytes = wire.len();
        wire.extend_from_slice(&begun);
        if let Some(whole) = self.whole.take_if(|whole| whole.len() <= KEPT_BYTES_MAX) {
            wire.extend_from_slice(&whole);
        }
    }

    /// Sends head and body; what of the body is there already goes out with the head, in one send.
    pub(super) async fn send(
        &mut self,
        session: &mut ServerSession,
        connection: &mut Connection,
        exchange: &mut Exchange,
    ) -> Result<Sent, SendError> {
        while !self.complete && self.wire.len() < FIRST_SEND_BYTES {
            let Some(piece) = now(session.read_request_body()).await else {
                break;
            };
            self.take_piece(piece, exchange)?;
        }
        self.send_whole(connection).await.map_err(|_| SendError::Upstream)?;
        while !self.complete {
            self.forget_what_cannot_be_kept();
            let begin = self.wire.len();
            match next(session, connection).await {
                Next::Piece(piece) => self.take_piece(piece, exchange)?,
                Next::Answer(filled) if filled.bytes().is_empty() => return Err(SendError::Upstream),
                Next::Answer(filled) => return Ok(Sent::EarlyAnswer(filled)),
                Next::Upstream => return Err(SendError::Upstream),
            }
            connection
                .write_all(&self.wire[begin..])
                .await
                .map_err(|_| SendError::Upstream)?;
            connection.flush().await.map_err(|_| SendError::Upstream)?;
        }
        self.forget_what_cannot_be_kept();
        Ok(Sent::Whole)
    }

    /// All of it that is here, from the first byte.
    pub(super) async fn send_whole(&self, connection: &mut Connection) -> std::io::Result<()> {
        connection.write_all(&self.wire).await?;
        if let Some(whole) = &self.whole {
            connection.write_all(whole).await?;
        }
        connection.flush().await
    }

    /// Frames one piece of the body (`None`: its end) behind what there is.
    fn take_piece(
        &mut self,
        piece: pingora_core::Result<Option<Bytes>>,
        exchange: &mut Exchange,
    ) -> Result<(), SendError> {
        match piece.map_err(|_| SendError::ClientGone)? {
            Some(piece) => {
                exchange.request_chunk(piece.len()).map_err(SendError::Refused)?;
                self.framing.frame(&piece, &mut self.wire);
            }
            None => {
                self.complete = true;
                self.wire.extend_from_slice(self.framing.terminator());
            }
        }
        Ok(())
    }

    /// After a send: a body that outgrew its bound is not gathered any further.
    fn forget_what_cannot_be_kept(&mut self) {
        self.overflown |= self.wire.len() - self.head_bytes > KEPT_BYTES_MAX;
        if self.overflown {
            self.wire.clear();
            self.head_bytes = 0;
        }
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing
    }
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

enum Next {
    Piece(pingora_core::Result<Option<Bytes>>),
    Answer(Filled),
    Upstream,
}

/// Whichever is first: more of the body, or the beginning of an answer.
async fn next(session: &mut ServerSession, connection: &mut Connection) -> Next {
    tokio::select! {
        biased;
        read = poll_fn(|cx| scratch::poll_read(connection, cx)) => match read {
            Ok(filled) => Next::Answer(filled),
            Err(_) => Next::Upstream,
        },
        piece = session.read_request_body() => Next::Piece(piece),
    }
}

/// The future's result if it has one already.
async fn now<F: Future>(future: F) -> Option<F::Output> {
    tokio::pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn line(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    head.extend_from_slice(name);
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Headers that concern one connection, and the framing, which is ours to write.
pub(super) fn is_hop_by_hop(name: &[u8]) -> bool {
    let is = |hop: &str| name.eq_ignore_ascii_case(hop.as_bytes());
    match name.len() {
        2 => is("te"),
        7 => is("upgrade") || is("trailer"),
        10 => is("connection") || is("keep-alive"),
        14 => is("content-length"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        19 => is("proxy-authenticate") || is("proxy-authorization"),
        _ => false,
    }
}

/// Headers that `Connection` names: they go no further, unless a server's view of who asks depends on them.
struct Nominated<'a>(Vec<&'a [u8]>);

impl<'a> Nominated<'a> {
    fn of(headers: &'a http::HeaderMap) -> Self {
        let lines = headers.get_all(http::header::CONNECTION).into_iter();
        let names = lines
            .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii);
        Self(names.filter(|name| !is_plain_token(name)).collect())
    }

    fn contains(&self, name: &[u8]) -> bool {
        !self.0.is_empty() && !is_identity(name) && self.0.iter().any(|nominated| nominated.eq_ignore_ascii_case(name))
    }
}

/// What nearly every `Connection` line says; none of these is another header's name that matters.
fn is_plain_token(token: &[u8]) -> bool {
    [&b"keep-alive"[..], b"close", b"upgrade", b""]
        .iter()
        .any(|plain| token.eq_ignore_ascii_case(plain))
}

fn is_identity(name: &[u8]) -> bool {
    [
        "host",
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "content-type",
        "cookie",
    ]
    .iter()
    .any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()))
}
