//! What TLS an edge is started with.

use std::path::PathBuf;
use std::time::Duration;

use super::acme::AcmeSettings;
use crate::config::EntryPoint;

/// Between two looks at the files: a renewal is taken in while whoever made it still watches.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// Further ones, beside those without TLS.
    pub entry_points: Vec<EntryPoint>,
    /// Where clients without TLS are told to come with it.
    pub redirects: Vec<RedirectPoint>,
    /// The first is for clients that name no host, or one that no certificate is for.
    pub certificates: Vec<CertificateFiles>,
    /// Further ones, which an authority issues and renews.
    pub acme: Option<AcmeSettings>,
    /// Clients must show a certificate that one of these signed.
    pub client_ca: Option<PathBuf>,
    /// Browsers are told to come with TLS only, for so long. `None`: they are not told.
    pub hsts_max_age: Option<Duration>,
    pub upstream: UpstreamTls,
    /// Between two looks at the files.
    pub poll_interval: Duration,
}

/// An address without TLS that serves nothing but the way to the one with it.
#[derive(Debug, Clone)]
pub struct RedirectPoint {
    pub entry: EntryPoint,
    pub redirect: Redirect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirect {
    /// Where clients reach TLS, which behind a router need not be where we listen.
    pub to_port: u16,
    /// Clients may remember it.
    pub permanent: bool,
}

/// A chain of certificates and the key of its first, both in PEM. They may be in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// How servers are reached over TLS, where a transport of theirs does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Who signs servers' certificates, in place of the system's roots.
    pub ca: Option<PathBuf>,
    /// What the edge shows to servers that ask for a certificate.
    pub identity: Option<CertificateFiles>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            entry_points: Vec::new(),
            redirects: Vec::new(),
            certificates: Vec::new(),
            acme: None,
            client_ca: None,
            hsts_max_age: None,
            upstream: UpstreamTls::default(),
            poll_interval: POLL_INTERVAL,
        }
    }
}

impl UpstreamTls {
    pub(super) fn names_files(&self) -> bool {
        self.ca.is_some() || self.identity.is_some()
    }
}
