//! An answer that has begun, from its head to its account.
//!
//! What a request needs until then is gone by now: a stream holds this, for as long as it lasts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::client::Client;
use super::connection::{Connection, Connections};
use super::ending::{broke_off, refuse};
use super::lost::Lost;
use super::relay::{self, NotBegun, PassError, Passage};
use super::reply::Reply;
use super::{Forwarder, tunnel};
use crate::error::Refusal;
use crate::exchange::{Exchange, Outcome};

/// How far a request was brought.
pub(super) enum Begun {
    /// It is over.
    Ended { goes_on: bool },
    /// Its answer has begun.
    Answering(Box<Answering>),
}

/// An answer on its way to the client: all that a stream holds until its end.
pub(super) struct Answering {
    exchange: Box<Exchange>,
    address: SocketAddr,
    connection: Connection,
    passage: Passage,
    lost: Option<Lost>,
}

/// The connection to the client ends.
pub(super) const ENDED: Begun = Begun::Ended { goes_on: false };

impl Forwarder {
    pub(super) async fn begin_answer(
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
                    return Begun::Answering(Box::new(answering));
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

    /// The rest of an answer. True where the client's connection may carry another request.
    pub(super) async fn pass_on(&self, client: &mut Client, mut answering: Box<Answering>) -> bool {
        let Answering {
            exchange,
            connection,
            passage,
            lost,
            ..
        } = &mut *answering;
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
}

impl Answering {
    /// Since when it is there, and whose it is.
    pub(super) fn of(&self) -> (Instant, Option<Arc<str>>) {
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
