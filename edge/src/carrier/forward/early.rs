//! A server that answers before it has the whole request: both directions run at once, through pingora's session, until
//! the answer is whole. What the client still sends after that is nobody's, so its connection ends.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use pingora_core::apps::ReusedHttpStream;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use tokio::io::AsyncWrite;

use super::connection::Connection;
use super::outgoing::Outgoing;
use super::reply::{self, Framing, Head};
use super::scratch::{self, Filled};
use super::{Trouble, end_in_session};
use crate::carrier::body;
use crate::error::Refusal;
use crate::exchange::{Exchange, Outcome};

pub(super) async fn answer(
    mut session: ServerSession,
    mut exchange: Box<Exchange>,
    mut connection: Connection,
    outgoing: Outgoing,
    first: Filled,
    read_timeout: Option<Duration>,
) -> Option<ReusedHttpStream> {
    let began = begin(&mut session, &mut connection, &exchange, first, read_timeout).await;
    let (status, mut answer) = match began {
        Ok(began) => began,
        Err(trouble) => return end_in_session(session, exchange, trouble).await,
    };
    exchange.response_head(status);
    let upload = Upload {
        framing: outgoing.framing(),
        pending: Vec::new(),
        sent: 0,
        complete: outgoing.is_complete(),
    };
    match both_ways(&mut session, &mut connection, &mut exchange, upload, &mut answer).await {
        Ok(()) => {
            body::linger(&mut session).await;
            exchange.close(Outcome::Complete);
        }
        Err(trouble) => {
            let gone = matches!(trouble, Trouble::ClientGone);
            exchange.close(if gone {
                Outcome::ClientGone
            } else {
                Outcome::UpstreamFailed
            });
        }
    }
    None
}

/// The answer's body as it is read.
struct Answer {
    framing: Framing,
    /// Payload that came with the head.
    first: Vec<u8>,
}

/// The rest of the request's body.
struct Upload {
    framing: super::outgoing::Framing,
    pending: Vec<u8>,
    sent: usize,
    complete: bool,
}

/// Reads the answer's head and sends it on.
async fn begin(
    session: &mut ServerSession,
    connection: &mut Connection,
    exchange: &Exchange,
    first: Filled,
    read_timeout: Option<Duration>,
) -> Result<(u16, Answer), Trouble> {
    let mut bytes = first.bytes().to_vec();
    drop(first);
    let (head, rest) = loop {
        match reply::parse_plain(&bytes).ok_or(Trouble::Refused(Refusal::UpstreamFailed))? {
            Head::Whole {
                status,
                headers,
                framing,
                bytes: head,
            } if status >= 200 => {
                break ((status, headers, framing), bytes.split_off(head));
            }
            // Interim answers tell a client what it no longer needs to know.
            Head::Whole { bytes: head, .. } => drop(bytes.drain(..head)),
            Head::Incomplete => {}
        }
        let read = poll_fn(|cx| scratch::poll_read(connection, cx));
        let filled = within(read_timeout, read)
            .await
            .ok_or(Trouble::Refused(Refusal::UpstreamTimeout))?;
        match filled {
            Ok(filled) if !filled.bytes().is_empty() => bytes.extend_from_slice(filled.bytes()),
            _ => return Err(Trouble::Refused(Refusal::UpstreamFailed)),
        }
    };
    let (status, headers, framing) = head;
    let is_head = session.req_header().method == http::Method::HEAD;
    let framing = if is_head || matches!(status, 204 | 304) {
        Framing::Empty
    } else {
        framing
    };
    let response =
        response_header(status, headers, &framing, exchange).map_err(|_| Trouble::Refused(Refusal::UpstreamFailed))?;
    session
        .write_response_header(Box::new(response))
        .await
        .map_err(|_| Trouble::ClientGone)?;
    Ok((status, Answer { framing, first: rest }))
}

fn response_header(
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    framing: &Framing,
    exchange: &Exchange,
) -> pingora_core::Result<ResponseHeader> {
    let mut response = ResponseHeader::build(status, Some(headers.len() + 3))?;
    for (name, value) in headers {
        response.append_header(name, value)?;
    }
    response.insert_header(crate::request_id::X_REQUEST_ID, exchange.request_id())?;
    match framing {
        Framing::Length(length) => response.insert_header(http::header::CONTENT_LENGTH, *length)?,
        Framing::Chunked(_) | Framing::UntilClose => {
            response.insert_header(http::header::TRANSFER_ENCODING, "chunked")?
        }
        Framing::Empty => {}
    }
    Ok(response)
}

enum Event {
    Piece(pingora_core::Result<Option<Bytes>>),
    Sent(std::io::Result<usize>),
    Read(std::io::Result<Filled>),
}

/// Neither direction waits for the other, so that none can block both.
async fn both_ways(
    session: &mut ServerSession,
    connection: &mut Connection,
    exchange: &mut Exchange,
    mut upload: Upload,
    answer: &mut Answer,
) -> Result<(), Trouble> {
    let first = std::mem::take(&mut answer.first);
    let mut ended = pass(&first, first.is_empty(), session, exchange, &mut answer.framing).await?;
    while !ended {
        let event = next(session, connection, &upload).await;
        match event {
            Event::Read(Ok(filled)) => {
                let bytes = filled.bytes();
                let closed = bytes.is_empty();
                if closed && !matches!(answer.framing, Framing::UntilClose) {
                    return Err(Trouble::Cut);
                }
                ended = closed || pass(bytes, false, session, exchange, &mut answer.framing).await?;
            }
            Event::Read(Err(_)) => return Err(Trouble::Cut),
            // A server that has stopped reading may still finish its answer.
            Event::Sent(Err(_)) => {
                upload = Upload {
                    pending: Vec::new(),
                    sent: 0,
                    complete: true,
                    ..upload
                }
            }
            Event::Sent(Ok(bytes)) => upload.sent += bytes,
            Event::Piece(piece) => upload.take(piece.map_err(|_| Trouble::ClientGone)?, exchange)?,
        }
    }
    session.finish_body().await.map_err(|_| Trouble::ClientGone)
}

async fn next(session: &mut ServerSession, connection: &mut Connection, upload: &Upload) -> Event {
    let unsent = &upload.pending[upload.sent..];
    let server = poll_fn(|cx| {
        if let std::task::Poll::Ready(read) = scratch::poll_read(connection, cx) {
            return std::task::Poll::Ready(Event::Read(read));
        }
        if unsent.is_empty() {
            return std::task::Poll::Pending;
        }
        Pin::new(&mut *connection).poll_write(cx, unsent).map(Event::Sent)
    });
    tokio::select! {
        biased;
        event = server => event,
        // With the body complete, this waits for the client to go.
        piece = session.read_body_or_idle(upload.complete), if unsent.is_empty() => Event::Piece(piece),
    }
}

/// Sends payload on; true at the answer's end.
async fn pass(
    bytes: &[u8],
    at_head: bool,
    session: &mut ServerSession,
    exchange: &mut Exchange,
    framing: &mut Framing,
) -> Result<bool, Trouble> {
    let mut payload = Vec::with_capacity(bytes.len());
    let ended = match framing {
        Framing::Empty => true,
        Framing::Length(left) => {
            let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            payload.extend_from_slice(&bytes[..taken]);
            *left -= taken as u64;
            *left == 0
        }
        Framing::Chunked(chunks) => {
            chunks
                .feed(bytes, |piece| payload.extend_from_slice(piece))
                .map_err(|_| Trouble::Cut)?;
            chunks.is_done()
        }
        Framing::UntilClose => {
            payload.extend_from_slice(bytes);
            false
        }
    };
    exchange.response_chunk(payload.len());
    if !payload.is_empty() || (ended && !at_head) {
        session
            .write_response_body(payload.into(), false)
            .await
            .map_err(|_| Trouble::ClientGone)?;
    }
    Ok(ended)
}

impl Upload {
    fn take(&mut self, piece: Option<Bytes>, exchange: &mut Exchange) -> Result<(), Trouble> {
        self.pending.clear();
        self.sent = 0;
        match piece {
            // The answer has begun: a body that outgrows its bound can only be cut.
            Some(piece) => {
                exchange.request_chunk(piece.len()).map_err(|_| Trouble::Cut)?;
                self.framing.frame(&piece, &mut self.pending);
            }
            None => {
                self.complete = true;
                self.pending.extend_from_slice(self.framing.terminator());
            }
        }
        Ok(())
    }
}

async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        None => Some(future.await),
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
    }
}
