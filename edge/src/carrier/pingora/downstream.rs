//! The listening side of the carrier on pingora-proxy: connections are counted, and end when the edge stops.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_core::server::ShutdownWatch;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::{HttpProxy, http_proxy};

use super::PingoraCarrier;
use super::upload::Upload;
use crate::drain::InFlight;
use crate::plane::Plane;

/// Idle connections to servers, kept at most 4 s each. Below the peak concurrency, reuse fails and CPU doubles.
const POOL_CONNECTIONS: usize = 2048;

/// A connection of HTTP/2 without a stream is let go after this.
const IDLE_MAX: Duration = Duration::from_secs(75);

pub(crate) struct Downstream {
    proxy: Arc<HttpProxy<PingoraCarrier>>,
    in_flight: Arc<InFlight>,
    options: HttpServerOptions,
    head_bytes_max: usize,
    /// A client of HTTP/2 that takes nothing of its answer is waited for so long.
    client_timeout: Duration,
}

impl Downstream {
    pub(crate) fn new(plane: Arc<Plane>, entry_point: Option<Arc<str>>, tls: bool) -> Self {
        let conf = ServerConf {
            upstream_keepalive_pool_size: POOL_CONNECTIONS,
            ..ServerConf::default()
        };
        let in_flight = plane.in_flight.clone();
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(IDLE_MAX);
        let (head_bytes_max, client_timeout) = (plane.bounds.head.bytes_max, plane.timeouts.client);
        let carrier = PingoraCarrier {
            plane,
            entry_point,
            tls,
            kept: Arc::default(),
        };
        Self {
            proxy: Arc::new(http_proxy(&Arc::new(conf), carrier)),
            in_flight,
            options,
            head_bytes_max,
            client_timeout,
        }
    }
}

#[async_trait]
impl HttpServerApp for Downstream {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        stopping: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let _counted = self.in_flight.enter();
        // Else a client that sends its next request early would have its answer cut.
        session.set_pipelining_enabled(true);
        if session.is_http2() {
            session.set_write_timeout(Some(self.client_timeout));
            let upload = Upload::begin(&mut session);
            let served = self.proxy.process_new_http(session, stopping);
            // Its stream is reset by being dropped, and the server's connection closed.
            return tokio::select! {
                served = served => served,
                () = upload.too_slow(self.client_timeout) => None,
            };
        }
        self.proxy.process_new_http(session, stopping).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_header_list_size(u32::try_from(self.head_bytes_max).unwrap_or(u32::MAX));
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}
