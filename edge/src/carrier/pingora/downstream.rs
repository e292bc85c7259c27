//! The listening side of the carrier on pingora-proxy: connections are counted, and end when the edge stops.

use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::{HttpProxy, http_proxy};

use super::PingoraCarrier;
use crate::drain::InFlight;
use crate::plane::Plane;

/// Idle connections to servers, kept at most 4 s each. Below the peak concurrency, reuse fails and CPU doubles.
const POOL_CONNECTIONS: usize = 2048;

pub(crate) struct Downstream {
    proxy: Arc<HttpProxy<PingoraCarrier>>,
    in_flight: Arc<InFlight>,
}

impl Downstream {
    pub(crate) fn new(plane: Arc<Plane>, entry_point: Option<Arc<str>>) -> Self {
        let conf = ServerConf {
            upstream_keepalive_pool_size: POOL_CONNECTIONS,
            ..ServerConf::default()
        };
        let in_flight = plane.in_flight.clone();
        let carrier = PingoraCarrier {
            plane,
            entry_point,
            kept: Arc::default(),
        };
        Self {
            proxy: Arc::new(http_proxy(&Arc::new(conf), carrier)),
            in_flight,
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
        self.proxy.process_new_http(session, stopping).await
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}
