//! The carrier for HTTP/1.1, on pingora-core alone: its listener, TLS and server session, and a forwarding path of our
//! own.
//!
//! ```text
//!  session (pingora) ── head ──▶ exchange
//!        │ body, as it comes
//!        ▼
//!   Outgoing ── one send for head and body ──▶ Connection ── Reply (head, parsed once) ──▶ relay ──▶ Client
//!        │                                                                                   ▲
//!        └── request complete: the session gives its stream up, and becomes a ───────────────┘
//! ```
//!
//! Once a request is complete, pingora's session is dissolved and the answer is written to the bare stream: a head and
//! the first bytes of the body leave in one send, a well-formed chunked body is passed on byte for byte, and a stream
//! that waits holds neither buffers nor the request's headers. Where a server answers before the request is complete,
//! `early` drives both directions through the session.
//!
//! What a request rarely comes to is boxed: a future is as large as the largest thing it may wait for, it is copied when
//! a request begins, and a stream holds it until its end.

mod chunks;
mod client;
mod connection;
mod early;
mod outgoing;
mod relay;
mod reply;
mod scratch;
mod tunnel;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pingora_core::apps::{HttpPersistentSettings, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;

use super::head::{asks_for_websocket, expects_continue};
use super::{answer, body, head};
use crate::error::Refusal;
use crate::exchange::{Exchange, Outcome, Verdict};
use crate::plane::Plane;
use crate::upstream::Upstream;
use client::Client;
use connection::{Connection, Connections};
use outgoing::{Outgoing, Sent};
use relay::Relayed;
use reply::{Reader, ReplyError};

/// A kept-alive client that says nothing for so long is let go; the SDKs' pools keep theirs for less.
const CLIENT_IDLE_SECONDS: u64 = 75;

pub(crate) struct Forwarder {
    plane: Arc<Plane>,
    entry_point: Option<Arc<str>>,
    tls: bool,
    connections: Connections,
}

/// Why an exchange did not come to its end.
enum Trouble {
    /// There is nobody left to answer.
    ClientGone,
    Refused(Refusal),
    /// The answer had begun.
    Cut,
}

impl Forwarder {
    pub(crate) fn new(plane: Arc<Plane>, entry_point: Option<Arc<str>>, tls: bool) -> Self {
        let connections = Connections::new(plane.timeouts.connect);
        Self {
            plane,
            entry_point,
            tls,
            connections,
        }
    }

    /// One request, whose head the session has read. Returns the connection where it may carry another.
    pub(crate) async fn serve(&self, mut session: ServerSession) -> Option<ReusedHttpStream> {
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(CLIENT_IDLE_SECONDS));
        }
        let (exchange, verdict) = head::of(&session, self.tls, |head| {
            Exchange::open(self.plane.clone(), self.entry_point.clone(), head)
        });
        // It is handed from phase to phase: a pointer is, where the futures of all phases would hold a copy.
        let mut exchange = Box::new(exchange);
        let body = match verdict {
            Verdict::Forward => Ok(None),
            Verdict::ReadBody => Box::pin(self.read_body(&mut session, &mut exchange)).await.map(Some),
            Verdict::Refuse(refusal) => Err(Trouble::Refused(refusal)),
        };
        match body {
            Ok(body) => self.forward(session, exchange, body).await,
            Err(trouble) => Box::pin(end_in_session(session, exchange, trouble)).await,
        }
    }

    async fn read_body(&self, session: &mut ServerSession, exchange: &mut Exchange) -> Result<Bytes, Trouble> {
        let read = body::read_whole(session, self.plane.bounds.body_bytes_max).await;
        let body = read.map_err(|_| Trouble::ClientGone)?.map_err(Trouble::Refused)?;
        match exchange.body_read(&session.req_header().headers, &body) {
            Verdict::Forward => Ok(body),
            Verdict::ReadBody => Err(Trouble::Refused(Refusal::BadRequest)),
            Verdict::Refuse(refusal) => Err(Trouble::Refused(refusal)),
        }
    }

    async fn forward(
        &self,
        mut session: ServerSession,
        mut exchange: Box<Exchange>,
        body: Option<Bytes>,
    ) -> Option<ReusedHttpStream> {
        if body.is_none()
            && expects_continue(session.req_header())
            && Box::pin(session.write_continue_response()).await.is_err()
        {
            exchange.close(Outcome::ClientGone);
            return None;
        }
        let mut outgoing = Outgoing::new(&session, body);
        loop {
            let (address, mut connection) = match self.reach(&mut exchange, outgoing.is_replayable()).await {
                Ok(reached) => reached,
                Err(refusal) => return Box::pin(end_in_session(session, exchange, Trouble::Refused(refusal))).await,
            };
            outgoing.write_head(&session, &exchange);
            match outgoing.send(&mut session, &mut connection, &mut exchange).await {
                Ok(Sent::Whole) => {}
                Ok(Sent::EarlyAnswer(first)) => {
                    let timeout = self.read_timeout();
                    let answer = early::answer(session, exchange, connection, outgoing, first, timeout);
                    return Box::pin(answer).await;
                }
                Err(outgoing::SendError::Upstream) if self.may_resend(&connection, &outgoing) => {
                    exchange.connection_was_stale();
                    outgoing.needs_fresh_connection();
                    continue;
                }
                Err(error) => return Box::pin(end_in_session(session, exchange, error.into())).await,
            }
            let is_upgrade = session.is_upgrade_req() && asks_for_websocket(session.req_header());
            let Some(client) = Client::of(session).await else {
                exchange.close(Outcome::ClientGone);
                return None;
            };
            return self
                .answer(client, exchange, (address, connection), outgoing, is_upgrade)
                .await;
        }
    }

    /// The request is complete and sent; what comes now comes from the server.
    async fn answer(
        &self,
        mut client: Client,
        mut exchange: Box<Exchange>,
        (mut address, mut connection): (SocketAddr, Connection),
        mut outgoing: Outgoing,
        is_upgrade: bool,
    ) -> Option<ReusedHttpStream> {
        let mut reader = Reader::new(self.read_timeout());
        let reply = loop {
            match reader.read(&mut connection, &mut client, &exchange, is_upgrade).await {
                Ok(reply) => break reply,
                Err(ReplyError::ClientGone) => {
                    exchange.close(Outcome::ClientGone);
                    return None;
                }
                Err(ReplyError::Nothing) if self.may_resend(&connection, &outgoing) => {
                    exchange.connection_was_stale();
                    outgoing.needs_fresh_connection();
                    match Box::pin(self.send_again(&mut exchange, &outgoing)).await {
                        Ok(reached) => (address, connection) = reached,
                        Err(refusal) => return Box::pin(client.refuse(exchange, refusal)).await,
                    }
                }
                Err(ReplyError::Nothing | ReplyError::Malformed) => {
                    return Box::pin(client.refuse(exchange, Refusal::UpstreamFailed)).await;
                }
                Err(ReplyError::Timeout) => return Box::pin(client.refuse(exchange, Refusal::UpstreamTimeout)).await,
            }
        };
        // From here on nothing is sent again: what a retry would have needed goes.
        drop(outgoing);
        if reply.status == 101 {
            return Box::pin(tunnel::run(client, connection, reply, exchange)).await;
        }
        let relayed = relay::relay(&mut client, &mut connection, reply, &mut exchange, self.read_timeout()).await;
        finish(client, exchange, (address, connection), relayed).await
    }

    /// A connection to the next server that can be reached. A pooled one only for what could be sent again.
    async fn reach(&self, exchange: &mut Exchange, pooled: bool) -> Result<(SocketAddr, Connection), Refusal> {
        loop {
            let server = exchange.next_server()?;
            match self.connect(server, pooled).await {
                Ok(reached) => return Ok(reached),
                Err(error) => {
                    tracing::warn!(server = server.label(), %error, "a server cannot be reached");
                    exchange.server_unreachable();
                }
            }
        }
    }

    async fn connect(&self, server: &Upstream, pooled: bool) -> std::io::Result<(SocketAddr, Connection)> {
        let address = server.address().await?;
        let idle = if pooled {
            Connections::idle(server, address)
        } else {
            None
        };
        match idle {
            Some(connection) => Ok((address, connection)),
            None => Ok((address, Box::pin(self.connections.open(server, address)).await?)),
        }
    }

    /// The same request to the same server on a fresh connection; its answer is read by the caller.
    async fn send_again(
        &self,
        exchange: &mut Exchange,
        outgoing: &Outgoing,
    ) -> Result<(SocketAddr, Connection), Refusal> {
        let server = exchange.current_server().ok_or(Refusal::NoServer)?;
        let failed = |_| Refusal::UpstreamFailed;
        let (address, mut connection) = self.connect(server, false).await.map_err(failed)?;
        outgoing.send_whole(&mut connection).await.map_err(failed)?;
        Ok((address, connection))
    }

    /// Whatever the method: a server that closed a connection it held idle never took this request up.
    fn may_resend(&self, connection: &Connection, outgoing: &Outgoing) -> bool {
        connection.reused && outgoing.is_replayable()
    }

    fn read_timeout(&self) -> Option<Duration> {
        self.plane.timeouts.read
    }
}

impl From<outgoing::SendError> for Trouble {
    fn from(error: outgoing::SendError) -> Self {
        match error {
            outgoing::SendError::Upstream => Self::Refused(Refusal::UpstreamFailed),
            outgoing::SendError::ClientGone => Self::ClientGone,
            outgoing::SendError::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

/// Ends an exchange whose answer came from a server.
async fn finish(
    client: Client,
    mut exchange: Box<Exchange>,
    (address, connection): (SocketAddr, Connection),
    relayed: Relayed,
) -> Option<ReusedHttpStream> {
    match relayed {
        Relayed::Whole { connection_usable } => {
            if let Some(server) = exchange.current_server().filter(|_| connection_usable) {
                Connections::keep(server, address, connection);
            }
            exchange.close(Outcome::Complete);
            client.into_reused()
        }
        Relayed::ClientGone => {
            exchange.close(Outcome::ClientGone);
            None
        }
        Relayed::NotBegun => Box::pin(client.refuse(exchange, Refusal::UpstreamFailed)).await,
        // The client's connection is dropped in mid-answer: what broke off must not look complete.
        Relayed::Broken => {
            let server = exchange.current_server().map(Upstream::label);
            tracing::warn!(server, "a server's answer broke off");
            exchange.close(Outcome::UpstreamFailed);
            None
        }
    }
}

/// Ends an exchange whose request may not have been read to its end.
async fn end_in_session(
    mut session: ServerSession,
    mut exchange: Box<Exchange>,
    trouble: Trouble,
) -> Option<ReusedHttpStream> {
    let refusal = match trouble {
        Trouble::Refused(refusal) => refusal,
        Trouble::ClientGone | Trouble::Cut => {
            let gone = matches!(trouble, Trouble::ClientGone);
            exchange.close(if gone {
                Outcome::ClientGone
            } else {
                Outcome::UpstreamFailed
            });
            return None;
        }
    };
    let sent = answer::send(&mut session, refusal, Some(exchange.request_id())).await;
    exchange.close(Outcome::Refused(refusal));
    sent.ok()?;
    let settings = HttpPersistentSettings::for_session(&session);
    let reusable = session.finish().await.ok()??;
    Some(ReusedHttpStream::from_reusable_stream(reusable, settings))
}
