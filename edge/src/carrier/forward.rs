//! The carrier for HTTP/1.1, our own from the accepted socket to the server's.
//!
//! ```text
//!  listener ─▶ session ── head, parsed once ──▶ exchange
//!                │ body, as it comes
//!                ▼
//!             Outgoing ── one send for head and body ──▶ Connection ── Reply (head, parsed once) ──▶ relay ──▶ Client
//! ```
//!
//! A head and the first bytes of a body leave in one send, in both directions; a well-formed chunked answer is passed on
//! byte for byte; and a stream that waits holds neither buffers nor the request's headers. Where a server answers before
//! the request is complete, `early` drives both directions.
//!
//! What a request needs until its answer begins is one boxed future ([`Forwarder::begin`]), gone when only bytes are
//! left to pass on ([`Forwarder::pass_on`]); what it rarely comes to is boxed again: a future is as large as the largest
//! thing it may wait for.

mod chunks;
mod client;
mod connection;
mod early;
mod hops;
mod inbound;
mod kept;
mod listener;
mod outgoing;
mod pace;
mod refusal;
mod relay;
mod reply;
mod request;
mod scratch;
mod session;
mod tunnel;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::Refusal;
use crate::exchange::{Exchange, Outcome, Verdict};
use crate::plane::Plane;
use crate::upstream::Upstream;
use client::Client;
use connection::{Connection, Connections};
use inbound::{BodyError, Inbound, WholeError};
use kept::Budget;
pub(crate) use listener::serve;
use outgoing::{Outgoing, SendError, Sent};
use relay::{NotBegun, PassError, Passage};
use reply::{Reader, ReplyError};
use request::Request;

pub(crate) struct Forwarder {
    plane: Arc<Plane>,
    entry_point: Option<Arc<str>>,
    tls: bool,
    connections: Connections,
    kept: Arc<Budget>,
}

/// How far a request was brought.
enum Begun {
    /// It is over.
    Ended { goes_on: bool },
    /// Its answer has begun.
    Answering(Answering),
}

/// An answer on its way to the client: all that a stream holds until its end.
struct Answering {
    exchange: Box<Exchange>,
    address: SocketAddr,
    connection: Connection,
    passage: Passage,
}

/// Why an exchange did not come to its end.
enum Trouble {
    /// There is nobody left to answer.
    ClientGone,
    Refused(Refusal),
    /// The answer had begun.
    Cut,
}

/// The connection to the client ends.
const ENDED: Begun = Begun::Ended { goes_on: false };

impl Forwarder {
    pub(crate) fn new(plane: Arc<Plane>, entry_point: Option<Arc<str>>, tls: bool) -> Self {
        let connections = Connections::new(plane.timeouts.connect);
        Self {
            plane,
            entry_point,
            tls,
            connections,
            kept: Arc::default(),
        }
    }

    /// One request, up to the beginning of its answer; a small one, to its end.
    async fn begin(&self, client: &mut Client, mut request: Request) -> Begun {
        client.terms = request.terms;
        request.body.within(self.plane.timeouts.client);
        client.terms.keep_alive &= !self.plane.stop.is_stopping();
        let head = request.head(client.address, self.tls);
        let (exchange, verdict) = Exchange::open(self.plane.clone(), self.entry_point.clone(), &head);
        client.active_at = exchange.started();
        // It is handed from phase to phase: a pointer is, where the futures of all phases would hold a copy.
        let mut exchange = Box::new(exchange);
        let body = match verdict {
            Verdict::Forward => Ok(None),
            Verdict::ReadBody => Box::pin(self.read_body(client, &mut request, &mut exchange))
                .await
                .map(Some),
            Verdict::Refuse(refusal) => Err(Trouble::Refused(refusal)),
        };
        match body {
            Ok(body) => self.forward(client, request, exchange, body).await,
            Err(trouble) => Box::pin(end(client, &mut request.body, exchange, trouble)).await,
        }
    }

    async fn read_body(
        &self,
        client: &mut Client,
        request: &mut Request,
        exchange: &mut Exchange,
    ) -> Result<Bytes, Trouble> {
        let body = request
            .body
            .read_whole(client, self.plane.bounds.body_bytes_max)
            .await?;
        match exchange.body_read(&request.headers, &body) {
            Verdict::Forward => Ok(body),
            Verdict::ReadBody => Err(Trouble::Refused(Refusal::BadRequest)),
            Verdict::Refuse(refusal) => Err(Trouble::Refused(refusal)),
        }
    }

    async fn forward(
        &self,
        client: &mut Client,
        mut request: Request,
        mut exchange: Box<Exchange>,
        body: Option<Bytes>,
    ) -> Begun {
        let mut outgoing = Outgoing::new(&request, body, &self.kept);
        if request.body.invite(client).await.is_err() {
            exchange.close(Outcome::ClientGone);
            return ENDED;
        }
        loop {
            let (address, mut connection) = match self.reach(&mut exchange, outgoing.is_replayable()).await {
                Ok(reached) => reached,
                Err(refusal) => {
                    return Box::pin(end(client, &mut request.body, exchange, Trouble::Refused(refusal))).await;
                }
            };
            outgoing.write_head(&request, &exchange);
            match outgoing
                .send(client, &mut request.body, &mut connection, &mut exchange)
                .await
            {
                Ok(Sent::Whole) => {}
                Ok(Sent::EarlyAnswer { first, upload }) => {
                    let early = (first, upload);
                    let answer = early::answer(client, request.body, exchange, connection, early, self.read_timeout());
                    return Box::pin(answer).await;
                }
                Err(SendError::Upstream) if self.may_resend(&connection, &outgoing) => {
                    exchange.connection_was_stale();
                    outgoing.needs_fresh_connection();
                    continue;
                }
                Err(error) => return Box::pin(end(client, &mut request.body, exchange, error.into())).await,
            }
            let is_upgrade = request.wants_websocket;
            // A server may think for minutes: what was only needed to ask it goes now.
            drop(request);
            return self
                .answer(client, exchange, (address, connection), outgoing, is_upgrade)
                .await;
        }
    }

    /// The request is complete and sent; what comes now comes from the server.
    async fn answer(
        &self,
        client: &mut Client,
        mut exchange: Box<Exchange>,
        (mut address, mut connection): (SocketAddr, Connection),
        mut outgoing: Outgoing,
        is_upgrade: bool,
    ) -> Begun {
        let reader = Reader::new(self.read_timeout(), is_upgrade);
        let reply = loop {
            match reader.read(&mut connection, client, &exchange).await {
                Ok(reply) => break reply,
                Err(ReplyError::Nothing) if self.may_resend(&connection, &outgoing) => {
                    exchange.connection_was_stale();
                    outgoing.needs_fresh_connection();
                    match Box::pin(self.send_again(&mut exchange, &outgoing)).await {
                        Ok(reached) => (address, connection) = reached,
                        Err(refusal) => return Box::pin(refuse(client, exchange, refusal)).await,
                    }
                }
                Err(error) => return Box::pin(end_complete(client, exchange, error.into())).await,
            }
        };
        if reply.status == 101 {
            Box::pin(tunnel::run(client, connection, reply, exchange)).await;
            return ENDED;
        }
        match Passage::begin(reply, client, &mut exchange).await {
            Ok(passage) => {
                let answering = Answering {
                    exchange,
                    address,
                    connection,
                    passage,
                };
                if !answering.passage.ended {
                    return Begun::Answering(answering);
                }
                answering.complete(client);
                Begun::Ended {
                    goes_on: client.terms.keep_alive,
                }
            }
            Err(NotBegun::Server) => Box::pin(refuse(client, exchange, Refusal::UpstreamFailed)).await,
            Err(NotBegun::Client) => {
                exchange.close(Outcome::ClientGone);
                ENDED
            }
        }
    }

    /// The rest of an answer. True where the client's connection may carry another request.
    async fn pass_on(&self, client: &mut Client, mut answering: Answering) -> bool {
        let Answering {
            exchange,
            connection,
            passage,
            ..
        } = &mut answering;
        match relay::relay(client, connection, passage, exchange, self.read_timeout()).await {
            Ok(()) => {
                answering.complete(client);
                client.terms.keep_alive
            }
            Err(PassError::Client) => {
                exchange.close(Outcome::ClientGone);
                false
            }
            // The client's connection is dropped in mid-answer: what broke off must not look complete.
            Err(PassError::Server) => {
                broke_off(exchange);
                false
            }
        }
    }

    /// A connection to the next server that can be reached. A pooled one only for what could be sent again.
    async fn reach(&self, exchange: &mut Exchange, pooled: bool) -> Result<(SocketAddr, Connection), Refusal> {
        let now = exchange.started();
        loop {
            let server = exchange.next_server()?;
            match self.connect(server, pooled.then_some(now)).await {
                Ok(reached) => return Ok(reached),
                Err(error) => {
                    tracing::warn!(server = server.label(), %error, "a server cannot be reached");
                    exchange.server_unreachable();
                }
            }
        }
    }

    /// A pooled connection where `pooled` says what time it is, else a fresh one.
    async fn connect(&self, server: &Upstream, pooled: Option<Instant>) -> std::io::Result<(SocketAddr, Connection)> {
        let address = server.address().await?;
        match pooled.and_then(|now| Connections::idle(server, address, now)) {
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
        let (address, mut connection) = self.connect(server, None).await.map_err(failed)?;
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

impl Answering {
    fn complete(mut self, client: &mut Client) {
        client.active_at = Instant::now();
        let server = self.exchange.current_server();
        if let Some(server) = server.filter(|_| self.passage.keeps_connection) {
            Connections::keep(server, self.address, self.connection, client.active_at);
        }
        self.exchange.close(Outcome::Complete);
    }
}

impl From<SendError> for Trouble {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Upstream => Self::Refused(Refusal::UpstreamFailed),
            SendError::Body(error) => error.into(),
            SendError::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

impl From<BodyError> for Trouble {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::ClientGone => Self::ClientGone,
            BodyError::Malformed => Self::Refused(Refusal::BadRequest),
            BodyError::TooSlow => Self::Refused(Refusal::BodyTimeout),
        }
    }
}

impl From<WholeError> for Trouble {
    fn from(error: WholeError) -> Self {
        match error {
            WholeError::Body(error) => error.into(),
            WholeError::TooLarge => Self::Refused(Refusal::BodyTooLarge),
        }
    }
}

impl From<ReplyError> for Trouble {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ClientGone => Self::ClientGone,
            ReplyError::Nothing | ReplyError::Malformed => Self::Refused(Refusal::UpstreamFailed),
            ReplyError::Timeout => Self::Refused(Refusal::UpstreamTimeout),
        }
    }
}

/// Ends an exchange whose request may not have been read to its end.
async fn end(client: &mut Client, body: &mut Inbound, mut exchange: Box<Exchange>, trouble: Trouble) -> Begun {
    match trouble {
        Trouble::Refused(refusal) => {
            let goes_on = refusal::send(client, body, refusal, exchange.request_id()).await;
            exchange.close(Outcome::Refused(refusal));
            Begun::Ended { goes_on }
        }
        Trouble::ClientGone => {
            exchange.close(Outcome::ClientGone);
            ENDED
        }
        Trouble::Cut => {
            broke_off(&mut exchange);
            ENDED
        }
    }
}

async fn end_complete(client: &mut Client, exchange: Box<Exchange>, trouble: Trouble) -> Begun {
    end(client, &mut Inbound::none(), exchange, trouble).await
}

async fn refuse(client: &mut Client, exchange: Box<Exchange>, refusal: Refusal) -> Begun {
    end_complete(client, exchange, Trouble::Refused(refusal)).await
}

fn broke_off(exchange: &mut Exchange) {
    let server = exchange.current_server().map(Upstream::label);
    tracing::warn!(server, "a server's answer broke off");
    exchange.close(Outcome::UpstreamFailed);
}
