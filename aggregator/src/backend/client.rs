//! One poll of one backend, bounded in time and in bytes.
//!
//! Refuses to follow redirects (a key must not travel where no mapping leads), to use a proxy from the environment,
//! and to read more than [`BODY_BYTES_MAX`].

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, VIA};

use super::gauge::{self, Gauge, Load};
use super::health::Failure;
use super::identity::Identity;
use super::keys::BackendKeys;
use super::provider;
use super::spec::{BackendKind, Origin, Spec};
use crate::catalogue::ModelList;
use crate::config::BackendConfig;
use crate::fleet::{Loaded, Models};

/// A list of models: llama-server writes about a kilobyte for each, so this is thousands of them.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The part of a poll's time that connecting may take. A host that does not even connect by then is down, whereas one
/// that connects and does not answer may be busy; the rest of the time is what tells them apart.
const CONNECT_SHARE: f64 = 0.9;

/// What is loaded and how busy it is: good to know, and not worth waiting for longer than this.
const EXTRAS_TIMEOUT: Duration = Duration::from_millis(500);

/// An answer worth keeping.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) list: ModelList,
    pub(crate) models: Arc<Models>,
    pub(crate) body_bytes: usize,
    /// Where it tells it.
    pub(crate) load: Option<Load>,
    pub(crate) memory: Memory,
    /// How long the list took.
    pub(crate) took: Duration,
}

#[cfg(test)]
impl Answer {
    pub(crate) fn for_test(body_bytes: usize) -> Self {
        Self {
            list: ModelList::default(),
            models: Arc::default(),
            body_bytes,
            load: None,
            memory: Memory::default(),
            took: Duration::ZERO,
        }
    }
}

/// What one poll learns for the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The backend wants the common key.
    pub(crate) asks_key: bool,
    pub(crate) gauge: Gauge,
}

#[derive(Clone)]
pub(crate) struct Client {
    plain: reqwest::Client,
    /// Made when the first https backend appears: loading the system's certificates fails on a machine that has
    /// none, and those who only have local backends should not need any.
    tls: Arc<OnceLock<Result<reqwest::Client, String>>>,
    headers: HeaderMap,
    mapped_timeout: Duration,
    configured_timeout: Duration,
    keys: BackendKeys,
}

impl Client {
    pub(crate) fn new(config: &BackendConfig, identity: &Identity) -> Result<Self, reqwest::Error> {
        install_crypto_provider();
        let headers = HeaderMap::from_iter([(VIA, identity.via())]);
        let longest = config.mapping_timeout.max(config.configured_timeout);
        Ok(Self {
            // No certificate is trusted by this one: it never meets any.
            plain: builder(longest, &headers).tls_certs_only([]).build()?,
            tls: Arc::default(),
            headers,
            mapped_timeout: config.mapping_timeout,
            configured_timeout: config.configured_timeout,
            keys: config.keys.clone(),
        })
    }

    /// Asks for the backend's models, for what is loaded and for how busy it is.
    pub(crate) async fn poll(&self, spec: &Spec, memory: Memory) -> Result<Answer, Failure> {
        let began = Instant::now();
        let (list, body_bytes, asks_key) = self.list(spec, memory.asks_key).await?;
        let took = began.elapsed();
        let headers = self.headers_for(spec, asks_key);
        let gauge = match memory.gauge {
            Gauge::Untried if spec.kind == BackendKind::OpenAi => Gauge::of(provider::owner(&list).as_deref()),
            known => known,
        };
        let loaded = self.loaded(spec, &headers).await;
        let (load, gauge) = self.load(spec, &headers, gauge).await;
        Ok(Answer {
            models: Arc::new(Models::of(spec.kind, &list, &loaded)),
            list,
            body_bytes,
            load,
            memory: Memory { asks_key, gauge },
            took,
        })
    }

    /// Sent with every request to the backend: what is configured for it, and a key where it asks for one.
    pub(crate) fn headers_for(&self, spec: &Spec, asks_key: bool) -> HeaderMap {
        let own = self.own_key(spec);
        let key = own.or(self.keys.when_asked().filter(|_| asks_key && takes_keys(spec)));
        let mut headers = spec.headers.clone();
        headers.extend(key.map(|key| (AUTHORIZATION, key.clone())));
        headers
    }

    /// The models, how long the answer was, and whether the common key was needed.
    async fn list(&self, spec: &Spec, asks_key: bool) -> Result<(ModelList, usize, bool), Failure> {
        let timeout = match spec.origin {
            Origin::Mapped => self.mapped_timeout,
            Origin::Configured => self.configured_timeout.min(spec.timeout.unwrap_or(Duration::MAX)),
        };
        let asked = tokio::time::timeout(timeout, self.list_with_keys(spec, asks_key)).await;
        let asked = asked.unwrap_or(Err(Failure::Slow));
        match (&spec.models, asked) {
            (Some(fixed), Ok((_, asks_key))) => Ok((ModelList::fixed(fixed, &spec.name), 0, asks_key)),
            // It answers, and what it serves is not its to say.
            (Some(fixed), Err(Failure::Status(status))) if lists_nothing(status) => {
                Ok((ModelList::fixed(fixed, &spec.name), 0, asks_key))
            }
            (_, Err(failure)) => Err(failure),
            (None, Ok((body, asks_key))) => {
                let list = provider::models(spec.kind, &body);
                let list = list.map_err(|error| Failure::Unusable(error.to_string()))?;
                Ok((list, body.len(), asks_key))
            }
        }
    }

    async fn list_with_keys(&self, spec: &Spec, asks_key: bool) -> Result<(Vec<u8>, bool), Failure> {
        let path = provider::list_path(spec.kind);
        let first = self.get(spec, path, &self.headers_for(spec, asks_key)).await;
        let has_own_key = !takes_keys(spec) || self.own_key(spec).is_some();
        let untried_key = !asks_key && !has_own_key && self.keys.when_asked().is_some();
        match first {
            // It asks for a key, and there is one that it has not been given yet.
            Err(Failure::Status(StatusCode::UNAUTHORIZED)) if untried_key => {
                let body = self.get(spec, path, &self.headers_for(spec, true)).await?;
                Ok((body, true))
            }
            outcome => outcome.map(|body| (body, asks_key && !has_own_key)),
        }
    }

    async fn loaded(&self, spec: &Spec, headers: &HeaderMap) -> Loaded {
        if spec.kind != BackendKind::Ollama {
            return Loaded::AsListed;
        }
        let body = self.extra(spec, provider::OLLAMA_LOADED_PATH, headers).await;
        Loaded::Only(
            body.ok()
                .and_then(|body| provider::ollama_loaded(&body))
                .unwrap_or_default(),
        )
    }

    async fn load(&self, spec: &Spec, headers: &HeaderMap, gauge: Gauge) -> (Option<Load>, Gauge) {
        let Some(path) = gauge.path() else { return (None, gauge) };
        let load = match self.extra(spec, path, headers).await {
            // Busy servers answer late: that is no reason to ask elsewhere.
            Err(Failure::Slow) => return (None, gauge),
            Err(_) => None,
            Ok(body) => gauge.read(&body),
        };
        let Some(load) = load else { return (None, gauge.next()) };
        if gauge == Gauge::LlamaMetrics {
            let props = self.extra(spec, "/props", headers).await;
            let slots = props.ok().and_then(|body| gauge::total_slots(&body));
            return (Some(Load { slots, ..load }), gauge);
        }
        (Some(load), gauge)
    }

    async fn extra(&self, spec: &Spec, path: &str, headers: &HeaderMap) -> Result<Vec<u8>, Failure> {
        let asked = tokio::time::timeout(EXTRAS_TIMEOUT, self.get(spec, path, headers)).await;
        asked.unwrap_or(Err(Failure::Slow))
    }

    async fn get(&self, spec: &Spec, path: &str, headers: &HeaderMap) -> Result<Vec<u8>, Failure> {
        let request = self.client_for(spec)?.get(format!("{}{path}", spec.url));
        let response = request
            .headers(headers.clone())
            .send()
            .await
            .map_err(transport_failure)?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Status(response.status()));
        }
        bounded_body(response).await
    }

    /// The key file's, for this address.
    fn own_key(&self, spec: &Spec) -> Option<&HeaderValue> {
        self.keys.own(spec.url.as_str()).filter(|_| takes_keys(spec))
    }

    fn client_for(&self, spec: &Spec) -> Result<&reqwest::Client, Failure> {
        if !spec.url.is_https() {
            return Ok(&self.plain);
        }
        let build = || {
            builder(self.mapped_timeout.max(self.configured_timeout), &self.headers)
                .build()
                .map_err(|error| root_cause(&error))
        };
        self.tls
            .get_or_init(build)
            .as_ref()
            .map_err(|error| Failure::Unreachable(error.clone()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("mapped_timeout", &self.mapped_timeout)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

/// Whether the key file and its common key are meant for a backend: not where the configuration has a key for it, and
/// not for services that take theirs in another header.
fn takes_keys(spec: &Spec) -> bool {
    matches!(spec.kind, BackendKind::OpenAi | BackendKind::Ollama) && !spec.headers.contains_key(AUTHORIZATION)
}

/// An answer of a server that is well and has no list: some providers have none, or show it to nobody.
fn lists_nothing(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS)
}

fn builder(timeout: Duration, headers: &HeaderMap) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("conclave/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers.clone())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeout.mul_f64(CONNECT_SHARE))
        // llama-server closes an idle connection after five seconds or a hundred requests, so a kept one would often
        // be found dead; and ten thousand kept ones would be ten thousand file descriptors.
        .pool_max_idle_per_host(0)
}

async fn bounded_body(mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport_failure)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Failure::Unusable(format!(
                "its list is longer than {BODY_BYTES_MAX} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn transport_failure(error: reqwest::Error) -> Failure {
    Failure::Unreachable(root_cause(&error.without_url()))
}

/// What it all came from; the layers above it only repeat that sending failed.
pub(crate) fn root_cause(error: &reqwest::Error) -> String {
    let mut root: &dyn std::error::Error = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

/// rustls needs one crypto provider a process; Pingora's and ours is ring. Whoever installs it first wins, and an
/// installed one is as good: the error only says that somebody did.
pub(crate) fn install_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
