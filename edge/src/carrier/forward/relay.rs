//! A server's body on its way to the client, chunk by chunk.

use std::future::poll_fn;
use std::io::{self, Write as _};
use std::task::Poll;
use std::time::{Duration, Instant};

use dialect::openai::stream::HideUsage;

use super::client::Client;
use super::connection::Connection;
use super::lost::Lost;
use super::reply::{Form, Framing, Reply};
use super::scratch::{self, Filled};
use crate::exchange::Exchange;
use crate::response_facts::ResponseFacts;

/// Beyond this a read is worth its buffer while it is being kept.
const COPIED_BYTES_MAX: usize = 16 * 1024;

enum Event {
    Read(io::Result<Filled>),
    ClientGone,
    Timeout,
    Lost,
}

/// Passes the rest of an answer on.
pub(super) async fn relay(
    client: &mut Client,
    connection: &mut Connection,
    passage: &mut Passage,
    exchange: &mut Exchange,
    read_timeout: Option<Duration>,
    lost: &mut Option<Lost>,
) -> Result<(), PassError> {
    while !passage.ended {
        let event = match exchange.comforts_after() {
            None => next(client, connection, read_timeout, lost).await,
            // Boxed: only streams that are to be comforted need the room.
            Some(pause) => {
                let patience = (pause, read_timeout);
                Box::pin(next_with_comments(client, connection, passage, patience, lost)).await
            }
        };
        let filled = match event {
            Event::Read(Ok(filled)) => filled,
            Event::ClientGone => return Err(PassError::Client),
            Event::Read(Err(_)) | Event::Timeout | Event::Lost => return Err(PassError::Server),
        };
        passage.pass(filled, client, exchange).await?;
    }
    Ok(())
}

async fn next(
    client: &mut Client,
    connection: &mut Connection,
    read_timeout: Option<Duration>,
    lost: &mut Option<Lost>,
) -> Event {
    let event = poll_fn(|cx| {
        if let Poll::Ready(read) = scratch::poll_read(connection, cx) {
            return Poll::Ready(Event::Read(read));
        }
        if Lost::poll(lost, cx).is_ready() {
            return Poll::Ready(Event::Lost);
        }
        client.poll_gone(cx).map(|()| Event::ClientGone)
    });
    match read_timeout {
        None => event.await,
        // Boxed: a timer is larger than all else that a stream waits with, and most have none.
        Some(limit) => Box::pin(tokio::time::timeout(limit, event))
            .await
            .unwrap_or(Event::Timeout),
    }
}

/// The comment that tells a client, and whatever stands between, that a silent stream is still there. Every reader of
/// events passes it over.
const COMMENT: &str = ": keep-alive\n\n";

/// The same, with a comment to the client after each pause.
async fn next_with_comments(
    client: &mut Client,
    connection: &mut Connection,
    passage: &Passage,
    (pause, read_timeout): (Duration, Option<Duration>),
    lost: &mut Option<Lost>,
) -> Event {
    let silent_since = Instant::now();
    loop {
        let left = read_timeout.map(|limit| limit.saturating_sub(silent_since.elapsed()));
        let is_last = left.is_some_and(|left| left <= pause);
        let wait = left.map_or(pause, |left| left.min(pause));
        match next(client, connection, Some(wait), lost).await {
            Event::Timeout if !is_last => {}
            event => return event,
        }
        let Some(comment) = passage.aside(COMMENT) else {
            return next(client, connection, left.map(|left| left.saturating_sub(wait)), lost).await;
        };
        if client.send(comment.as_bytes()).await.is_err() {
            return Event::ClientGone;
        }
    }
}

/// An answer whose head has been sent.
pub(super) struct Passage {
    framing: Framing,
    form: Form,
    /// Where the form is shortened: what is left out.
    hide: Option<Box<HideUsage>>,
    pub(super) ended: bool,
    /// Another request may follow on the server's connection.
    pub(super) keeps_connection: bool,
}

/// How far one read brought us.
struct Taken {
    /// Of the read's bytes, so many belong to this answer.
    bytes: usize,
    /// Of those, so many are passed on where they pass as they came, and this behind them.
    shown: usize,
    closing: &'static [u8],
    ended: bool,
}

impl Taken {
    fn all(bytes: usize, ended: bool) -> Self {
        Self {
            bytes,
            shown: bytes,
            closing: b"",
            ended,
        }
    }
}

/// Why an answer broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassError {
    Client,
    /// The server cut its answer, or broke its framing.
    Server,
}

/// Why not even its head was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotBegun {
    Client,
    Server,
    /// It must be kept first, and was not.
    NotKept,
}

/// The server's framing is broken.
struct Broken;

impl Passage {
    /// The head leaves with what came of the body.
    pub(super) async fn begin(reply: Reply, client: &mut Client, exchange: &mut Exchange) -> Result<Self, NotBegun> {
        let Reply {
            status,
            head: mut out,
            framing,
            form,
            first,
            keeps_connection,
            ends_client,
        } = reply;
        let mut passage = Self {
            framing,
            form,
            hide: matches!(form, Form::Shortened { .. }).then(Box::default),
            ended: false,
            keeps_connection,
        };
        exchange.response_head(status, ResponseFacts::Wire(&out));
        let taken = passage.take(first.bytes(), &mut out, exchange).map_err(|Broken| {
            exchange.response_was_none();
            NotBegun::Server
        })?;
        passage.note(&taken, first.bytes().len());
        // Its buffer goes back before a slow client is waited for.
        drop(first);
        if exchange.response_in_turn(passage.ended).await.is_err()
            && Box::pin(exchange.wait_until_kept()).await.is_err()
        {
            exchange.response_was_none();
            return Err(NotBegun::NotKept);
        }
        client.terms.keep_alive &= !ends_client;
        client.send(&out).await.map_err(|_| NotBegun::Client)?;
        Ok(passage)
    }

    /// Sends what one read brought; nothing is the end of the server's connection. Where the bytes pass as they came,
    /// they are not copied first, unless they are few and are to be kept: then their buffer does not wait with them.
    pub(super) async fn pass(
        &mut self,
        filled: Filled,
        client: &mut Client,
        exchange: &mut Exchange,
    ) -> Result<(), PassError> {
        let bytes = filled.bytes();
        let count = bytes.len();
        if count == 0 {
            return self.server_closed(client, exchange).await;
        }
        let may_wait = exchange.is_kept() && count <= COPIED_BYTES_MAX;
        let taken = if self.form == Form::AsTheyCame && !may_wait {
            let taken = self.measure(bytes, exchange).map_err(|Broken| PassError::Server)?;
            keep(exchange, &taken).await?;
            client
                .send(&bytes[..taken.shown])
                .await
                .map_err(|_| PassError::Client)?;
            if !taken.closing.is_empty() {
                client.send(taken.closing).await.map_err(|_| PassError::Client)?;
            }
            taken
        } else {
            let mut out = Vec::with_capacity(count + 32);
            let taken = self
                .take(bytes, &mut out, exchange)
                .map_err(|Broken| PassError::Server)?;
            drop(filled);
            keep(exchange, &taken).await?;
            client.send(&out).await.map_err(|_| PassError::Client)?;
            taken
        };
        self.note(&taken, count);
        Ok(())
    }

    /// Puts an error event behind what was sent, where the client's framing has a place for it; the end stays missing.
    pub(super) async fn tell_error(&self, event: &str, client: &mut Client) {
        if let Some(framed) = self.aside(event) {
            // Who has gone misses nothing.
            let _ = client.send(framed.as_bytes()).await;
        }
    }

    /// Something of the edge's own between two events, in the client's framing; `None` where that has no place for it.
    fn aside(&self, text: &str) -> Option<String> {
        let chunk = || Some(format!("{:x}\r\n{text}\r\n", text.len()));
        match (&self.framing, self.form) {
            (Framing::Empty, _) => None,
            (_, Form::Chunked | Form::Shortened { chunked: true }) => chunk(),
            (Framing::Chunked(chunks), Form::AsTheyCame) if chunks.is_between() => chunk(),
            (_, Form::Shortened { chunked: false })
            | (Framing::Chunked(_), Form::Payload)
            | (Framing::UntilClose, _) => Some(text.to_owned()),
            _ => None,
        }
    }

    async fn server_closed(&mut self, client: &mut Client, exchange: &mut Exchange) -> Result<(), PassError> {
        if !matches!(self.framing, Framing::UntilClose) {
            return Err(PassError::Server);
        }
        let mut last = Vec::new();
        match self.form {
            Form::Chunked => last.extend_from_slice(b"0\r\n\r\n"),
            Form::Shortened { chunked } => self.show(Vec::new(), chunked, true, &mut last),
            Form::AsTheyCame | Form::Payload => {}
        }
        let taken = Taken::all(0, true);
        keep(exchange, &taken).await?;
        client.send(&last).await.map_err(|_| PassError::Client)?;
        (self.ended, self.keeps_connection) = (true, false);
        Ok(())
    }

    /// What a server says after its answer belongs to nobody: such a connection is not used again.
    fn note(&mut self, taken: &Taken, bytes: usize) {
        self.ended = taken.ended;
        self.keeps_connection &= taken.bytes == bytes;
    }

    /// Puts what one read brought into `out`, in the client's form.
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, exchange: &mut Exchange) -> Result<Taken, Broken> {
        match (&mut self.framing, self.form) {
            (Framing::Chunked(chunks), Form::Payload) => {
                let taken = chunks
                    .feed(bytes, |payload| {
                        exchange.response_chunk(payload);
                        out.extend_from_slice(payload);
                    })
                    .map_err(|_| Broken)?;
                Ok(Taken::all(taken, chunks.is_done()))
            }
            (Framing::UntilClose, Form::Chunked) if !bytes.is_empty() => {
                exchange.response_chunk(bytes);
                let _ = write!(out, "{:x}\r\n", bytes.len());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
                Ok(Taken::all(bytes.len(), false))
            }
            (_, Form::Shortened { chunked }) => {
                let (mut shown, mut hide) = (Vec::with_capacity(bytes.len()), self.hide.take());
                let taken = self.feed(bytes, |payload| {
                    exchange.response_chunk(payload);
                    if let Some(hide) = &mut hide {
                        hide.push(payload, &mut shown);
                    }
                });
                self.hide = hide;
                let taken = taken?;
                self.show(shown, chunked, taken.ended, out);
                Ok(taken)
            }
            _ => {
                let taken = self.measure(bytes, exchange)?;
                out.extend_from_slice(&bytes[..taken.shown]);
                out.extend_from_slice(taken.closing);
                Ok(taken)
            }
        }
    }

    /// Frames what is left of a shortened stream; nothing is no chunk, for an empty one would end it.
    fn show(&mut self, mut shown: Vec<u8>, chunked: bool, ended: bool, out: &mut Vec<u8>) {
        if let Some(hide) = self.hide.as_mut().filter(|_| ended) {
            hide.finish(&mut shown);
        }
        if !chunked {
            return out.append(&mut shown);
        }
        if !shown.is_empty() {
            let _ = write!(out, "{:x}\r\n", shown.len());
            out.append(&mut shown);
            out.extend_from_slice(b"\r\n");
        }
        if ended {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }

    /// How many of the bytes are the answer's.
    fn measure(&mut self, bytes: &[u8], exchange: &mut Exchange) -> Result<Taken, Broken> {
        self.feed(bytes, |payload| exchange.response_chunk(payload))
    }

    /// The same, with the payload among them.
    fn feed(&mut self, bytes: &[u8], mut payload: impl FnMut(&[u8])) -> Result<Taken, Broken> {
        match &mut self.framing {
            Framing::Empty => Ok(Taken::all(0, true)),
            Framing::Length(left) => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                payload(&bytes[..taken]);
                Ok(Taken::all(taken, *left == 0))
            }
            Framing::Chunked(chunks) => {
                let bytes = chunks.feed(bytes, payload).map_err(|_| Broken)?;
                let (shown, closing) = chunks.without_trailers(bytes);
                Ok(Taken {
                    bytes,
                    shown,
                    closing,
                    ended: chunks.is_done(),
                })
            }
            Framing::UntilClose => {
                payload(bytes);
                Ok(Taken::all(bytes.len(), false))
            }
        }
    }
}

/// What one read brought is kept before it is sent.
async fn keep(exchange: &mut Exchange, taken: &Taken) -> Result<(), PassError> {
    match exchange.response_in_turn(taken.ended).await {
        Ok(()) => Ok(()),
        // Boxed: a stream is not to hold room for what never happens.
        Err(_) => Box::pin(exchange.wait_until_kept())
            .await
            .map_err(|_| PassError::Server),
    }
}
