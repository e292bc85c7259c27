//! The service as a whole: bind, serve, shut down.
//!
//! Owns the background tasks and the listener. Invariant: when [`Bound::serve`] returns, every task has been joined.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::backend::{Client, Identity, MappingFeed, Poller, Sources, TargetRules};
use crate::catalogue::Catalogue;
use crate::config::AggregatorConfig;
use crate::config_file::{ConfigFile, ConfigFollower, CurrentConfig, InferenceAuth};
use crate::council::{Council, LibraryFollower};
use crate::desk::Desk;
use crate::door::Door;
use crate::fleet::{Fleet, Upstream};
use crate::gateway::{Gateway, Guard, Tap, Watched};
use crate::history;
use crate::ingest;
use crate::metrics::{Metrics, Requests};
use crate::router::{AppState, router};
use crate::server;
use crate::stats::{self, StatsBoard};
use crate::store::{Store, StoreError};
use crate::tasks::Tasks;

/// Background tasks hold nothing that must be finished; this is for the scheduler's sake.
const TASK_PATIENCE: Duration = Duration::from_millis(150);

/// The entry point; see [`Aggregator::bind`].
#[derive(Debug)]
pub struct Aggregator;

impl Aggregator {
    /// Takes the address and checks what can only be checked on this machine.
    ///
    /// # Errors
    /// [`StartError`], where the address, the HTTP client or the journal cannot be had.
    pub async fn bind(config: AggregatorConfig, feed: MappingFeed) -> Result<Bound, StartError> {
        Self::bind_on(config, feed, None).await
    }

    /// The same on a socket that a service manager opened, wherever that listens.
    ///
    /// # Errors
    /// As for [`Aggregator::bind`].
    pub async fn bind_on(
        config: AggregatorConfig,
        feed: MappingFeed,
        given: Option<std::net::TcpListener>,
    ) -> Result<Bound, StartError> {
        let asked = format!("{}:{}", config.host, config.port);
        let listener = match given {
            Some(given) => given.set_nonblocking(true).and_then(|()| TcpListener::from_std(given)),
            None => TcpListener::bind((config.host.as_str(), config.port)).await,
        };
        let listener = listener.map_err(|source| StartError::Bind {
            asked: asked.clone(),
            source,
        })?;
        let addr = listener
            .local_addr()
            .map_err(|source| StartError::Bind { asked, source })?;
        let identity = Identity::new();
        let client = Client::new(&config.backends, &identity).map_err(StartError::Client)?;
        let upstream = Upstream::new(&identity).map_err(StartError::Client)?;
        let tap = config
            .capture
            .as_ref()
            .map(Tap::open)
            .transpose()
            .map_err(StartError::Journal)?;
        let store = config.store.clone().map(Store::open).transpose();
        let store = store.map_err(StartError::Store)?;
        Ok(Bound {
            config,
            feed,
            listener,
            addr,
            identity,
            client,
            upstream,
            tap,
            store,
        })
    }
}

/// A service that has its address and is ready to serve.
pub struct Bound {
    config: AggregatorConfig,
    feed: MappingFeed,
    listener: TcpListener,
    addr: SocketAddr,
    identity: Identity,
    client: Client,
    upstream: Upstream,
    tap: Option<Tap>,
    store: Option<Store>,
}

impl Bound {
    /// Where it listens; the port is the real one where 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `shutdown` resolves, then ends within the drain time-out.
    ///
    /// # Errors
    /// [`ServeError`], where a background task ended by itself: answers would grow stale unnoticed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let bounds = self.config.server;
        let patience = bounds.drain_timeout.max(bounds.answer_drain_timeout) + TASK_PATIENCE;
        tracing::info!(address = %self.addr, "the aggregator listens");
        let mut tasks = self.spawn();
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            task = tasks.next_end() => Err(ServeError { task }),
        };
        tasks.shut_down(patience).await;
        outcome
    }

    fn spawn(self) -> Tasks {
        let Self {
            config,
            feed,
            listener,
            addr,
            identity,
            client,
            upstream,
            tap,
            store,
        } = self;
        let mut tasks = Tasks::new();
        let catalogue = Arc::new(Catalogue::new(config.backends.mapping_timeout));
        let board = Arc::new(StatsBoard::new());
        let rules = TargetRules {
            skip: config.skip,
            own: addr,
        };
        let first = config.file.as_ref().map(|source| Arc::clone(source.config()));
        let first = first.unwrap_or_else(|| Arc::new(ConfigFile::without_file(&|name| std::env::var(name).ok())));
        let guard = Guard::new(inference_auth(&first, addr), feed.table());
        let settings = Arc::new(CurrentConfig::new(first));
        if let Some(source) = &config.file {
            let follower = ConfigFollower::new(source, Arc::clone(&settings));
            tasks.spawn("configuration watch", follower.run(tasks.stop_signal()));
        }
        let council = Council::new(Arc::clone(&settings));
        let follower = LibraryFollower::new(&council, Arc::clone(&catalogue));
        tasks.spawn("council templates watch", follower.run(tasks.stop_signal()));
        let desk = Arc::new(Desk::new(feed.folder()));
        let (fleet, hurries) = Fleet::new(upstream);
        let fleet = Arc::new(fleet);
        let sources = Sources {
            feed,
            settings: Arc::clone(&settings),
            hurries,
        };
        let published = (Arc::clone(&catalogue), Arc::clone(&fleet));
        let poller = Poller::new(config.backends, rules, sources, client, published);
        tasks.spawn("backend poller", poller.run(tasks.stop_signal()));
        stats::spawn(&mut tasks, config.stats, &board);
        let keeper = history::keep(
            Arc::clone(&desk.history),
            Arc::clone(&fleet),
            Arc::clone(&board),
            tasks.stop_signal(),
        );
        tasks.spawn("history", keeper);
        let ledger = tap.as_ref().map(Tap::ledger);
        let requests = Arc::<Requests>::default();
        let watched = Watched {
            metrics: Arc::clone(&requests),
            tracer: config.tracer.clone(),
        };
        let known = (Arc::clone(&fleet), Arc::clone(&catalogue));
        let gateway = Gateway::new(known, identity.clone(), guard, (tap, watched), council);
        let gateway = Arc::new(gateway);
        let ingest = config.ingest.zip(store.clone());
        let metrics = Metrics {
            requests,
            tracer: config.tracer,
            ingest: ingest.and_then(|(config, store)| ingest::spawn(&mut tasks, &config, store)),
            ledger,
        };
        let mut hosts = config.allowed_hosts;
        hosts.allow(&config.host);
        let door = Door::new(Arc::clone(&settings), hosts);
        let working = Arc::clone(&fleet);
        let routes = router(AppState {
            gateway,
            desk,
            catalogue,
            fleet,
            settings,
            stats: board,
            identity,
            store,
            metrics,
            door,
        });
        tasks.spawn(
            "listener",
            server::run(
                listener,
                routes,
                config.server,
                tasks.stop_signal(),
                Box::new(move || working.is_working()),
            ),
        );
        tasks
    }
}

/// Open by default on loopback only: whoever reaches another address needs a key, unless the file says otherwise.
fn inference_auth(file: &ConfigFile, addr: SocketAddr) -> InferenceAuth {
    let default = match addr.ip().to_canonical().is_loopback() {
        true => InferenceAuth::None,
        false => InferenceAuth::Keys,
    };
    let auth = file.server.auth.unwrap_or(default);
    match auth {
        InferenceAuth::None => tracing::info!("models may be asked here without a key"),
        InferenceAuth::Keys => tracing::info!("models may be asked here with a key of the mapping files"),
    }
    auth
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

/// Why the service does not start.
#[derive(Debug)]
pub enum StartError {
    Bind { asked: String, source: std::io::Error },
    Client(reqwest::Error),
    Journal(capture::Error),
    Store(StoreError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { asked, source } => write!(
                f,
                "the aggregator cannot listen on {asked}: {source}\n    fix:   choose a free address with --host and --port"
            ),
            Self::Client(source) => write!(f, "the HTTP client for backends cannot be built: {source}"),
            Self::Journal(source) => write!(f, "the aggregator cannot keep what passes (--journal): {source}"),
            Self::Store(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } => Some(source),
            Self::Client(source) => Some(source),
            Self::Journal(source) => Some(source),
            Self::Store(source) => Some(source),
        }
    }
}

/// A background task ended while the service was running.
#[derive(Debug)]
pub struct ServeError {
    task: &'static str,
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the aggregator's task {:?} ended by itself; the log says why",
            self.task
        )
    }
}

impl std::error::Error for ServeError {}
