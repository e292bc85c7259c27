//! Two edges over the same mapping, one of each carrier.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use edge::{BoundEdge, Carrier, EdgeConfig, RunningEdge, Timeouts};
use keymap::{Watch, WatchOptions};

use super::case::Case;
use super::client::{Conversation, Names, converse};
use super::known;
use super::origin::{Attempt, Origin};

/// A server's address for each conversation, so that none finds another's connections in the pool. They come round
/// again after longer than an idle connection is kept.
const SERVERS: u64 = 2000;

pub(crate) struct World {
    origin: Origin,
    edges: [(RunningEdge, SocketAddr); 2],
    runs: AtomicU64,
    _folder: tempfile::TempDir,
    _watch: Watch,
}

/// What became of one conversation.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// By exchange, what the server saw.
    pub(crate) attempts: Vec<Vec<Attempt>>,
    pub(crate) told: Conversation,
    /// What the server saw that nobody had sent.
    pub(crate) strays: Vec<String>,
}

impl World {
    pub(crate) fn start() -> Self {
        let (origin, port) = Origin::start();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("keys.yml"), mapping(port)).expect("written");
        let options = WatchOptions {
            poll_interval: Duration::from_secs(60),
            entry_points: None,
        };
        let watch = Watch::start(folder.path(), options).expect("a watch");
        let edges = [Carrier::Forwarder, Carrier::PingoraProxy].map(|carrier| {
            let bound = BoundEdge::bind(config(carrier), watch.snapshot()).expect("free ports");
            let address = bound.addresses()[0];
            (bound.start(), address)
        });
        Self {
            origin,
            edges,
            runs: AtomicU64::new(0),
            _folder: folder,
            _watch: watch,
        }
    }

    /// The same conversation through the forwarder and through pingora-proxy.
    pub(crate) fn run(&self, case: &Case) -> [Observed; 2] {
        let key = format!("sk-{}", self.runs.load(Ordering::Relaxed) / 2 % SERVERS);
        [0, 1].map(|at| {
            let run = self.runs.fetch_add(1, Ordering::Relaxed);
            let play = self.origin.play(run, case);
            let names = Names {
                edge: self.edges[at].1,
                key: &key,
                run,
                holds_on: at == 1 && known::pingora_holds_on(case),
            };
            let told = converse(case, &play, &names);
            let attempts = play.attempts().clone();
            self.origin.forget(run);
            Observed {
                attempts,
                told,
                strays: self.origin.strays(),
            }
        })
    }

    pub(crate) fn stop(self) {
        for (edge, _) in self.edges {
            edge.stop();
        }
    }
}

fn config(carrier: Carrier) -> EdgeConfig {
    EdgeConfig {
        timeouts: Timeouts {
            drain: Some(Duration::from_secs(5)),
            ..Timeouts::default()
        },
        carrier,
        ..EdgeConfig::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}

fn mapping(port: u16) -> String {
    let routers = (0..SERVERS).map(|at| format!("    k{at}: {{ rule: Key(`sk-{at}`), service: s{at} }}\n"));
    let services = (0..SERVERS).map(|at| {
        let (high, low) = (1 + at / 250, 1 + at % 250);
        format!("    s{at}: {{ loadBalancer: {{ servers: [{{ url: \"http://127.1.{high}.{low}:{port}\" }}] }} }}\n")
    });
    let (routers, services) = (routers.collect::<String>(), services.collect::<String>());
    format!("http:\n  routers:\n{routers}  services:\n{services}")
}
