//! The HTTP client for requests that are forwarded: streams, so no time-out from end to end.
//!
//! It refuses to follow redirects (a key and a prompt must not travel where no configuration leads) and to use a proxy
//! from the environment. Where a request goes is the backend's configured address and a path of ours, nothing else.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::header::{HeaderMap, VIA};
use reqwest::{Method, RequestBuilder};

use super::Backend;
use crate::backend::{Identity, install_crypto_provider, root_cause};

/// A host that takes longer to connect to is down, for whoever waits for an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// llama-server closes an idle connection after five seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// As many as one backend is likely to answer at once.
const IDLE_PER_BACKEND_MAX: usize = 256;

#[derive(Clone)]
pub(crate) struct Upstream {
    plain: reqwest::Client,
    /// Made when it is first needed: a machine without certificates can still use local backends.
    tls: Arc<OnceLock<Result<reqwest::Client, String>>>,
    headers: HeaderMap,
}

/// No request can be made: the system's certificates cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamError(pub(crate) String);

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no TLS connection can be made: {}", self.0)
    }
}

impl std::error::Error for UpstreamError {}

impl Upstream {
    pub(crate) fn new(identity: &Identity) -> Result<Self, reqwest::Error> {
        install_crypto_provider();
        let headers = HeaderMap::from_iter([(VIA, identity.via())]);
        Ok(Self {
            plain: builder(&headers).tls_certs_only([]).build()?,
            tls: Arc::default(),
            headers,
        })
    }

    /// A request to this backend, with its keys; `path` begins with a slash and may have a query.
    ///
    /// # Errors
    /// Where the backend is reached by https and there are no certificates to check it with.
    pub(crate) fn request(
        &self,
        method: Method,
        backend: &Backend,
        path: &str,
    ) -> Result<RequestBuilder, UpstreamError> {
        let client = self.client_for(backend)?;
        Ok(client
            .request(method, backend.url(path))
            .headers(backend.headers.clone()))
    }

    fn client_for(&self, backend: &Backend) -> Result<&reqwest::Client, UpstreamError> {
        if !backend.spec.url.is_https() {
            return Ok(&self.plain);
        }
        let built = self
            .tls
            .get_or_init(|| builder(&self.headers).build().map_err(|error| root_cause(&error)));
        built.as_ref().map_err(|error| UpstreamError(error.clone()))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

fn builder(headers: &HeaderMap) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("conclave/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers.clone())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(IDLE_PER_BACKEND_MAX)
}
