//! Backends that die, hang and come back while requests keep coming, heartbeats and all.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::extract::State;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::backend::{Client, MappingFeed, Poller, SkipPatterns, Sources, TargetRules};
use crate::catalogue::Catalogue;
use crate::config::BackendConfig;
use crate::config_file::{ConfigFile, CurrentConfig};
use crate::tasks::Tasks;

const WORKERS: usize = 8;

/// How long a request waits for its head before it takes the backend for hung.
const PATIENCE: Duration = Duration::from_millis(200);

#[derive(Clone, Default)]
struct Mode {
    hangs: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
}

impl Mode {
    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn serve(addr: SocketAddr, mode: Mode) -> (SocketAddr, JoinHandle<()>) {
    async fn maybe_hang(mode: &Mode) {
        if mode.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
    async fn list(State(mode): State<Mode>) -> &'static str {
        maybe_hang(&mode).await;
        r#"{"data":[{"id":"m"}]}"#
    }
    async fn chat(State(mode): State<Mode>) -> &'static str {
        mode.requests.fetch_add(1, Ordering::Relaxed);
        maybe_hang(&mode).await;
        "{}"
    }
    let listener = TcpListener::bind(addr).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let routes = Router::new()
        .route("/v1/models", get(list))
        .route("/chat", post(chat))
        .with_state(mode);
    (
        addr,
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() }),
    )
}

/// The poller and the fleet as the service has them.
fn start(tasks: &mut Tasks, config: &str) -> (Arc<Fleet>, Arc<Catalogue>) {
    let (file, problems) = ConfigFile::check(Path::new("config.yaml"), config, &|_| None);
    let settings = Arc::new(CurrentConfig::new(Arc::new(
        file.unwrap_or_else(|| panic!("{problems:#?}")),
    )));
    let identity = Identity::new();
    let backends = BackendConfig {
        configured_timeout: Duration::from_millis(300),
        ..BackendConfig::default()
    };
    let client = Client::new(&backends, &identity).unwrap();
    let (fleet, hurries) = Fleet::new(Upstream::new(&identity).unwrap());
    let (fleet, catalogue) = (Arc::new(fleet), Arc::new(Catalogue::new(Duration::from_secs(2))));
    let sources = Sources {
        feed: MappingFeed::new(Vec::new, watch::channel(0).1),
        settings,
        hurries,
    };
    let rules = TargetRules {
        skip: SkipPatterns::default(),
        own: "127.0.0.1:1".parse().unwrap(),
    };
    let poller = Poller::new(
        backends,
        rules,
        sources,
        client,
        (Arc::clone(&catalogue), Arc::clone(&fleet)),
    );
    tasks.spawn("poller", poller.run(tasks.stop_signal()));
    (fleet, catalogue)
}

/// One request, as a handler makes it. How many attempts it took.
async fn request(fleet: &Arc<Fleet>) -> usize {
    let none = HashMap::new();
    let mut attempts = fleet.attempts(&ask("m", &none)).unwrap();
    let mut tried = 0;
    while let Some(attempt) = attempts.next() {
        tried += 1;
        let request = fleet
            .upstream()
            .request(Method::POST, &attempt.backend, "/chat")
            .unwrap();
        match tokio::time::timeout(PATIENCE, request.send()).await {
            Ok(Ok(response)) if response.status() == 200 => {
                attempt.answered();
                response.bytes().await.unwrap();
                return tried;
            }
            _ => attempt.failed(),
        }
    }
    panic!("a healthy backend was left and nobody answered");
}

async fn load(fleet: &Arc<Fleet>, time: Duration) -> usize {
    let until = Instant::now() + time;
    let worker = || {
        let fleet = Arc::clone(fleet);
        tokio::spawn(async move {
            let mut tried = 0;
            while Instant::now() < until {
                tried += request(&fleet).await;
            }
            tried
        })
    };
    let workers: Vec<_> = (0..WORKERS).map(|_| worker()).collect();
    let mut tried = 0;
    for worker in workers {
        tried += worker.await.unwrap();
    }
    tried
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_and_the_sick_are_left_alone() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let (first, second) = (Mode::default(), Mode::default());
    let (address, first_task) = serve(any, first.clone()).await;
    let (other, _second_task) = serve(any, second.clone()).await;
    let mut tasks = Tasks::new();
    let config = format!(
        "routing: {{heartbeat_interval: 0.2}}\nbackends:\n\
         - {{name: first, type: openai, url: 'http://{address}', priority: 1}}\n\
         - {{name: second, type: openai, url: 'http://{other}', priority: 2}}\n"
    );
    let (fleet, catalogue) = start(&mut tasks, &config);
    catalogue.ready().await;
    let is_healthy = |name: &str| {
        fleet
            .view()
            .backends
            .iter()
            .any(|backend| &*backend.spec.name == name && backend.is_healthy())
    };

    load(&fleet, Duration::from_millis(200)).await;
    assert!(
        first.requests() > 0 && second.requests() == 0,
        "the lower priority number gets it all"
    );

    // It hangs: those in flight find out, and nobody after them has to.
    first.hangs.store(true, Ordering::Relaxed);
    let before = first.requests();
    load(&fleet, Duration::from_millis(800)).await;
    assert!(
        first.requests() - before <= WORKERS,
        "{} requests found out",
        first.requests() - before
    );
    until("heartbeats find it slow or down", || {
        fleet
            .view()
            .backends
            .iter()
            .any(|backend| matches!(backend.status, Status::Slow | Status::Down))
    })
    .await;
    first.hangs.store(false, Ordering::Relaxed);
    until("it recovers", || is_healthy("first")).await;
    let before = first.requests();
    load(&fleet, Duration::from_millis(200)).await;
    assert!(first.requests() > before, "and is preferred again");

    // It dies, and comes back on the same address.
    first_task.abort();
    let _ = first_task.await;
    load(&fleet, Duration::from_millis(500)).await;
    assert!(!is_healthy("first") && is_healthy("second"));
    let (_, _reborn) = serve(address, first.clone()).await;
    until("it is back", || is_healthy("first")).await;
    let flying: u32 = fleet
        .view()
        .backends
        .iter()
        .map(|backend| backend.traffic.in_flight())
        .sum();
    assert_eq!(flying, 0, "what was in flight was given back");
    tasks.shut_down(Duration::from_secs(1)).await;
}
