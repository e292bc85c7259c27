//! Accepting connections, or turning them away.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::client::Client;
use super::{Forwarder, refusal, secure, session};
use crate::crowd::TurnedAway;
use crate::error::Refusal;
use crate::tls::{Front, Wire};

/// Out of descriptors, most likely: accepting at once again would spin, and what ends meanwhile gives some back.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// So many are turned away between two pauses: some thousand a second, at little cost.
const SHED_MAX: usize = 64;

/// Connections that are told why they are turned away, at a time; who comes beyond that just finds the door shut.
const FAREWELLS_MAX: usize = 256;

/// Accepts until the edge stops. What was accepted goes on by itself. `front`: what TLS is begun with.
pub(crate) async fn serve(forwarder: Arc<Forwarder>, listener: TcpListener, front: Option<Arc<Front>>) {
    let plane = forwarder.plane.clone();
    let mut entrance = Entrance {
        forwarder,
        front,
        farewells: Arc::new(Semaphore::new(FAREWELLS_MAX)),
        spare: Spare::get(),
        failing: false,
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = plane.stop.wait() => break,
        };
        match accepted {
            Ok(came) => entrance.let_in(came),
            Err(error) => {
                entrance.shed(&listener, &error).await;
                tokio::select! {
                    () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                    () = plane.stop.wait() => break,
                }
            }
        }
    }
    if !plane.stop.is_handed_over() {
        // Who connected before the stop is served; to the kernel they are connected already.
        while let Some(came) = waiting(&listener).await {
            entrance.let_in(came);
        }
    }
}

/// A connection that waits to be accepted.
async fn waiting(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(Ok(came)) => Poll::Ready(Some(came)),
        _ => Poll::Ready(None),
    })
    .await
}

struct Entrance {
    forwarder: Arc<Forwarder>,
    front: Option<Arc<Front>>,
    farewells: Arc<Semaphore>,
    spare: Spare,
    failing: bool,
}

impl Entrance {
    fn let_in(&mut self, (stream, address): (TcpStream, SocketAddr)) {
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!("connections are accepted again");
        }
        self.spare.refill();
        let forwarder = &self.forwarder;
        match (forwarder.plane.crowd.enter(address.ip()), &self.front) {
            (Ok(guest), None) => {
                let served = session::run(forwarder.clone(), Wire::Plain(stream), address, Some(guest));
                drop(tokio::spawn(served));
            }
            (Ok(guest), Some(front)) => {
                let served = secure::run(forwarder.clone(), front.clone(), stream, address, guest);
                drop(tokio::spawn(served));
            }
            (Err(reason), None) => turn_away(forwarder, &self.farewells, (stream, address), reason),
            // Telling it would cost a handshake.
            (Err(_), Some(_)) => forwarder.plane.metrics.refused(Refusal::TooManyConnections),
        }
    }

    /// Nothing could be accepted. Who waits would wait until a descriptor is free: with the spare one they are told, one
    /// after the other, and may go elsewhere.
    async fn shed(&mut self, listener: &TcpListener, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "connections cannot be accepted; who comes is turned away until they can");
        }
        for _ in 0..SHED_MAX {
            if !self.spare.give_up() {
                return;
            }
            let Some((stream, _)) = waiting(listener).await else {
                break;
            };
            self.forwarder.plane.metrics.refused(Refusal::TooManyConnections);
            if self.front.is_none() {
                // As much as the socket takes at once: an answer of a few hundred bytes to a fresh connection.
                let _ = stream.try_write(&refusal::without_request(Refusal::TooManyConnections));
                // What has come is taken: bytes that nobody read would make the kernel take the answer back.
                let _ = stream.try_read(&mut [0; 2048]);
            }
            drop(stream);
            self.spare.refill();
        }
        self.spare.refill();
    }
}

/// A descriptor that is held for the moment when there is no other.
struct Spare(Option<File>);

impl Spare {
    fn get() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Whether there was one.
    fn give_up(&mut self) -> bool {
        self.0.take().is_some()
    }

    fn refill(&mut self) {
        if self.0.is_none() {
            *self = Self::get();
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
