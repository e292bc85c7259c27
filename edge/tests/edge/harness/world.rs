//! A whole edge in this process, on free ports, over a mapping folder of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use edge::{BoundEdge, Bounds, EdgeConfig, EntryPoint, RunningEdge, Timeouts, TrustedProxies};
use keymap::{ServerUrl, Watch, WatchOptions};

use super::http::{Answer, Connection};

/// Generous: it is only waited for when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct World {
    pub(crate) mappings: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    watch: Watch,
    edge: Option<RunningEdge>,
}

/// What differs from one world to another.
#[derive(Default)]
pub(crate) struct Terms {
    pub(crate) aggregator: Option<String>,
    pub(crate) bounds: Bounds,
    pub(crate) timeouts: Timeouts,
    pub(crate) balancing: edge::Balancing,
    pub(crate) answers: edge::Answers,
    pub(crate) entry_point: Option<&'static str>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) capture: Option<edge::CaptureConfig>,
    pub(crate) state: Option<edge::StateFolder>,
}

impl World {
    /// Starts an edge over these files (name, text).
    pub(crate) fn start(files: &[(&str, &str)]) -> Self {
        Self::on(Terms::default(), files)
    }

    pub(crate) fn on(terms: Terms, files: &[(&str, &str)]) -> Self {
        let mappings = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            std::fs::write(mappings.path().join(name), text).expect("written");
        }
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let entry_points = terms.entry_point.map(|name| vec![name.to_owned()]);
        let options = WatchOptions {
            poll_interval: Duration::from_millis(500),
            entry_points,
        };
        let watch = Watch::start(mappings.path(), options).expect("a watch");
        let config = EdgeConfig {
            entry_points: vec![EntryPoint {
                name: terms.entry_point.map(Into::into),
                listen: loopback,
            }],
            aggregator: terms.aggregator.map(|url| ServerUrl::parse(&url).expect("a URL")),
            admin: Some(loopback),
            // Both kinds of runtime are driven, one by each carrier.
            threads: if crate::CARRIER == edge::Carrier::Forwarder {
                2
            } else {
                1
            },
            bounds: terms.bounds,
            timeouts: terms.timeouts,
            trusted_proxies: terms.trusted_proxies,
            balancing: terms.balancing,
            answers: terms.answers,
            carrier: crate::CARRIER,
            state: terms.state,
            capture: terms.capture,
            ..EdgeConfig::at(loopback)
        };
        let bound = BoundEdge::bind(config, watch.snapshot()).expect("free ports");
        let (address, admin) = (bound.addresses()[0], bound.admin_address().expect("an admin address"));
        Self {
            mappings,
            address,
            admin,
            watch,
            edge: Some(bound.start()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.mappings.path()
    }

    /// One request on a connection of its own.
    pub(crate) fn send(&self, request: &str) -> Answer {
        self.connect().exchange(request.as_bytes())
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Changes the folder and waits until the edge has taken it in.
    pub(crate) fn change(&self, change: impl FnOnce(&Path)) {
        let snapshot = self.watch.snapshot();
        let before = snapshot.load().generation;
        change(self.path());
        wait_for("the mapping folder's change", || snapshot.load().generation > before);
    }

    /// Ends the edge; returns how many connections were cut.
    pub(crate) fn stop(&mut self) -> usize {
        self.edge.take().expect("stopped once").stop()
    }

    pub(crate) fn admin_get(&self, path: &str) -> Answer {
        Connection::open(self.admin).exchange(format!("GET {path} HTTP/1.1\r\nHost: admin\r\n\r\n").as_bytes())
    }
}

/// Waits for a condition that something else brings about.
pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A mapping of one key to some servers.
pub(crate) fn mapping(name: &str, rule: &str, urls: &[String]) -> String {
    let servers: String = urls.iter().map(|url| format!("          - url: \"{url}\"\n")).collect();
    format!(
        "http:\n  routers:\n    {name}:\n      rule: '{rule}'\n      service: {name}\n  services:\n    {name}:\n      \
         loadBalancer:\n        servers:\n{servers}"
    )
}
