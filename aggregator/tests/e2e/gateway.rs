//! Inference end to end: clients of three dialects, backends of four kinds.

mod across;
mod doors;
mod fallbacks;
mod passing;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aggregator::{AggregatorConfig, ConfigSource};
use serde_json::Value;
use tempfile::TempDir;

use crate::oracle::Oracle;
use crate::service::{Running, quick};

/// A service over configured backends, in a folder of its own.
pub(crate) struct Stand {
    pub(crate) service: Running,
    _folder: TempDir,
}

pub(crate) const ADMIN: &str = "sk-canary-admin";

impl Stand {
    /// `backends` are lines of the file; `more` are its other sections.
    pub(crate) async fn over(backends: &str, more: &str) -> Self {
        Self::with(backends, more, quick()).await
    }

    pub(crate) async fn with(backends: &str, more: &str, config: AggregatorConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("config.yaml");
        let councils = if more.contains("council:") {
            ""
        } else {
            "council: {listed: false}\n"
        };
        let text = format!(
            "admin: {{auth: {{token: {ADMIN}}}}}\n{councils}{}\nbackends:\n{backends}",
            quickly(more)
        );
        std::fs::write(&path, text).unwrap();
        let (source, _) = ConfigSource::load(&path).unwrap();
        let config = AggregatorConfig {
            file: Some(source),
            ..config
        };
        let service = Running::start(config, Vec::new()).await;
        Self {
            service,
            _folder: folder,
        }
    }

    /// One backend.
    pub(crate) async fn of(oracle: &Oracle) -> Self {
        Self::over(&oracle.line("one", ", api_key: sk-canary-backend"), "").await
    }

    pub(crate) fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.service.addr);
        self.service.client.post(url).body(body)
    }

    pub(crate) async fn ask(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::of(self.post(path, body)).await
    }

    /// Looks at the list of backends until this holds.
    pub(crate) async fn becomes(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let url = format!("http://{}/admin/backends", self.service.addr);
            let asked = self.service.client.get(url).bearer_auth(ADMIN).send().await.unwrap();
            let list: Value = asked.json().await.unwrap();
            if holds(&list["data"]) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {list}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Heartbeats are quick unless a test says otherwise.
fn quickly(more: &str) -> String {
    match more.split_once("routing: {") {
        Some((before, after)) => format!("{before}routing: {{heartbeat_interval: 0.1, {after}"),
        None => format!("routing: {{heartbeat_interval: 0.1}}\n{more}"),
    }
}

/// What came back, with what came before a cut.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
    pub(crate) is_cut: bool,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let mut response = tokio::time::timeout(Duration::from_secs(30), request.send())
            .await
            .expect("no answer")
            .unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        let is_cut = loop {
            match tokio::time::timeout(Duration::from_secs(30), response.chunk())
                .await
                .expect("a silent answer")
            {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let body = String::from_utf8(body).unwrap();
        Self {
            status,
            headers,
            body,
            is_cut,
        }
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}
