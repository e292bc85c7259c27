//! The edge's life: bind, start, stop. Ports are bound before anything runs, so a taken port is a plain error.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use keymap::Snapshot;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::{Fds, ShutdownWatch};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::admin;
use crate::balance::mirror::Copies;
use crate::carrier::forward::{self, Door, Forwarder};
use crate::carrier::pingora;
use crate::config::{Carrier, EdgeConfig, EntryPoint, StateFolder};
use crate::crowd::Crowd;
use crate::drain::{InFlight, Stop};
use crate::health;
use crate::limits::clock::Clock;
use crate::limits::registry::Registry;
use crate::metrics::Metrics;
use crate::plane::{self, Limiting, Plane};
use crate::pressure::Pressure;
use crate::state::{Folder, Keeper, StateError};
use crate::tap::Tap;
use crate::threads::Threads;
use crate::tls::{Tls, TlsFault};

/// Connections the kernel holds for us until they are accepted: a burst of clients after a restart.
const BACKLOG: u32 = 4096;

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
    Journal(capture::Error),
    State(StateError),
    Tls(TlsFault),
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
            Self::State(error) => error.fmt(f),
            Self::Tls(fault) => write!(f, "TLS: {fault}"),
            Self::Journal(error) => write!(f, "cannot keep what passes (--journal): {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Everything is bound and nothing runs yet.
pub struct BoundEdge {
    threads: Threads,
    plane: Arc<Plane>,
    carrier: Carrier,
    listeners: Vec<(EntryPoint, TcpListener)>,
    tls_listeners: Vec<(EntryPoint, TcpListener)>,
    admin: Option<TcpListener>,
}

impl BoundEdge {
    /// # Errors
    /// Where an address cannot be bound, the access log or the journal not opened, or the threads not started.
    pub fn bind(config: EdgeConfig, mappings: Arc<ArcSwap<Snapshot>>) -> Result<Self, StartError> {
        let threads = Threads::start(config.threads).map_err(StartError::Runtime)?;
        let tls = Tls::load(&config.tls).map_err(StartError::Tls)?;
        let listeners = listen_all(threads.handle(), config.entry_points)?;
        let tls_listeners = listen_all(threads.handle(), config.tls.entry_points)?;
        let admin = config
            .admin
            .map(|address| listen(threads.handle(), address))
            .transpose()?;
        let metrics = Arc::new(Metrics::new());
        let access_log = config.access_log.map(|target| AccessLog::start(target, &metrics));
        let servers = Arc::new(health::Registry::new(tls.back.clone()));
        let tap = config.capture.as_ref().map(Tap::open);
        let plane = Plane {
            stop: Stop::default(),
            mappings,
            aggregator: config.aggregator.as_ref().map(|url| plane::aggregator(url, &servers)),
            crowd: Arc::new(Crowd::new(config.bounds.crowd)),
            pressure: Arc::new(Pressure::default()),
            trusted_proxies: config.trusted_proxies,
            bounds: config.bounds,
            timeouts: config.timeouts,
            balancing: config.balancing,
            servers,
            copies: Copies::new(tls.back.clone()),
            metrics,
            limits: limiting(config.state)?,
            tap: tap.transpose().map_err(StartError::Journal)?,
            access_log: access_log.transpose().map_err(StartError::AccessLog)?,
            in_flight: Arc::new(InFlight::default()),
            tls,
        };
        Ok(Self {
            threads,
            plane: Arc::new(plane),
            carrier: config.carrier,
            listeners,
            tls_listeners,
            admin,
        })
    }

    /// Where it listens without TLS, in the order of the configuration's entry points.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        addresses(&self.listeners)
    }

    /// Where it listens with TLS, in their order too.
    pub fn tls_addresses(&self) -> Vec<SocketAddr> {
        addresses(&self.tls_listeners)
    }

    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.local_addr().ok()
    }

    /// Starts serving on the edge's own threads.
    pub fn start(self) -> RunningEdge {
        let (stop, stopping) = watch::channel(false);
        for (entry, listener) in self.listeners {
            let plane = self.plane.clone();
            match self.carrier {
                Carrier::Forwarder => self.threads.handle().spawn(serve(plane, entry, listener)),
                Carrier::PingoraProxy => {
                    let serve = serve_with_pingora(plane, entry, listener, stopping.clone());
                    self.threads.handle().spawn(serve)
                }
            };
        }
        for (entry, listener) in self.tls_listeners {
            let serve = serve_tls(self.plane.clone(), entry, listener, stopping.clone());
            self.threads.handle().spawn(serve);
        }
        if let Some(bytes_max) = self.plane.bounds.memory_bytes_max {
            self.threads
                .handle()
                .spawn(self.plane.pressure.clone().watch(bytes_max));
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
        self.plane.stop.begin();
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

    /// After a renewal: certificates, keys and authorities are read again, by a thread of their own.
    pub fn reload_tls(&self) {
        self.plane.tls.back.forget();
        if let Some(follower) = &self.plane.tls.follower {
            follower.look_now();
        }
    }

    /// After a log rotation.
    pub fn reopen_logs(&self) {
        if let Some(log) = &self.plane.access_log {
            log.reopen();
        }
    }
}

fn limiting(folder: Option<StateFolder>) -> Result<Limiting, StartError> {
    let (clock, registry) = (Clock::start(), Arc::new(Registry::default()));
    let opened = match folder {
        None => None,
        Some(StateFolder { path, required }) => match Folder::open(&path) {
            Ok(opened) => Some(opened),
            Err(error) if required => return Err(StartError::State(error)),
            Err(error) => {
                tracing::warn!("what is used of limits will be forgotten when this edge ends: {error}");
                None
            }
        },
    };
    let folder = opened.map(|(folder, facts)| {
        registry.restore(facts);
        folder
    });
    let keeper = Keeper::start(folder, registry.clone(), clock).map_err(StartError::Runtime)?;
    Ok(Limiting {
        clock,
        registry,
        _keeper: keeper,
    })
}

fn addresses(listeners: &[(EntryPoint, TcpListener)]) -> Vec<SocketAddr> {
    let bound = listeners.iter();
    bound.filter_map(|(_, listener)| listener.local_addr().ok()).collect()
}

fn listen_all(runtime: &Handle, entries: Vec<EntryPoint>) -> Result<Vec<(EntryPoint, TcpListener)>, StartError> {
    let bound = entries.into_iter().map(|entry| {
        let listener = listen(runtime, entry.listen)?;
        Ok((entry, listener))
    });
    bound.collect()
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
        // What is accepted inherits both: a token is not held back to be sent with the next one, and a client whose
        // machine has vanished is noticed.
        socket.set_nodelay(true)?;
        socket.set_keepalive(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    socket().map_err(|error| StartError::Bind { address, error })
}

async fn serve(plane: Arc<Plane>, entry: EntryPoint, listener: TcpListener) {
    let forwarder = Arc::new(Forwarder::new(plane, entry.name, false));
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => forward::serve(forwarder, listener, None).await,
        Err(error) => tracing::error!(%error, "a listener cannot be served"),
    }
}

/// Clients choose: HTTP/1.1 is carried by our own carrier, HTTP/2 by pingora-proxy.
async fn serve_tls(plane: Arc<Plane>, entry: EntryPoint, listener: TcpListener, stopping: ShutdownWatch) {
    let Some(front) = plane.tls.front.clone() else {
        return;
    };
    let carried = pingora::Downstream::new(plane.clone(), entry.name.clone(), true);
    let http_2 = pingora::Http2::new(carried, stopping);
    let forwarder = Arc::new(Forwarder::new(plane, entry.name, true));
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => forward::serve(forwarder, listener, Some(Arc::new(Door { front, http_2 }))).await,
        Err(error) => tracing::error!(%error, "a listener cannot be served"),
    }
}

async fn serve_with_pingora(plane: Arc<Plane>, entry: EntryPoint, listener: TcpListener, stopping: ShutdownWatch) {
    let address = entry.listen.to_string();
    let mut service = Service::new("edge".to_owned(), pingora::Downstream::new(plane, entry.name, false));
    service.add_listener(
        ListenerConfig::tcp(address.clone()).l4_buffer(L4BufferSettings::new(READ_BUFFER_BYTES, WRITE_BUFFER_BYTES)),
    );
    let mut descriptors = Fds::new();
    descriptors.add(address, listener.into_raw_fd());
    let descriptors = Arc::new(parking_lot::Mutex::new(descriptors));
    service.start_service(Some(descriptors), stopping, 1).await;
}
