//! The aggregator in this process, on a free port, with mapping files made by hand.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aggregator::{Aggregator, AggregatorConfig, MappingFeed, ServeError};
use keymap::{FileState, FileStatus};
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// How long anything that happens "soon" may take on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

/// The text of a mapping file with one keyed service.
pub(crate) fn mapping_text(addresses: &[SocketAddr]) -> String {
    let servers: String = addresses
        .iter()
        .map(|addr| format!("          - url: http://{addr}\n"))
        .collect();
    format!(
        "http:\n  routers:\n    r: {{ rule: \"Key(`API_KEY-1`)\", service: s }}\n  services:\n    s:\n      \
         loadBalancer:\n        servers:\n{servers}"
    )
}

/// A mapping file as a watched folder would show it.
pub(crate) fn mapping_file(name: &str, addresses: &[SocketAddr]) -> Arc<FileStatus> {
    let (mapping, problems) = keymap::check(Path::new(name), &mapping_text(addresses));
    assert!(mapping.is_some(), "{problems:#?}");
    Arc::new(FileStatus {
        name: name.into(),
        state: FileState::Loaded,
        mapping: mapping.map(Arc::new),
        problems,
    })
}

/// A quick heartbeat, so that tests need not wait for what the clock does.
pub(crate) fn quick() -> AggregatorConfig {
    let mut config = AggregatorConfig {
        port: 0,
        ..AggregatorConfig::default()
    };
    config.backends.heartbeat_interval = Duration::from_millis(50);
    config.backends.down_interval_max = Duration::from_millis(50);
    config.stats.nvidia_smi = None;
    config
}

/// Mapping files that a test changes by hand.
#[derive(Clone)]
pub(crate) struct Files {
    current: Arc<Mutex<Vec<Arc<FileStatus>>>>,
    changes: Arc<watch::Sender<u64>>,
}

impl Files {
    fn new(files: Vec<Arc<FileStatus>>) -> Self {
        Self {
            current: Arc::new(Mutex::new(files)),
            changes: Arc::new(watch::Sender::new(0)),
        }
    }

    fn feed(&self) -> MappingFeed {
        let current = Arc::clone(&self.current);
        MappingFeed::new(move || current.lock().unwrap().clone(), self.changes.subscribe())
    }
}

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    files: Files,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
    pub(crate) client: reqwest::Client,
}

impl Running {
    pub(crate) async fn start(config: AggregatorConfig, files: Vec<Arc<FileStatus>>) -> Self {
        let files = Files::new(files);
        let feed = files.feed();
        Self::over(config, feed, files).await
    }

    /// Over a folder that keymap watches.
    pub(crate) async fn following(config: AggregatorConfig, watch: &keymap::Watch) -> Self {
        Self::over(config, MappingFeed::follow(watch), Files::new(Vec::new())).await
    }

    async fn over(config: AggregatorConfig, feed: MappingFeed, files: Files) -> Self {
        let bound = Aggregator::bind(config, feed).await.unwrap();
        let addr = bound.addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(bound.serve(async {
            let _ = stopped.await;
        }));
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        Self {
            addr,
            files,
            stop,
            task,
            client,
        }
    }

    /// What the mapping folder holds from now on.
    pub(crate) fn replace_files(&self, files: Vec<Arc<FileStatus>>) {
        *self.files.current.lock().unwrap() = files;
        self.files.changes.send_modify(|count| *count += 1);
    }

    pub(crate) async fn request(&self, method: &str, path: &str) -> reqwest::Response {
        let url = format!("http://{}{path}", self.addr);
        self.client.request(method.parse().unwrap(), url).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.request("GET", path).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "application/json");
        response.json().await.unwrap()
    }

    /// The ids of `/v1/models`, on which both lists must agree.
    pub(crate) async fn models(&self) -> Vec<String> {
        let list = self.get("/v1/models").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let ids: Vec<String> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|datum| text(&datum["id"]))
            .collect();
        let models = list["models"].as_array().unwrap().iter();
        let names: Vec<String> = models
            .map(|model| text(model.get("model").unwrap_or(&model["name"])))
            .collect();
        assert_eq!(ids, names);
        ids
    }

    /// Reads until the list is as expected.
    pub(crate) async fn models_become(&self, expected: &[&str]) {
        let deadline = Instant::now() + SOON;
        loop {
            let models = self.models().await;
            if models == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{models:?} never became {expected:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asks it to stop; how long that took.
    pub(crate) async fn stop(self) -> Duration {
        let started = Instant::now();
        self.stop.send(()).unwrap();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
        started.elapsed()
    }
}
