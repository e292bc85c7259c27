//! A connection to a server that can be reached, and the client's turn to have it.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Instant;

use super::Forwarder;
use super::client::Client;
use super::connection::{Connection, Connections};
use super::outgoing::Outgoing;
use super::trouble::Trouble;
use crate::crowd::is_out_of_descriptors;
use crate::error::Refusal;
use crate::exchange::{Exchange, Turn};
use crate::limits::fair::gate::FairSlot;
use crate::upstream::Upstream;

impl Forwarder {
    /// A connection to the next server that can be reached. A pooled one only for what could be sent again.
    pub(super) async fn reach(
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
                    if let Some(held_back) = server.complaints.may_tell(Instant::now()) {
                        tracing::warn!(server = server.label(), %error, held_back, "a server cannot be reached");
                    }
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
    pub(super) async fn send_again(
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
}

/// Waits for one of the service's slots, unless the client goes first.
pub(super) async fn turn_of(client: &mut Client, turn: &Turn) -> Result<FairSlot, Trouble> {
    let mut wait = std::pin::pin!(turn.wait());
    poll_fn(|cx| {
        if let Poll::Ready(slot) = wait.as_mut().poll(cx) {
            return Poll::Ready(slot.map_err(Trouble::Refused));
        }
        client.poll_gone(cx).map(|()| Err(Trouble::ClientGone))
    })
    .await
}
