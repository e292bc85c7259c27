//! Which server a request goes to next, and the terms of the connection.

use std::time::Duration;

use pingora_core::prelude::HttpPeer;
use pingora_core::protocols::ALPN;
use pingora_core::{Error, ErrorType, Result};

use super::{Carried, PingoraCarrier, body};
use crate::error::Refusal;
use crate::upstream::{self, Times, Upstream};

/// llama-server closes an idle connection after 5 s; ours must have left the pool before.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// To one server, on one connection of HTTP/2. More than these open another.
const UPSTREAM_STREAMS_MAX: usize = 100;

impl PingoraCarrier {
    /// The next server that has an address, and the client its turn there.
    pub(super) async fn peer(&self, carried: &mut Carried) -> Result<Box<HttpPeer>> {
        let fresh_connection = carried.fresh_connection;
        carried.wait_for_turn().await?;
        loop {
            match carried.exchange()?.pick() {
                Ok(None) => {}
                Ok(Some(pause)) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(refusal) => return Err(carried.refused(refusal)),
            }
            carried.wait_for_turn().await?;
            let Some(server) = carried.exchange()?.current_server() else {
                return Err(carried.refused(Refusal::NoServer));
            };
            match server.address().await {
                Ok(address) => {
                    let mut peer = HttpPeer::new(address, server.tls(), server.server_name().to_owned());
                    if server.tls() {
                        self.trusting(&mut peer, server).await?;
                    }
                    peer.options.alpn = match server.http_2() {
                        upstream::Http2::Never => ALPN::H1,
                        upstream::Http2::Offered => ALPN::H2H1,
                        upstream::Http2::Always => ALPN::H2,
                    };
                    peer.options.max_h2_streams = UPSTREAM_STREAMS_MAX;
                    let times = server.times;
                    return Ok(Box::new(self.with_options(peer, times, fresh_connection)));
                }
                Err(error) => {
                    tracing::warn!(server = server.label(), %error, "a server's name cannot be looked up");
                    carried.exchange()?.server_unreachable();
                }
            }
        }
    }

    async fn trusting(&self, peer: &mut HttpPeer, server: &Upstream) -> Result<()> {
        let carried = self.plane.tls.back.carried(server.trust()).await;
        let carried = carried.map_err(|error| Error::because(ErrorType::InvalidCert, "files for TLS", error))?;
        peer.options.ca = carried.authorities;
        peer.client_cert_key = carried.identity;
        if let Some(trust) = server.trust() {
            peer.options.verify_cert = !trust.believes_anyone();
            // pingora does not tell pooled connections apart by whom they trusted.
            peer.group_key = trust.group();
        }
        Ok(())
    }

    fn with_options(&self, mut peer: HttpPeer, times: Times, fresh_connection: bool) -> HttpPeer {
        let timeouts = &self.plane.timeouts;
        let connect = times.dial.unwrap_or(timeouts.connect);
        peer.options.idle_timeout = Some(times.idle.unwrap_or(POOL_IDLE));
        peer.options.connection_timeout = Some(connect);
        peer.options.total_connection_timeout = Some(connect);
        peer.options.read_timeout = timeouts.read;
        if fresh_connection {
            peer.group_key = body::unique_group();
        }
        peer
    }
}
