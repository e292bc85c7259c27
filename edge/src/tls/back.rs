//! What servers are reached with: whose signature is believed, and what the edge shows of itself.

mod anyone;
mod carried;

use std::collections::HashMap;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use keymap::ServersTransport;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) use carried::Carried;

use super::fault::TlsFault;
use super::follow::Follow;
use super::settings::UpstreamTls;
use super::tally::Tally;
use super::{HTTP_2, HTTP_11, pem, provider};

pub(crate) type BackStream = tokio_rustls::client::TlsStream<TcpStream>;

/// Transports that say whom to trust, remembered at a time; with more, they are read again and again.
const TRUSTS_MAX: usize = 64;

/// What of a transport decides whom the edge trusts. Connections made under one are not used under another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Trust {
    /// Files of authorities, in place of the edge's own. Empty: those.
    authorities: Box<[Arc<str>]>,
    anyone: bool,
}

impl Trust {
    /// `None`: as the edge itself does.
    pub(crate) fn of(transport: &ServersTransport) -> Option<Arc<Self>> {
        if transport.root_cas.is_empty() && !transport.insecure_skip_verify {
            return None;
        }
        Some(Arc::new(Self {
            authorities: transport.root_cas.clone(),
            anyone: transport.insecure_skip_verify,
        }))
    }

    /// A number of its own among pingora's groups of connections. The upper half is for these.
    pub(crate) fn group(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish() | 1 << 63
    }

    pub(crate) fn believes_anyone(&self) -> bool {
        self.anyone
    }
}

/// By default, the system's authorities.
#[derive(Default)]
pub(crate) struct Back {
    settings: UpstreamTls,
    /// `None`: no server needed it yet, and the system's roots were not read.
    loaded: ArcSwapOption<Loaded>,
    trusts: Mutex<HashMap<Trust, Arc<Loaded>>>,
    tally: Tally,
}

struct Loaded {
    config: Arc<ClientConfig>,
    /// The same, where the server may choose HTTP/2.
    config_http_2: Arc<ClientConfig>,
    carried: Carried,
}

impl std::fmt::Debug for Back {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Back")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Back {
    pub(super) fn load(settings: &UpstreamTls) -> Result<Self, TlsFault> {
        let loaded = match settings.names_files() {
            true => Some(Arc::new(Loaded::read(settings, None)?)),
            false => None,
        };
        Ok(Self {
            settings: settings.clone(),
            loaded: ArcSwapOption::new(loaded),
            trusts: Mutex::default(),
            tally: Tally::default(),
        })
    }

    /// # Errors
    /// Where the server's certificate is not for this name, not signed by whom it must be, or the server refuses us.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        stream: TcpStream,
        name: &str,
        trust: Option<&Arc<Trust>>,
        offers_http_2: bool,
    ) -> io::Result<Box<BackStream>> {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let loaded = self.loaded(trust).await?;
        let config = match offers_http_2 {
            true => loaded.config_http_2.clone(),
            false => loaded.config.clone(),
        };
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Box::new(stream))
    }

    /// The same, as pingora wants to be told.
    pub(crate) async fn carried(self: &Arc<Self>, trust: Option<&Arc<Trust>>) -> io::Result<Carried> {
        // Without files of its own, pingora's default is ours.
        if trust.is_none() && !self.settings.names_files() {
            return Ok(Carried::default());
        }
        Ok(self.loaded(trust).await?.carried.clone())
    }

    async fn loaded(self: &Arc<Self>, trust: Option<&Arc<Trust>>) -> io::Result<Arc<Loaded>> {
        let known = match trust {
            None => self.loaded.load_full(),
            Some(trust) => self.trusts.lock().get(&**trust).cloned(),
        };
        match known {
            Some(known) => Ok(known),
            None => Box::pin(self.read_now(trust.cloned())).await,
        }
    }

    /// Files are read beside the traffic.
    async fn read_now(self: &Arc<Self>, trust: Option<Arc<Trust>>) -> io::Result<Arc<Loaded>> {
        let back = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let loaded = Loaded::read(&back.settings, trust.as_deref()).map(Arc::new)?;
            match trust {
                None => back.loaded.store(Some(loaded.clone())),
                Some(trust) => {
                    let mut trusts = back.trusts.lock();
                    if trusts.len() >= TRUSTS_MAX {
                        trusts.clear();
                    }
                    trusts.insert(Trust::clone(&trust), loaded.clone());
                }
            }
            Ok(loaded)
        });
        let read: Result<_, TlsFault> = read.await.map_err(io::Error::other)?;
        read.map_err(io::Error::other)
    }

    /// Transports' files are read when they are next needed.
    pub(crate) fn forget(&self) {
        self.trusts.lock().clear();
    }
}

impl Follow for Back {
    fn what(&self) -> &'static str {
        "the files for TLS to servers"
    }

    fn files(&self) -> Vec<&Path> {
        let identity = self.settings.identity.iter();
        let pair = identity.flat_map(|pair| [&pair.certificate, &pair.key]);
        self.settings.ca.iter().chain(pair).map(PathBuf::as_path).collect()
    }

    fn read(&self) -> Result<(), TlsFault> {
        let loaded = Loaded::read(&self.settings, None)?;
        self.loaded.store(Some(Arc::new(loaded)));
        // They show the same identity.
        self.forget();
        Ok(())
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Loaded {
    fn read(settings: &UpstreamTls, trust: Option<&Trust>) -> Result<Self, TlsFault> {
        let theirs = trust.map(|trust| &trust.authorities).filter(|files| !files.is_empty());
        let files: Vec<&Path> = match theirs {
            Some(files) => files.iter().map(|file| Path::new(&**file)).collect(),
            None => settings.ca.iter().map(PathBuf::as_path).collect(),
        };
        let (mut authorities, mut roots) = (Vec::new(), RootCertStore::empty());
        for file in &files {
            authorities.extend(pem::certificates(file)?);
            roots.extend(pem::authorities(file)?.roots);
        }
        if files.is_empty() {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            tracing::warn!("the system has no certificates of authorities; servers with TLS are refused");
        }
        let (mut identity, mut key) = (None, None);
        if let Some(files) = &settings.identity {
            identity = Some(pem::certified_key(files)?);
            key = Some(pem::private_key(&files.key)?);
        }
        let carried = Carried::of(&authorities, identity.as_deref(), key.as_ref());
        let config = config(roots, identity, trust)?;
        let mut config_http_2 = config.clone();
        config_http_2.alpn_protocols.insert(0, HTTP_2.to_vec());
        Ok(Self {
            config: Arc::new(config),
            config_http_2: Arc::new(config_http_2),
            carried,
        })
    }
}

fn config(
    roots: RootCertStore,
    identity: Option<Arc<CertifiedKey>>,
    trust: Option<&Trust>,
) -> Result<ClientConfig, TlsFault> {
    let versions = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13, &TLS12]);
    let versions = versions.map_err(|error| {
        let rule = "The usual ciphers must be there.";
        TlsFault::new(Path::new(""), rule, error, "Build with the ring provider.")
    })?;
    let checked = versions.with_root_certificates(roots);
    let mut config = match identity {
        Some(identity) => checked.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(identity))),
        None => checked.with_no_client_auth(),
    };
    if trust.is_some_and(Trust::believes_anyone) {
        config
            .dangerous()
            .set_certificate_verifier(Arc::new(anyone::Anyone::new()));
    }
    config.alpn_protocols = vec![HTTP_11.to_vec()];
    Ok(config)
}
