//! A server's body on its way to the client, chunk by chunk.

use std::future::poll_fn;
use std::io::{self, Write as _};
use std::task::Poll;
use std::time::Duration;

use super::client::Client;
use super::connection::Connection;
use super::reply::{Form, Framing, Reply};
use super::scratch::{self, Filled};
use crate::exchange::Exchange;

enum Event {
    Read(io::Result<Filled>),
    ClientGone,
    Timeout,
}

/// Passes the rest of an answer on.
pub(super) async fn relay(
    client: &mut Client,
    connection: &mut Connection,
    passage: &mut Passage,
    exchange: &mut Exchange,
    read_timeout: Option<Duration>,
) -> Result<(), PassError> {
    while !passage.ended {
        let filled = match next(client, connection, read_timeout).await {
            Event::Read(Ok(filled)) => filled,
            Event::ClientGone => return Err(PassError::Client),
            Event::Read(Err(_)) | Event::Timeout => return Err(PassError::Server),
        };
        passage.pass(filled.bytes(), client, exchange).await?;
    }
    Ok(())
}

async fn next(client: &mut Client, connection: &mut Connection, read_timeout: Option<Duration>) -> Event {
    let event = poll_fn(|cx| {
        if let Poll::Ready(read) = scratch::poll_read(connection, cx) {
            return Poll::Ready(Event::Read(read));
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

/// An answer whose head has been sent.
pub(super) struct Passage {
    framing: Framing,
    form: Form,
    pub(super) ended: bool,
    /// Another request may follow on the server's connection.
    pub(super) keeps_connection: bool,
}

/// How far one read brought us.
struct Taken {
    /// Of the read's bytes, so many belong to this answer.
    bytes: usize,
    ended: bool,
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
            ended: false,
            keeps_connection,
        };
        let taken = passage
            .take(first.bytes(), &mut out, exchange)
            .map_err(|Broken| NotBegun::Server)?;
        passage.note(&taken, first.bytes().len());
        // Its buffer goes back before a slow client is waited for.
        drop(first);
        exchange.response_head(status);
        client.terms.keep_alive &= !ends_client;
        client.send(&out).await.map_err(|_| NotBegun::Client)?;
        Ok(passage)
    }

    /// Sends what one read brought; nothing is the end of the server's connection. Where the bytes pass as they came,
    /// they are not copied first.
    pub(super) async fn pass(
        &mut self,
        bytes: &[u8],
        client: &mut Client,
        exchange: &mut Exchange,
    ) -> Result<(), PassError> {
        if bytes.is_empty() {
            return self.server_closed(client).await;
        }
        let taken = if self.form == Form::AsTheyCame {
            let taken = self.measure(bytes, exchange).map_err(|Broken| PassError::Server)?;
            client
                .send(&bytes[..taken.bytes])
                .await
                .map_err(|_| PassError::Client)?;
            taken
        } else {
            let mut out = Vec::with_capacity(bytes.len() + 32);
            let taken = self
                .take(bytes, &mut out, exchange)
                .map_err(|Broken| PassError::Server)?;
            client.send(&out).await.map_err(|_| PassError::Client)?;
            taken
        };
        self.note(&taken, bytes.len());
        Ok(())
    }

    async fn server_closed(&mut self, client: &mut Client) -> Result<(), PassError> {
        if !matches!(self.framing, Framing::UntilClose) {
            return Err(PassError::Server);
        }
        let last: &[u8] = if self.form == Form::Chunked { b"0\r\n\r\n" } else { b"" };
        client.send(last).await.map_err(|_| PassError::Client)?;
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
                let begin = out.len();
                let taken = chunks
                    .feed(bytes, |payload| out.extend_from_slice(payload))
                    .map_err(|_| Broken)?;
                exchange.response_chunk(out.len() - begin);
                Ok(Taken {
                    bytes: taken,
                    ended: chunks.is_done(),
                })
            }
            (Framing::UntilClose, Form::Chunked) if !bytes.is_empty() => {
                exchange.response_chunk(bytes.len());
                let _ = write!(out, "{:x}\r\n", bytes.len());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
                Ok(Taken {
                    bytes: bytes.len(),
                    ended: false,
                })
            }
            _ => {
                let taken = self.measure(bytes, exchange)?;
                out.extend_from_slice(&bytes[..taken.bytes]);
                Ok(taken)
            }
        }
    }

    /// How many of the bytes are the answer's.
    fn measure(&mut self, bytes: &[u8], exchange: &mut Exchange) -> Result<Taken, Broken> {
        match &mut self.framing {
            Framing::Empty => Ok(Taken { bytes: 0, ended: true }),
            Framing::Length(left) => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                exchange.response_chunk(taken);
                Ok(Taken {
                    bytes: taken,
                    ended: *left == 0,
                })
            }
            Framing::Chunked(chunks) => {
                let mut payload_bytes = 0;
                let taken = chunks
                    .feed(bytes, |payload| payload_bytes += payload.len())
                    .map_err(|_| Broken)?;
                exchange.response_chunk(payload_bytes);
                Ok(Taken {
                    bytes: taken,
                    ended: chunks.is_done(),
                })
            }
            Framing::UntilClose => {
                exchange.response_chunk(bytes.len());
                Ok(Taken {
                    bytes: bytes.len(),
                    ended: false,
                })
            }
        }
    }
}
