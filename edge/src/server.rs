//! The edge's life: bind, start, stop. Ports are bound before anything runs, so a taken port is a plain error.

mod error;
mod listen;
mod running;
mod successor;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use keymap::Snapshot;
use parking_lot::Mutex;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::{Fds, ShutdownWatch};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::admin;
use crate::balance::mirror::Copies;
use crate::carrier::forward::{self, Aside, Forwarder};
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
use crate::state::{Folder, Keeper};
use crate::streams::Streams;
use crate::takeover::{Door, Doors, Estate, Role, Sockets};
use crate::tap::Tap;
use crate::threads::Threads;
use crate::tls::{RedirectPoint, Tls};

pub use error::StartError;
pub use running::{Pulse, RunningEdge};
pub use successor::Successor;

use listen::{addresses, listen, listen_all};

/// A listener's buffers for each connection. pingora's own are 64 KiB: most of what an idle client would cost.
const READ_BUFFER_BYTES: usize = 4096;
const WRITE_BUFFER_BYTES: usize = 1460;

/// Everything is bound and nothing runs yet.
pub struct BoundEdge {
    threads: Threads,
    plane: Arc<Plane>,
    carrier: Carrier,
    listeners: Vec<(EntryPoint, TcpListener)>,
    tls_listeners: Vec<(EntryPoint, TcpListener)>,
    redirects: Vec<(RedirectPoint, TcpListener)>,
    admin: Option<(SocketAddr, TcpListener)>,
    /// What `limits` is remembered in, where it is open.
    state: Option<PathBuf>,
}

impl BoundEdge {
    /// # Errors
    /// Where an address cannot be bound, the access log or the journal not opened, or the threads not started.
    pub fn bind(config: EdgeConfig, mappings: Arc<ArcSwap<Snapshot>>) -> Result<Self, StartError> {
        Self::bind_on(config, mappings, Sockets::default())
    }

    /// On sockets that a service manager opened, each of which must be configured; what else is configured is bound.
    ///
    /// # Errors
    /// As for [`BoundEdge::bind`], and where a socket is nobody's.
    pub fn bind_on(
        config: EdgeConfig,
        mappings: Arc<ArcSwap<Snapshot>>,
        mut sockets: Sockets,
    ) -> Result<Self, StartError> {
        let bound = Self::build(config, mappings, &mut sockets, false)?;
        match sockets.left().first() {
            Some(address) => Err(StartError::UnknownSocket(*address)),
            None => Ok(bound),
        }
    }

    fn build(
        config: EdgeConfig,
        mappings: Arc<ArcSwap<Snapshot>>,
        sockets: &mut Sockets,
        has_predecessor: bool,
    ) -> Result<Self, StartError> {
        let threads = Threads::start(config.threads).map_err(StartError::Runtime)?;
        let tls = Tls::load(&config.tls).map_err(StartError::Tls)?;
        let mut bind = |role, address| listen(threads.handle(), sockets.take(role, address), address);
        let listeners = listen_all(Role::Clear, &mut bind, config.entry_points)?;
        let tls_listeners = listen_all(Role::Tls, &mut bind, config.tls.entry_points)?;
        let redirects = config.tls.redirects.into_iter().map(|point| {
            let listener = bind(Role::Redirect, point.entry.listen)?;
            Ok((point, listener))
        });
        let redirects = redirects.collect::<Result<_, _>>()?;
        let admin = config
            .admin
            .map(|address| bind(Role::Admin, address).map(|listener| (address, listener)))
            .transpose()?;
        // A predecessor has the folder until the last moment.
        let state = config.state.filter(|_| !has_predecessor);
        let (limits, state) = limiting(state)?;
        let metrics = Arc::new(Metrics::new());
        let access_log = config.access_log.map(|target| AccessLog::start(target, &metrics));
        let servers = Arc::new(health::Registry::new(tls.back.clone()));
        let tap = config.capture.as_ref().map(Tap::open);
        let plane = Plane {
            stop: Stop::default(),
            mappings,
            aggregator: config.aggregator.as_ref().map(|url| plane::aggregator(url, &servers)),
            crowd: Arc::new(Crowd::new(config.bounds.crowd)),
            streams: Streams::new(config.bounds.streams_per_key_max),
            pressure: Arc::new(Pressure::default()),
            trusted_proxies: config.trusted_proxies,
            bounds: config.bounds,
            timeouts: config.timeouts,
            balancing: config.balancing,
            answers: config.answers,
            servers,
            copies: Copies::new(tls.back.clone()),
            metrics,
            limits,
            tap: tap.transpose().map_err(StartError::Journal)?,
            access_log: access_log.transpose().map_err(StartError::AccessLog)?,
            in_flight: Arc::new(InFlight::default()),
            tls,
            tracer: config.tracer,
        };
        Ok(Self {
            threads,
            plane: Arc::new(plane),
            carrier: config.carrier,
            listeners,
            tls_listeners,
            redirects,
            admin,
            state,
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

    /// Where it only says where TLS is.
    pub fn redirect_addresses(&self) -> Vec<SocketAddr> {
        let bound = self.redirects.iter();
        bound.filter_map(|(_, listener)| listener.local_addr().ok()).collect()
    }

    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.1.local_addr().ok()
    }

    /// Starts serving on the edge's own threads.
    pub fn start(self) -> RunningEdge {
        let (stop, stopping) = watch::channel(false);
        let doors = self.doors();
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
            self.threads
                .handle()
                .spawn(serve_tls(self.plane.clone(), entry, listener));
        }
        self.threads.handle().spawn(health::early::follow(self.plane.clone()));
        for (point, listener) in self.redirects {
            let aside = Aside {
                challenges: self.plane.tls.challenges(),
                redirect: Some(point.redirect),
            };
            let forwarder = Forwarder::new(self.plane.clone(), None, false).with_aside(aside);
            self.threads.handle().spawn(serve_clear(forwarder, listener));
        }
        let renewal = self.plane.tls.renew().unwrap_or_else(|error| {
            tracing::error!(%error, "certificates are not renewed: there is no thread for it");
            None
        });
        if let Some(bytes_max) = self.plane.bounds.memory_bytes_max {
            self.threads
                .handle()
                .spawn(self.plane.pressure.clone().watch(bytes_max));
        }
        if let Some((_, listener)) = self.admin {
            self.threads
                .handle()
                .spawn(admin::serve(self.plane.clone(), listener, stopping));
        }
        RunningEdge {
            threads: self.threads,
            plane: self.plane,
            stop,
            doors,
            state: self.state,
            remitter: Arc::default(),
            renewal,
        }
    }

    /// Copies of the listening sockets, for a successor.
    fn doors(&self) -> Doors {
        let clear = self
            .listeners
            .iter()
            .map(|(entry, listener)| (Role::Clear, entry.listen, listener));
        let tls = self
            .tls_listeners
            .iter()
            .map(|(entry, listener)| (Role::Tls, entry.listen, listener));
        let admin = self
            .admin
            .iter()
            .map(|(asked, listener)| (Role::Admin, *asked, listener));
        let redirects = self
            .redirects
            .iter()
            .map(|(point, listener)| (Role::Redirect, point.entry.listen, listener));
        let copy = |(role, asked, listener): (Role, SocketAddr, &TcpListener)| match listener.try_clone() {
            Ok(listener) => Some(Door { role, asked, listener }),
            Err(error) => {
                tracing::warn!(%error, "a socket cannot be kept for a successor");
                None
            }
        };
        Arc::new(Mutex::new(
            clear
                .chain(tls)
                .chain(redirects)
                .chain(admin)
                .filter_map(copy)
                .collect(),
        ))
    }
}

/// With the folder that was opened.
fn limiting(folder: Option<StateFolder>) -> Result<(Limiting, Option<PathBuf>), StartError> {
    let (clock, registry) = (Clock::start(), Arc::new(Registry::default()));
    let opened = match folder {
        None => None,
        Some(StateFolder { path, required }) => match Folder::open(&path) {
            Ok(opened) => Some((opened, path)),
            Err(error) if required => return Err(StartError::State(error)),
            Err(error) => {
                tracing::warn!("what is used of limits will be forgotten when this edge ends: {error}");
                None
            }
        },
    };
    let (folder, path) = opened
        .map(|((folder, facts), path)| {
            registry.restore(facts);
            (folder, path)
        })
        .unzip();
    let keeper = Keeper::start(folder, registry.clone(), clock).map_err(StartError::Runtime)?;
    let limiting = Limiting {
        clock,
        estate: Arc::new(Estate::new(registry.clone(), clock)),
        registry,
        keeper,
    };
    Ok((limiting, path))
}

/// A client that begins with HTTP/2's first bytes is served in that.
async fn serve(plane: Arc<Plane>, entry: EntryPoint, listener: TcpListener) {
    let aside = Aside {
        challenges: plane.tls.challenges(),
        redirect: None,
    };
    let forwarder = Forwarder::new(plane, entry.name, false).with_aside(aside).with_http_2();
    serve_clear(forwarder, listener).await;
}

async fn serve_clear(forwarder: Forwarder, listener: TcpListener) {
    let forwarder = Arc::new(forwarder);
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => forward::serve(forwarder, listener, None).await,
        Err(error) => tracing::error!(%error, "a listener cannot be served"),
    }
}

/// Clients choose between HTTP/1.1 and HTTP/2.
async fn serve_tls(plane: Arc<Plane>, entry: EntryPoint, listener: TcpListener) {
    let Some(front) = plane.tls.front.clone() else {
        return;
    };
    let forwarder = Arc::new(Forwarder::new(plane, entry.name, true));
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => forward::serve(forwarder, listener, Some(front)).await,
        Err(error) => tracing::error!(%error, "a listener cannot be served"),
    }
}

async fn serve_with_pingora(plane: Arc<Plane>, entry: EntryPoint, listener: TcpListener, stopping: ShutdownWatch) {
    let address = entry.listen.to_string();
    let mut service = Service::new("edge".to_owned(), pingora::Downstream::new(plane, entry.name));
    service.add_listener(
        ListenerConfig::tcp(address.clone()).l4_buffer(L4BufferSettings::new(READ_BUFFER_BYTES, WRITE_BUFFER_BYTES)),
    );
    let mut descriptors = Fds::new();
    descriptors.add(address, listener.into_raw_fd());
    let descriptors = Arc::new(parking_lot::Mutex::new(descriptors));
    service.start_service(Some(descriptors), stopping, 1).await;
}
