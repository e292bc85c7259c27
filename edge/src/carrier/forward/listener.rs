//! Accepting connections, or turning them away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::client::Client;
use super::secure::{self, Door};
use super::{Forwarder, refusal, session};
use crate::crowd::TurnedAway;
use crate::error::Refusal;
use crate::tls::Wire;

/// Out of descriptors, most likely: accepting at once again would spin, and what ends meanwhile gives some back.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// Connections that are told why they are turned away, at a time; who comes beyond that just finds the door shut.
const FAREWELLS_MAX: usize = 256;

/// Accepts until the edge stops. What was accepted goes on by itself. `door`: what is there for TLS.
pub(crate) async fn serve(forwarder: Arc<Forwarder>, listener: TcpListener, door: Option<Arc<Door>>) {
    let plane = forwarder.plane.clone();
    let mut failing = false;
    let farewells = Arc::new(Semaphore::new(FAREWELLS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = plane.stop.wait() => return,
        };
        match accepted {
            Ok((stream, address)) => {
                failing = false;
                match (plane.crowd.enter(address.ip()), &door) {
                    (Ok(guest), None) => {
                        let served = session::run(forwarder.clone(), Wire::Plain(stream), address, guest);
                        drop(tokio::spawn(served));
                    }
                    (Ok(guest), Some(door)) => {
                        let served = secure::run(forwarder.clone(), door.clone(), stream, address, guest);
                        drop(tokio::spawn(served));
                    }
                    (Err(reason), None) => turn_away(&forwarder, &farewells, (stream, address), reason),
                    // Telling it would cost a handshake.
                    (Err(_), Some(_)) => plane.metrics.refused(Refusal::TooManyConnections),
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "a connection cannot be accepted");
                }
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

/// Says so, where that costs little; the connection ends either way.
fn turn_away(
    forwarder: &Arc<Forwarder>,
    farewells: &Arc<Semaphore>,
    (stream, address): (TcpStream, SocketAddr),
    reason: TurnedAway,
) {
    tracing::debug!(?reason, "a connection is turned away");
    let Ok(farewell) = farewells.clone().try_acquire_owned() else {
        forwarder.plane.metrics.refused(Refusal::TooManyConnections);
        return;
    };
    let forwarder = forwarder.clone();
    tokio::spawn(async move {
        let mut client = Client::new(Wire::Plain(stream), address, forwarder.plane.timeouts.client);
        refusal::send_without_request(&mut client, Refusal::TooManyConnections, &forwarder.plane).await;
        drop(farewell);
    });
}
