//! One question to one backend, bounded in time and in bytes.
//!
//! Refuses to follow redirects (a key must not travel where no mapping leads), to use a proxy from the environment,
//! and to read more than [`BODY_BYTES_MAX`].

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, VIA};

use super::health::Failure;
use super::identity::Identity;
use super::keys::BackendKeys;
use super::targets::BackendUrl;
use crate::catalogue::ModelList;
use crate::config::BackendConfig;

/// A list of models: llama-server writes about a kilobyte for each, so this is thousands of them.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The part of a poll's time that connecting may take. A host that does not even connect by then is down, whereas one
/// that connects and does not answer may be busy; the rest of the time is what tells them apart.
const CONNECT_SHARE: f64 = 0.9;

/// An answer worth keeping.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) list: ModelList,
    pub(crate) body_bytes: usize,
    /// The backend answered only once it was given the common key.
    pub(crate) asks_key: bool,
}

#[derive(Clone)]
pub(crate) struct Client {
    plain: reqwest::Client,
    /// Made when the first https backend appears: loading the system's certificates fails on a machine that has
    /// none, and those who only have local backends should not need any.
    tls: std::sync::Arc<OnceLock<Result<reqwest::Client, String>>>,
    headers: HeaderMap,
    timeout: Duration,
    keys: BackendKeys,
}

impl Client {
    pub(crate) fn new(config: &BackendConfig, identity: &Identity) -> Result<Self, reqwest::Error> {
        install_crypto_provider();
        let headers = HeaderMap::from_iter([(VIA, identity.via())]);
        // No certificate is trusted by this one: it never meets any.
        let plain = builder(config.mapping_timeout, &headers).tls_certs_only([]).build()?;
        let (timeout, keys) = (config.mapping_timeout, config.keys.clone());
        Ok(Self {
            plain,
            tls: std::sync::Arc::default(),
            headers,
            timeout,
            keys,
        })
    }

    /// Asks for the backend's models. `asks_key`: it wanted the common key last time.
    pub(crate) async fn models(&self, url: &BackendUrl, asks_key: bool) -> Result<Answer, Failure> {
        let asked = tokio::time::timeout(self.timeout, self.ask_with_keys(url, asks_key));
        asked.await.unwrap_or(Err(Failure::Slow))
    }

    async fn ask_with_keys(&self, url: &BackendUrl, asks_key: bool) -> Result<Answer, Failure> {
        let own = self.keys.own(url.as_str());
        let common = self.keys.when_asked();
        let first = own.or(if asks_key { common } else { None });
        match (self.ask(url, first).await, first, common) {
            // It asks for a key, and there is one that it has not been given yet.
            (Err(Failure::Status(StatusCode::UNAUTHORIZED)), None, Some(key)) => {
                self.ask(url, Some(key)).await.map(|answer| Answer {
                    asks_key: true,
                    ..answer
                })
            }
            (outcome, _, _) => outcome.map(|answer| Answer {
                asks_key: asks_key && own.is_none(),
                ..answer
            }),
        }
    }

    async fn ask(&self, url: &BackendUrl, key: Option<&HeaderValue>) -> Result<Answer, Failure> {
        let mut request = self.client_for(url)?.get(format!("{url}/v1/models"));
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, key);
        }
        let response = request.send().await.map_err(transport_failure)?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Status(response.status()));
        }
        let body = bounded_body(response).await?;
        let list = ModelList::parse(&body).map_err(|error| Failure::Unusable(error.to_string()))?;
        Ok(Answer {
            list,
            body_bytes: body.len(),
            asks_key: false,
        })
    }

    fn client_for(&self, url: &BackendUrl) -> Result<&reqwest::Client, Failure> {
        if !url.is_https() {
            return Ok(&self.plain);
        }
        let build = || {
            builder(self.timeout, &self.headers)
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
            .field("timeout", &self.timeout)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
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
fn root_cause(error: &reqwest::Error) -> String {
    let mut root: &dyn std::error::Error = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

/// rustls needs one crypto provider a process; Pingora's and ours is ring. Whoever installs it first wins, and an
/// installed one is as good: the error only says that somebody did.
fn install_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
