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

pub(super) enum Relayed {
    Whole {
        connection_usable: bool,
    },
    ClientGone,
    /// The server cut its answer, or broke its framing.
    Broken,
    /// It broke its framing before the client was sent anything.
    NotBegun,
}

enum Event {
    Read(io::Result<Filled>),
    ClientGone,
    Timeout,
}

/// Passes the whole answer on. The head leaves with what came of the body.
pub(super) async fn relay(
    client: &mut Client,
    connection: &mut Connection,
    reply: Reply,
    exchange: &mut Exchange,
    read_timeout: Option<Duration>,
) -> Relayed {
    let Reply {
        status,
        head: mut out,
        framing,
        form,
        first,
        keeps_connection,
        ends_client,
    } = reply;
    let mut body = Body { framing, form };
    let Ok(mut taken) = body.take(&first, &mut out, exchange) else {
        return Relayed::NotBegun;
    };
    let mut surplus = first.len() > taken.bytes;
    exchange.response_head(status);
    client.terms.keep_alive &= !ends_client;
    if client.send(&out).await.is_err() {
        return Relayed::ClientGone;
    }
    // A stream may run for minutes: what was only needed for its beginning goes now.
    drop((out, first));
    while !taken.ended {
        let filled = match next(client, connection, read_timeout).await {
            Event::Read(Ok(filled)) if filled.bytes().is_empty() => return end(&body, client).await,
            Event::Read(Ok(filled)) => filled,
            Event::ClientGone => return Relayed::ClientGone,
            Event::Read(Err(_)) | Event::Timeout => return Relayed::Broken,
        };
        taken = match body.pass(filled.bytes(), client, exchange).await {
            Ok(taken) => taken,
            Err(PassError::Client) => return Relayed::ClientGone,
            Err(PassError::Server) => return Relayed::Broken,
        };
        surplus = filled.bytes().len() > taken.bytes;
    }
    Relayed::Whole {
        connection_usable: keeps_connection && !surplus,
    }
}

/// The server has closed its connection.
async fn end(body: &Body, client: &mut Client) -> Relayed {
    match (&body.framing, body.form) {
        (Framing::UntilClose, form) => {
            let last: &[u8] = if form == Form::Chunked { b"0\r\n\r\n" } else { b"" };
            if client.send(last).await.is_err() {
                Relayed::ClientGone
            } else {
                Relayed::Whole {
                    connection_usable: false,
                }
            }
        }
        _ => Relayed::Broken,
    }
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
        Some(limit) => tokio::time::timeout(limit, event).await.unwrap_or(Event::Timeout),
    }
}

struct Body {
    framing: Framing,
    form: Form,
}

/// How far one read brought us.
struct Taken {
    /// Of the read's bytes, so many belong to this answer.
    bytes: usize,
    ended: bool,
}

enum PassError {
    Client,
    Server,
}

/// The server's framing is broken.
struct Broken;

impl Body {
    /// Sends what one read brought. Where the bytes pass as they came, they are not copied first.
    async fn pass(&mut self, bytes: &[u8], client: &mut Client, exchange: &mut Exchange) -> Result<Taken, PassError> {
        if self.form != Form::AsTheyCame {
            let mut out = Vec::with_capacity(bytes.len() + 32);
            let taken = self
                .take(bytes, &mut out, exchange)
                .map_err(|Broken| PassError::Server)?;
            client.send(&out).await.map_err(|_| PassError::Client)?;
            return Ok(taken);
        }
        let taken = self.measure(bytes, exchange).map_err(|Broken| PassError::Server)?;
        client
            .send(&bytes[..taken.bytes])
            .await
            .map_err(|_| PassError::Client)?;
        Ok(taken)
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
