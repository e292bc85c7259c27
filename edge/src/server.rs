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
use pingora_core::ErrorType;
use pingora_core::apps::{HttpServerApp, ReusedHttpStream};
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ShutdownWatch};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use pingora_proxy::{HttpProxy, http_proxy};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::admin;
use crate::carrier::forward::Forwarder;
use crate::carrier::pingora::PingoraCarrier;
use crate::config::{Carrier, EdgeConfig, EntryPoint};
use crate::drain::InFlight;
use crate::metrics::Metrics;
use crate::plane::{self, Plane};
use crate::threads::Threads;

/// Connections the kernel holds for us until they are accepted: a burst of clients after a restart.
const BACKLOG: u32 = 4096;

/// Idle connections to servers, kept at most 4 s each. Below the peak concurrency, reuse fails and CPU doubles.
const POOL_CONNECTIONS: usize = 2048;

/// A listener's buffers for each connection. pingora's own are 64 KiB: most of what an idle client would cost.
const READ_BUFFER_BYTES: usize = 4096;
const WRITE_BUFFER_BYTES: usize = 1460;

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
    threads: Threads,
    plane: Arc<Plane>,
    listeners: Vec<(EntryPoint, TcpListener)>,
    admin: Option<TcpListener>,
}

impl BoundEdge {
    /// # Errors
    /// Where an address cannot be bound, the access log not opened, or the threads not started.
    pub fn bind(config: EdgeConfig, mappings: Arc<ArcSwap<Snapshot>>) -> Result<Self, StartError> {
        let threads = Threads::start(config.threads).map_err(StartError::Runtime)?;
        let listeners = config
            .entry_points
            .into_iter()
            .map(|entry| Ok((listen(threads.handle(), entry.listen)?, entry)))
            .map(|bound: Result<_, StartError>| bound.map(|(listener, entry)| (entry, listener)))
            .collect::<Result<_, _>>()?;
        let admin = config
            .admin
            .map(|address| listen(threads.handle(), address))
            .transpose()?;
        let metrics = Arc::new(Metrics::new().map_err(StartError::Metrics)?);
        let access_log = config.access_log.map(|target| AccessLog::start(target, &metrics));
        let plane = Plane {
            mappings,
            aggregator: config.aggregator.as_ref().map(plane::aggregator_servers),
            bounds: config.bounds,
            timeouts: config.timeouts,
            carrier: config.carrier,
            metrics,
            access_log: access_log.transpose().map_err(StartError::AccessLog)?,
            in_flight: Arc::new(InFlight::default()),
        };
        Ok(Self {
            threads,
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
            self.threads
                .handle()
                .spawn(serve(self.plane.clone(), entry, listener, stopping.clone()));
        }
        if let Some(listener) = self.admin {
            self.threads
                .handle()
                .spawn(admin::serve(self.plane.clone(), listener, stopping));
        }
        RunningEdge {
            threads: self.threads,
            plane: self.plane,
            stop,
        }
    }
}

/// A serving edge. [`RunningEdge::stop`] ends it; dropping it cuts what is in flight.
pub struct RunningEdge {
    threads: Threads,
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
        let drained = self.threads.handle().block_on(async {
            match drain {
                Some(limit) => tokio::time::timeout(limit, in_flight.none_left()).await.is_ok(),
                None => {
                    in_flight.none_left().await;
                    true
                }
            }
        });
        let cut = if drained { 0 } else { in_flight.count() };
        self.threads.end(LAST_FLUSH);
        cut
    }

    /// After a log rotation.
    pub fn reopen_logs(&self) {
        if let Some(log) = &self.plane.access_log {
            log.reopen();
        }
    }
}

fn listen(runtime: &Handle, address: SocketAddr) -> Result<TcpListener, StartError> {
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
    let mut service = Service::new("edge".to_owned(), Downstream::new(&plane, entry.name));
    service.add_listener(
        ListenerConfig::tcp(address.clone()).l4_buffer(L4BufferSettings::new(READ_BUFFER_BYTES, WRITE_BUFFER_BYTES)),
    );
    let mut descriptors = Fds::new();
    descriptors.add(address, listener.into_raw_fd());
    let descriptors = Arc::new(parking_lot::Mutex::new(descriptors));
    service.start_service(Some(descriptors), stopping, 1).await;
}

/// Counts connections, reads each request's head, and hands it to the carrier it is for.
struct Downstream {
    forwarder: Forwarder,
    proxy: Arc<HttpProxy<PingoraCarrier>>,
    carrier: Carrier,
    in_flight: Arc<InFlight>,
}

impl Downstream {
    fn new(plane: &Arc<Plane>, entry_point: Option<Arc<str>>) -> Self {
        let conf = ServerConf {
            upstream_keepalive_pool_size: POOL_CONNECTIONS,
            ..ServerConf::default()
        };
        let carrier = PingoraCarrier {
            plane: plane.clone(),
            entry_point: entry_point.clone(),
            tls: false,
        };
        Self {
            forwarder: Forwarder::new(plane.clone(), entry_point, false),
            proxy: Arc::new(http_proxy(&Arc::new(conf), carrier)),
            carrier: plane.carrier,
            in_flight: plane.in_flight.clone(),
        }
    }

    /// The head, or `None` where the connection has none to give: closed, malformed (400), or let go by a stop.
    async fn with_head(mut session: ServerSession, stopping: &ShutdownWatch) -> Option<ServerSession> {
        let mut stopped = stopping.clone();
        let read = tokio::select! {
            // What has come already is answered, also while stopping.
            biased;
            read = session.read_request() => read,
            _ = stopped.wait_for(|stopped| *stopped) => return None,
        };
        match read {
            Ok(true) if session.req_header().method == http::Method::CONNECT => {
                let _ = session.respond_error(405).await;
                None
            }
            Ok(true) => {
                if *stopping.borrow() {
                    session.set_keepalive(None);
                }
                Some(session)
            }
            Ok(false) => None,
            Err(error) => {
                if error.etype() == &ErrorType::InvalidHTTPHeader {
                    let _ = session.respond_error(400).await;
                }
                session.shutdown().await;
                None
            }
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
        if self.carrier == Carrier::PingoraProxy || session.is_http2() {
            return self.proxy.process_new_http(session, stopping).await;
        }
        let session = Self::with_head(session, stopping).await?;
        // A connection that answered its last request while we are stopping is not waited on for another.
        self.forwarder.serve(session).await.filter(|_| !*stopping.borrow())
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}
