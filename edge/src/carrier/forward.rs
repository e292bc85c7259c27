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

mod aside;
mod bridge;
mod chunks;
mod client;
mod connection;
mod early;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hops;
mod inbound;
mod kept;
mod listener;
mod lost;
mod outgoing;
mod pace;
mod refusal;
mod relay;
mod reply;
mod request;
mod scratch;
mod secure;
mod session;
mod trouble;
mod tunnel;

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::carrier::pingora::Http2;
use crate::crowd::is_out_of_descriptors;
use crate::error::Refusal;
use crate::exchange::{Exchange, Failure, Outcome, Turn, Verdict};
use crate::limits::fair::gate::FairSlot;
use crate::plane::Plane;
use crate::upstream::Upstream;
pub(crate) use aside::Aside;
use client::Client;
use connection::Connection;
pub(crate) use connection::Connections;
use inbound::Inbound;
pub(crate) use kept::{Budget, Portion};
pub(crate) use listener::serve;
use lost::Lost;
use outgoing::{Outgoing, SendError, Sent, Upload};
use relay::{NotBegun, PassError, Passage};
use reply::{Reader, Reply, ReplyError};
use request::Request;
use scratch::Filled;
pub(crate) use secure::Door;
use trouble::{Trouble, passed_over};

pub(crate) struct Forwarder {
    plane: Arc<Plane>,
    entry_point: Option<Arc<str>>,
    tls: bool,
    /// `None`: every request is routed.
    aside: Option<Aside>,
    /// What carries clients that speak HTTP/2 from their first byte. `None`: they are refused.
    http_2: Option<Http2>,
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
    lost: Option<Lost>,
}

/// The connection to the client ends.
const ENDED: Begun = Begun::Ended { goes_on: false };

impl Forwarder {
    pub(crate) fn new(plane: Arc<Plane>, entry_point: Option<Arc<str>>, tls: bool) -> Self {
        let connections = Connections::new(plane.tls.back.clone(), plane.timeouts.connect);
        Self {
            plane,
            entry_point,
            tls,
            aside: None,
            http_2: None,
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

    pub(crate) fn with_http_2(self, http_2: Http2) -> Self {
        Self {
            http_2: Some(http_2),
            ..self
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

    async fn begin_answer(
        &self,
        client: &mut Client,
        mut exchange: Box<Exchange>,
        (address, connection): (SocketAddr, Connection),
        reply: Reply,
        lost: Option<Lost>,
    ) -> Begun {
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
                    lost,
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
            Err(NotBegun::NotKept) => Box::pin(refuse(client, exchange, Refusal::NotKept)).await,
            Err(NotBegun::Client) => {
                exchange.close(Outcome::ClientGone);
                ENDED
            }
        }
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

    /// The rest of an answer. True where the client's connection may carry another request.
    async fn pass_on(&self, client: &mut Client, mut answering: Answering) -> bool {
        let Answering {
            exchange,
            connection,
            passage,
            lost,
            ..
        } = &mut answering;
        match relay::relay(client, connection, passage, exchange, self.read_timeout(), lost).await {
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
                client.is_cut = true;
                if let Some(event) = exchange.error_event() {
                    Box::pin(passage.tell_error(&event, client)).await;
                }
                broke_off(exchange);
                false
            }
        }
    }

    /// A connection to the next server that can be reached. A pooled one only for what could be sent again.
    async fn reach(
        &self,
        client: &mut Client,
        exchange: &mut Exchange,
        pooled: bool,
    ) -> Result<(SocketAddr, Connection), Trouble> {
        let now = exchange.started();
        loop {
            while let Some(pause) = exchange.pick().map_err(Trouble::Refused)? {
                Box::pin(client.pause(pause)).await.map_err(|_| Trouble::ClientGone)?;
            }
            if let Some(turn) = exchange.turn() {
                let slot = Box::pin(turn_of(client, &turn)).await?;
                exchange.has_turn(&turn, slot);
            }
            let server = exchange.current_server().ok_or(Trouble::Refused(Refusal::NoServer))?;
            match self.connect(server, pooled.then_some(now)).await {
                Ok(reached) => return Ok(reached),
                // No server's fault: none is held against it, and the next would not be reached either.
                Err(error) if is_out_of_descriptors(&error) => {
                    return Err(Trouble::Refused(Refusal::TooManyConnections));
                }
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

    /// The same request to the only server there is, on a fresh connection; its answer is read by the caller.
    async fn send_again(
        &self,
        client: &mut Client,
        exchange: &mut Exchange,
        outgoing: &Outgoing,
    ) -> Result<(SocketAddr, Connection), Trouble> {
        let (address, mut connection) = self.reach(client, exchange, false).await?;
        let sent = outgoing.send_whole(&mut connection).await;
        sent.map_err(|_| Trouble::Refused(Refusal::UpstreamFailed))?;
        Ok((address, connection))
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

impl Answering {
    /// Since when it is there, and whose it is.
    fn of(&self) -> (Instant, Option<Arc<str>>) {
        (self.exchange.started(), self.exchange.router().cloned())
    }

    fn complete(mut self, client: &mut Client) {
        client.active_at = Instant::now();
        let server = self.exchange.current_server();
        if let Some(server) = server.filter(|_| self.passage.keeps_connection) {
            Connections::keep(server, self.address, self.connection, client.active_at);
        }
        self.exchange.close(Outcome::Complete);
    }
}

/// Waits for one of the service's slots, unless the client goes first.
async fn turn_of(client: &mut Client, turn: &Turn) -> Result<FairSlot, Trouble> {
    let mut wait = std::pin::pin!(turn.wait());
    poll_fn(|cx| {
        if let Poll::Ready(slot) = wait.as_mut().poll(cx) {
            return Poll::Ready(slot.map_err(Trouble::Refused));
        }
        client.poll_gone(cx).map(|()| Err(Trouble::ClientGone))
    })
    .await
}

/// Ends an exchange whose request may not have been read to its end.
async fn end(client: &mut Client, body: &mut Inbound, mut exchange: Box<Exchange>, trouble: Trouble) -> Begun {
    match trouble {
        Trouble::Refused(refusal) => {
            exchange.refusing();
            let goes_on = refusal::send(client, body, refusal, &exchange).await;
            exchange.close(Outcome::Refused(refusal));
            Begun::Ended { goes_on }
        }
        Trouble::ClientGone => {
            exchange.close(Outcome::ClientGone);
            ENDED
        }
        Trouble::Cut => {
            client.is_cut = true;
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
