//! The edge's life: bind, start, stop. Ports are bound before anything runs, so a taken port is a plain error.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use keymap::Snapshot;
use pingora_core::apps::{HttpServerApp, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ShutdownWatch};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use pingora_proxy::{HttpProxy, http_proxy};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::admin;
use crate::carrier::pingora::PingoraCarrier;
use crate::config::{EdgeConfig, EntryPoint};
use crate::drain::InFlight;
use crate::metrics::Metrics;
use crate::plane::{self, Plane};

/// Connections the kernel holds for us until they are accepted: a burst of clients after a restart.
const BACKLOG: u32 = 4096;

/// Idle connections to servers, kept at most 4 s each. Below the peak concurrency, reuse fails and CPU doubles.
const POOL_CONNECTIONS: usize = 2048;

/// After the last stream, for what is still being flushed.
const LAST_FLUSH: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub enum StartError {
    Bind { address: SocketAddr, error: io::Error },
    Runtime(io::Error),
    AccessLog(io::Error),
    Metrics(prometheus::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { address, error } => {
                write!(
                    f,
                    "cannot listen on {address}: {error}; choose another address or end what listens there"
                )
            }
            Self::Runtime(error) => write!(f, "cannot start the edge's threads: {error}"),
            Self::AccessLog(error) => write!(f, "cannot open the access log: {error}"),
            Self::Metrics(error) => write!(f, "cannot register the metrics: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Everything is bound and nothing runs yet.
pub struct BoundEdge {
    runtime: Runtime,
    plane: Arc<Plane>,
    listeners: Vec<(EntryPoint, TcpListener)>,
    admin: Option<TcpListener>,
}

impl BoundEdge {
    /// # Errors
    /// Where an address cannot be bound, the access log not opened, or the threads not started.
    pub fn bind(config: EdgeConfig, mappings: Arc<ArcSwap<Snapshot>>) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .thread_name("edge")
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        let listeners = config
            .entry_points
            .into_iter()
            .map(|entry| Ok((listen(&runtime, entry.listen)?, entry)))
            .map(|bound: Result<_, StartError>| bound.map(|(listener, entry)| (entry, listener)))
            .collect::<Result<_, _>>()?;
        let admin = config.admin.map(|address| listen(&runtime, address)).transpose()?;
        let metrics = Arc::new(Metrics::new().map_err(StartError::Metrics)?);
        let access_log = config.access_log.map(|target| AccessLog::start(target, &metrics));
        let plane = Plane {
            mappings,
            aggregator: config.aggregator.as_ref().map(plane::aggregator_servers),
            bounds: config.bounds,
            timeouts: config.timeouts,
            metrics,
            access_log: access_log.transpose().map_err(StartError::AccessLog)?,
            in_flight: Arc::new(InFlight::default()),
        };
        Ok(Self {
            runtime,
            plane: Arc::new(plane),
            listeners,
            admin,
        })
    }

    /// Where it listens, in the order of the configuration's entry points.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|(_, listener)| listener.local_addr().ok())
            .collect()
    }

    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.local_addr().ok()
    }

    /// Starts serving on the edge's own threads.
    pub fn start(self) -> RunningEdge {
        let (stop, stopping) = watch::channel(false);
        for (entry, listener) in self.listeners {
            self.runtime
                .spawn(serve(self.plane.clone(), entry, listener, stopping.clone()));
        }
        if let Some(listener) = self.admin {
            self.runtime.spawn(admin::serve(self.plane.clone(), listener, stopping));
        }
        RunningEdge {
            runtime: self.runtime,
            plane: self.plane,
            stop,
        }
    }
}

/// A serving edge. [`RunningEdge::stop`] ends it; dropping it cuts what is in flight.
pub struct RunningEdge {
    runtime: Runtime,
    plane: Arc<Plane>,
    stop: watch::Sender<bool>,
}

impl RunningEdge {
    /// Stops accepting, finishes what is in flight, and returns how many connections had to be cut (none, unless the
    /// drain time-out is configured and passed).
    pub fn stop(self) -> usize {
        let _ = self.stop.send(true);
        let in_flight = self.plane.in_flight.clone();
        let drain = self.plane.timeouts.drain;
        tracing::info!(connections = in_flight.count(), "draining");
        self.runtime.block_on(async {
            match drain {
                Some(limit) => drop(tokio::time::timeout(limit, in_flight.none_left()).await),
                None => in_flight.none_left().await,
            }
        });
        let cut = in_flight.count();
        self.runtime.shutdown_timeout(LAST_FLUSH);
        cut
    }

    /// After a log rotation.
    pub fn reopen_logs(&self) {
        if let Some(log) = &self.plane.access_log {
            log.reopen();
        }
    }
}

fn listen(runtime: &Runtime, address: SocketAddr) -> Result<TcpListener, StartError> {
    let _inside = runtime.enter();
    let socket = || -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() {
            tokio::net::TcpSocket::new_v4()
        } else {
            tokio::net::TcpSocket::new_v6()
        }?;
        // Else a restart waits for the old connections' TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    socket().map_err(|error| StartError::Bind { address, error })
}

async fn serve(plane: Arc<Plane>, entry: EntryPoint, listener: TcpListener, stopping: ShutdownWatch) {
    let address = entry.listen.to_string();
    let conf = ServerConf {
        upstream_keepalive_pool_size: POOL_CONNECTIONS,
        ..ServerConf::default()
    };
    let carrier = PingoraCarrier {
        plane: plane.clone(),
        entry_point: entry.name,
        tls: false,
    };
    let app = Downstream {
        proxy: Arc::new(http_proxy(&Arc::new(conf), carrier)),
        in_flight: plane.in_flight.clone(),
    };
    let mut service = Service::new("edge".to_owned(), app);
    service.add_tcp(&address);
    let mut descriptors = Fds::new();
    descriptors.add(address, listener.into_raw_fd());
    let descriptors = Arc::new(parking_lot::Mutex::new(descriptors));
    service.start_service(Some(descriptors), stopping, 1).await;
}

/// Counts connections and hands each to its carrier.
struct Downstream {
    proxy: Arc<HttpProxy<PingoraCarrier>>,
    in_flight: Arc<InFlight>,
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
