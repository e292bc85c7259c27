//! Connections that begin with TLS: the handshake, within its deadline, and then whoever carries what the client chose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::client::Client;
use super::{Forwarder, http2, refusal, session};
use crate::crowd::Guest;
use crate::error::Refusal;
use crate::tls::{Accepted, Front, HandshakeError, Wire};

/// A client that is at the door when the edge stops is let in if it takes no longer than this.
const LAST_HANDSHAKES: Duration = Duration::from_secs(1);

pub(super) async fn run(
    forwarder: Arc<Forwarder>,
    front: Arc<Front>,
    stream: TcpStream,
    address: SocketAddr,
    guest: Guest,
) {
    let plane = &forwarder.plane;
    let counted = plane.in_flight.enter();
    let stopped = async {
        plane.stop.wait().await;
        tokio::time::sleep(LAST_HANDSHAKES).await;
    };
    let accepted = {
        // Boxed, so that what only the handshake needs is gone with it.
        let handshake = Box::pin(front.accept(stream, plane.timeouts.head));
        tokio::select! {
            accepted = handshake => accepted,
            () = stopped => return,
        }
    };
    match accepted {
        Ok(Accepted { stream, is_http_2 }) if is_http_2 => {
            http2::serve(forwarder.clone(), Wire::Tls(stream), Bytes::new(), address).await;
        }
        Ok(Accepted { stream, .. }) => {
            let served = Box::pin(session::run(forwarder.clone(), Wire::Tls(stream), address, Some(guest)));
            drop(counted);
            served.await;
        }
        Err(HandshakeError::Plain(stream)) => {
            let mut client = Client::new(Wire::Plain(stream), address, plane.timeouts.client);
            Box::pin(refusal::send_without_request(&mut client, Refusal::NotTls, plane)).await;
        }
        Err(HandshakeError::Ended(_)) => {}
    }
}
