//! Sends spans to a collector: OTLP over HTTP, one thread, beside everything that answers requests.
//!
//! ```text
//!  edge ──────┐                        ┌─ POST /v1/traces ─▶ collector
//!  aggregator ┴▶ queue (bounded) ──▶ this thread ── refused, or not there: counted, and not sent again
//! ```
//!
//! Nothing waits for it. A collector that is away costs spans and nothing else, and is told of once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use traces::{Batches, Sampling, Tracer, encode};

/// How long spans are gathered for one request; also how soon a stop is noticed.
const GATHER: Duration = Duration::from_millis(250);

/// A collector that takes longer is away.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// What is left in the queue when the process ends may take so long.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Where spans go.
pub(crate) struct Destination {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) service: String,
}

/// The exporter as it runs, or none.
pub(crate) struct Traces(Option<Running>);

struct Running {
    tracer: Tracer,
    stopping: Arc<AtomicBool>,
    done: Receiver<()>,
}

impl Traces {
    pub(crate) fn start(composed: Option<(Destination, Sampling)>) -> Result<Self> {
        let Some((destination, sampling)) = composed else {
            return Ok(Self(None));
        };
        let (tracer, batches) = Tracer::new(sampling);
        let (told, done) = channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let exporter = Exporter::new(destination)?;
        let seen = Arc::clone(&stopping);
        std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || exporter.run(&batches, &seen, told))
            .context("the thread that sends traces cannot be started")?;
        Ok(Self(Some(Running { tracer, stopping, done })))
    }

    pub(crate) fn tracer(&self) -> Option<Tracer> {
        self.0.as_ref().map(|running| running.tracer.clone())
    }

    /// Sends what is left, unless that takes too long.
    pub(crate) fn stop(self) {
        if let Some(running) = self.0 {
            running.stopping.store(true, Ordering::Release);
            // A collector that hangs is not waited for.
            let _ = running.done.recv_timeout(STOP_PATIENCE);
        }
    }
}

struct Exporter {
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    url: Url,
    service: String,
    is_away: bool,
}

impl Exporter {
    fn new(destination: Destination) -> Result<Self> {
        let mut headers = destination.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let http = crate::http::client([&destination.url])
            .default_headers(headers)
            .timeout(SEND_TIMEOUT)
            .build()
            .context("the client that sends traces cannot be made")?;
        Ok(Self {
            http,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            url: destination.url,
            service: destination.service,
            is_away: false,
        })
    }

    /// `_done` is dropped when this ends, which is what the other side waits for.
    fn run(mut self, batches: &Batches, stopping: &AtomicBool, _done: Sender<()>) {
        loop {
            // Read before the queue is: what came before a stop is sent.
            let is_last = stopping.load(Ordering::Acquire);
            let Some(spans) = batches.next(GATHER) else { return };
            if spans.is_empty() {
                if is_last {
                    return;
                }
                continue;
            }
            let count = spans.len();
            let sent = self.send(encode(spans, &self.service));
            batches.told(count, sent.is_ok());
            self.tell(sent);
        }
    }

    fn send(&self, body: Vec<u8>) -> Result<(), String> {
        let request = self.http.post(self.url.clone()).body(body);
        let response = self.runtime.block_on(async { request.send().await });
        match response {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("it answered {}", response.status())),
            Err(error) => Err(error.without_url().to_string()),
        }
    }

    /// Once when it goes, once when it is back.
    fn tell(&mut self, sent: Result<(), String>) {
        match sent {
            Ok(()) if self.is_away => tracing::info!("the collector takes traces again"),
            Err(cause) if !self.is_away => {
                let host = self.url.host_str().unwrap_or_default();
                tracing::warn!(
                    host,
                    cause,
                    "the collector does not take traces; they are counted and given up"
                );
                self.is_away = true;
                return;
            }
            _ => return,
        }
        self.is_away = false;
    }
}
