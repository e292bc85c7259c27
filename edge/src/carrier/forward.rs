//! Our own carrier, from the accepted socket to the server's: HTTP/1.1, into which [`http2`] translates clients of HTTP/2
//! and [`bridge`] servers of it.
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

mod answering;
mod aside;
mod bridge;
mod chunks;
mod client;
mod connection;
mod early;
mod ending;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hops;
mod http2;
mod inbound;
mod kept;
mod listener;
mod lost;
mod outgoing;
mod pace;
mod reach;
mod refusal;
mod relay;
mod reply;
mod request;
mod scratch;
mod secure;
mod session;
mod trouble;
mod tunnel;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::Refusal;
use crate::exchange::{Exchange, Failure, Outcome, Verdict};
use crate::plane::Plane;
use answering::{Begun, ENDED};
pub(crate) use aside::Aside;
use client::Client;
use connection::Connection;
pub(crate) use connection::Connections;
use ending::{end, end_complete, refuse};
use inbound::Inbound;
pub(crate) use kept::{Budget, Portion};
pub(crate) use listener::serve;
use lost::Lost;
use outgoing::{Outgoing, SendError, Sent, Upload};
use reach::turn_of;
use reply::{Reader, ReplyError};
use request::Request;
use scratch::Filled;
use trouble::{Trouble, passed_over};

pub(crate) struct Forwarder {
    plane: Arc<Plane>,
    entry_point: Option<Arc<str>>,
    tls: bool,
    /// `None`: every request is routed.
    aside: Option<Aside>,
    /// Clients may begin with HTTP/2's first bytes; else those are refused.
    speaks_http_2: bool,
    connections: Connections,
    kept: Arc<Budget>,
}

impl Forwarder {
    pub(crate) fn new(plane: Arc<Plane>, entry_point: Option<Arc<str>>, tls: bool) -> Self {
        let connections = Connections::new(plane.tls.back.clone(), plane.timeouts.connect);
        Self {
            plane,
            entry_point,
            tls,
            aside: None,
            speaks_http_2: false,
            connections,
            kept: Arc::default(),
        }
    }

    pub(crate) fn with_aside(self, aside: Aside) -> Self {
        let is_any = aside.challenges.is_some() || aside.redirect.is_some();
        Self {
            aside: is_any.then_some(aside),
            ..self
        }
    }

    pub(crate) fn with_http_2(self) -> Self {
        Self {
            speaks_http_2: true,
            ..self
        }
    }

    /// One request, which came just now, up to the beginning of its answer; a small one, to its end.
    async fn begin(&self, client: &mut Client, mut request: Request, came: Instant) -> Begun {
        client.terms = request.terms;
        request.body.within(self.plane.timeouts.client);
        client.terms.keep_alive &= !self.plane.stop.is_stopping();
        let head = request.head(client.address, self.tls);
        let (exchange, verdict) = Exchange::open(self.plane.clone(), self.entry_point.clone(), &head, came);
        client.active_at = came;
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
            Verdict::Forward => Ok(exchange.rewritten_body().unwrap_or(body)),
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
        let has_choice = exchange.has_choice();
        let mut outgoing = Outgoing::new(&request, body, &self.kept, has_choice);
        if request.body.invite(client).await.is_err() {
            exchange.close(Outcome::ClientGone);
            return ENDED;
        }
        if let Some(turn) = exchange.turn() {
            match Box::pin(turn_of(client, &turn)).await {
                Ok(slot) => exchange.has_turn(&turn, slot),
                Err(trouble) => return Box::pin(end(client, &mut request.body, exchange, trouble)).await,
            }
        }
        loop {
            let reached = self.reach(client, &mut exchange, outgoing.is_replayable()).await;
            let (address, mut connection) = match reached {
                Ok(reached) => reached,
                Err(trouble) => return Box::pin(end(client, &mut request.body, exchange, trouble)).await,
            };
            outgoing.write_head(&request, &exchange);
            match outgoing
                .send(client, &mut request.body, &mut connection, &mut exchange)
                .await
            {
                Ok(Sent::Whole) => {}
                Ok(Sent::EarlyAnswer { first, upload }) => {
                    let early = (first, upload);
                    let answer = self.early_answer(client, &mut request, exchange, connection, (&outgoing, early));
                    match Box::pin(answer).await {
                        Ok(begun) => return begun,
                        Err(again) => exchange = again,
                    }
                    continue;
                }
                Err(SendError::Upstream) if self.may_resend(&connection, &outgoing) => {
                    exchange.connection_was_stale();
                    outgoing.needs_fresh_connection();
                    exchange.stays();
                    continue;
                }
                Err(SendError::Upstream) if outgoing.can_move() && exchange.passes_over(Failure::Broke) => continue,
                Err(error) => return Box::pin(end(client, &mut request.body, exchange, error.into())).await,
            }
            self.mirror(&mut exchange, &outgoing);
            let is_upgrade = request.wants_websocket;
            let sent = ((address, connection), &mut outgoing);
            if !has_choice {
                // A server may think for minutes: what was only needed to ask it goes now.
                drop(request);
                return match self.answer(client, exchange, sent, is_upgrade, false).await {
                    Ok(begun) => begun,
                    Err(exchange) => Box::pin(refuse(client, exchange, Refusal::UpstreamFailed)).await,
                };
            }
            match self.answer(client, exchange, sent, is_upgrade, true).await {
                Ok(begun) => return begun,
                Err(again) => exchange = again,
            }
        }
    }

    /// The request is complete and sent; what comes now comes from the server. `Err`: it is to be sent to another.
    async fn answer(
        &self,
        client: &mut Client,
        mut exchange: Box<Exchange>,
        ((mut address, mut connection), outgoing): ((SocketAddr, Connection), &mut Outgoing),
        is_upgrade: bool,
        has_choice: bool,
    ) -> Result<Begun, Box<Exchange>> {
        let mut reader = self.reader(&exchange, is_upgrade);
        let reply = loop {
            let error = match reader.read(&mut connection, client, &exchange).await {
                Ok(reply) if reply.status < 500 => break reply,
                Ok(reply) => {
                    let judged = passed_over(reply, &mut connection, &mut exchange, outgoing.can_move());
                    match Box::pin(judged).await {
                        Some(reply) => break reply,
                        None => None,
                    }
                }
                Err(ReplyError::Nothing) if self.may_resend(&connection, outgoing) => {
                    exchange.connection_was_stale();
                    outgoing.needs_fresh_connection();
                    exchange.stays();
                    None
                }
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                let failure = error.failure().filter(|_| outgoing.can_move());
                if !failure.is_some_and(|failure| exchange.passes_over(failure)) {
                    return Ok(Box::pin(end_complete(client, exchange, error.into())).await);
                }
            }
            if has_choice {
                return Err(exchange);
            }
            match Box::pin(self.send_again(client, &mut exchange, outgoing)).await {
                Ok(reached) => (address, connection) = reached,
                Err(trouble) => return Ok(Box::pin(end_complete(client, exchange, trouble)).await),
            }
        };
        let at = (address, connection);
        Ok(self.begin_answer(client, exchange, at, reply, reader.lost).await)
    }

    /// An answer that begins before the request is complete. `Err`: the request is to be sent to another server.
    async fn early_answer(
        &self,
        client: &mut Client,
        request: &mut Request,
        mut exchange: Box<Exchange>,
        mut connection: Connection,
        (outgoing, (first, upload)): (&Outgoing, (Filled, Upload)),
    ) -> Result<Begun, Box<Exchange>> {
        let keep_alive = std::mem::replace(&mut client.terms.keep_alive, false);
        let mut reader = self.reader(&exchange, false);
        let reply = match reader.read_from(first, &mut connection, client, &exchange).await {
            Ok(reply) if reply.status < 500 => Some(reply),
            Ok(reply) => passed_over(reply, &mut connection, &mut exchange, outgoing.can_move()).await,
            Err(error) => return Ok(end(client, &mut request.body, exchange, error.into()).await),
        };
        let Some(reply) = reply else {
            client.terms.keep_alive = keep_alive;
            return Err(exchange);
        };
        let body = std::mem::replace(&mut request.body, Inbound::none());
        let early = (reply, upload);
        Ok(early::answer(client, body, exchange, connection, early, self.read_timeout()).await)
    }

    fn reader(&self, exchange: &Exchange, is_upgrade: bool) -> Reader {
        let own = exchange
            .current_server()
            .and_then(|server| server.times.response_header);
        Reader::new(own.or(self.read_timeout()), is_upgrade, exchange.lost().map(Lost::of))
    }

    fn mirror(&self, exchange: &mut Exchange, outgoing: &Outgoing) {
        let mirrors = exchange.take_mirrors();
        if let Some((head, body)) = outgoing.sent().filter(|_| !mirrors.is_empty()) {
            let connect_timeout = self.plane.timeouts.connect;
            self.plane.copies.send(mirrors, connect_timeout, head, body);
        }
    }

    /// Whatever the method: a server that closed a connection it held idle never took this request up.
    fn may_resend(&self, connection: &Connection, outgoing: &Outgoing) -> bool {
        connection.reused && outgoing.is_replayable()
    }

    fn read_timeout(&self) -> Option<Duration> {
        self.plane.timeouts.read
    }
}
