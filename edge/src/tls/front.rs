//! What clients connect to: certificates by name, TLS 1.2 and 1.3, and bounded handshakes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use http::HeaderValue;
use rustls::ServerConfig;
use rustls::server::{Acceptor, ProducesTickets, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use super::acme::{ACME_TLS, Acme, Challenges};
use super::fault::TlsFault;
use super::follow::Follow;
use super::names::Certificates;
use super::settings::{CertificateFiles, TlsSettings};
use super::tally::{Handshake, Tally};
use super::{HTTP_2, HTTP_11, pem, provider};

/// Handshakes under way at a time: each holds a few tens of KiB and, once a client has spoken, a signature's time. Who
/// comes beyond that is let go at once; those who are in are not slowed by them.
const HANDSHAKES_MAX: usize = 4096;

/// The first byte of TLS: a record that is part of a handshake.
const HANDSHAKE_RECORD: u8 = 22;

/// Somebody must act within this time.
const WARN_BEFORE_SECONDS: i64 = 14 * 24 * 3600;

pub(crate) struct Front {
    /// What must be there, and what an authority brings.
    sources: Sources,
    challenges: Option<Arc<Challenges>>,
    client_ca: Option<PathBuf>,
    pub(crate) hsts: Option<HeaderValue>,
    loaded: ArcSwap<Loaded>,
    /// Kept when certificates are renewed, so that sessions can be resumed after it.
    ticketer: Arc<dyn ProducesTickets>,
    handshakes: Semaphore,
    pub(crate) tally: Arc<Tally>,
}

#[derive(Clone, Default)]
struct Sources {
    given: Vec<CertificateFiles>,
    /// Not there before the first was issued.
    issued: Vec<CertificateFiles>,
}

/// What the files were made into.
struct Loaded {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

pub(crate) struct Accepted {
    pub(crate) stream: Box<TlsStream<TcpStream>>,
    /// The client chose HTTP/2.
    pub(crate) is_http_2: bool,
}

pub(crate) enum HandshakeError {
    /// It spoke HTTP without TLS, and can be told so.
    Plain(TcpStream),
    Ended(Handshake),
}

impl Front {
    pub(super) fn load(settings: &TlsSettings, acme: Option<&Acme>) -> Result<Self, TlsFault> {
        if settings.certificates.is_empty() && acme.is_none() {
            let rule = "An entry point with TLS needs a certificate and its key.";
            let fix = "Give `--tls-cert FILE --tls-key FILE`, or `--acme-domain NAME`.";
            return Err(TlsFault::new(Path::new(""), rule, "none", fix));
        }
        let ticketer = ticketer()?;
        let client_ca = settings.client_ca.clone();
        let sources = Sources {
            given: settings.certificates.clone(),
            issued: acme.map(Acme::files).unwrap_or_default(),
        };
        let loaded = Loaded::read(&sources, client_ca.as_deref(), &ticketer)?;
        let front = Self {
            sources,
            challenges: acme.map(|acme| acme.challenges.clone()),
            client_ca,
            hsts: settings.hsts_max_age.map(hsts),
            loaded: ArcSwap::from_pointee(loaded),
            ticketer,
            handshakes: Semaphore::new(HANDSHAKES_MAX),
            tally: Arc::default(),
        };
        front.warn_of_ends();
        Ok(front)
    }

    /// Brings a connection to where HTTP can begin.
    pub(crate) async fn accept(&self, stream: TcpStream, within: Duration) -> Result<Accepted, HandshakeError> {
        let accepted = match self.handshakes.try_acquire() {
            Err(_) => Err(HandshakeError::Ended(Handshake::TooMany)),
            Ok(_place) => {
                let accepted = tokio::time::timeout(within, self.handshake(stream)).await;
                accepted.unwrap_or(Err(HandshakeError::Ended(Handshake::TooSlow)))
            }
        };
        self.tally.count(match &accepted {
            Ok(_) => Handshake::Complete,
            Err(HandshakeError::Plain(_)) => Handshake::Plain,
            Err(HandshakeError::Ended(how)) => *how,
        });
        accepted
    }

    async fn handshake(&self, stream: TcpStream) -> Result<Accepted, HandshakeError> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(1) if first[0] == HANDSHAKE_RECORD => {}
            Ok(1) => return Err(HandshakeError::Plain(stream)),
            _ => return Err(HandshakeError::Ended(Handshake::Gone)),
        }
        let config = self.loaded.load().config.clone();
        let accepted = match self.challenges.as_ref().filter(|challenges| challenges.is_any()) {
            None => TlsAcceptor::from(config).accept(stream).await,
            Some(challenges) => Box::pin(accept_looking(stream, config, challenges)).await,
        };
        let mut stream = accepted.map_err(|error| {
            tracing::debug!(%error, "a client's TLS handshake failed");
            HandshakeError::Ended(Handshake::Failed)
        })?;
        if stream.get_ref().1.alpn_protocol() == Some(ACME_TLS) {
            // The authority has seen what it came for.
            let _ = stream.shutdown().await;
            return Err(HandshakeError::Ended(Handshake::Challenge));
        }
        let is_http_2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        let stream = Box::new(stream);
        Ok(Accepted { stream, is_http_2 })
    }

    /// The files of the certificates, and when each ends, in seconds since 1970.
    pub(crate) fn ends(&self) -> Vec<(String, i64)> {
        let loaded = self.loaded.load();
        let ends = loaded.certificates.ends();
        ends.map(|(file, end)| (file.display().to_string(), end)).collect()
    }

    fn warn_of_ends(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        // What is issued is renewed by itself; where that fails, it is said there.
        for (file, end) in self.ends().into_iter().take(self.sources.given.len()) {
            let left = end.saturating_sub(now);
            if left <= 0 {
                tracing::error!(
                    file,
                    "a certificate has ended; clients refuse it until the file is renewed"
                );
            } else if left < WARN_BEFORE_SECONDS {
                let days = left / (24 * 3600);
                tracing::warn!(
                    file,
                    days,
                    "a certificate ends soon; renew it, the file is then read again by itself"
                );
            }
        }
    }
}

impl Follow for Front {
    fn what(&self) -> &'static str {
        "the entry points' certificates"
    }

    fn files(&self) -> Vec<&Path> {
        let pairs = self.sources.given.iter().chain(&self.sources.issued);
        let pairs = pairs.flat_map(|pair| [&pair.certificate, &pair.key]);
        pairs.chain(&self.client_ca).map(PathBuf::as_path).collect()
    }

    fn read(&self) -> Result<(), TlsFault> {
        // Else a client that the authorities before these let in could resume its session.
        let ticketer = match &self.client_ca {
            Some(_) => ticketer()?,
            None => self.ticketer.clone(),
        };
        let loaded = Loaded::read(&self.sources, self.client_ca.as_deref(), &ticketer)?;
        self.loaded.store(Arc::new(loaded));
        self.warn_of_ends();
        Ok(())
    }

    fn daily(&self) {
        self.warn_of_ends();
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Loaded {
    fn read(
        sources: &Sources,
        client_ca: Option<&Path>,
        ticketer: &Arc<dyn ProducesTickets>,
    ) -> Result<Self, TlsFault> {
        let there = |files: &&CertificateFiles| files.certificate.exists();
        let issued = sources.issued.iter().filter(there);
        let certificates = Arc::new(Certificates::load(sources.given.iter().chain(issued))?);
        let versions = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13, &TLS12]);
        let versions = versions.map_err(unusable)?;
        let mut config = match client_ca {
            None => versions.with_no_client_auth(),
            Some(file) => {
                let roots = Arc::new(pem::authorities(file)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                let verifier = verifier.map_err(|error| {
                    let rule = "Clients' certificates are checked against an authority's.";
                    TlsFault::new(file, rule, error, "Name a file with the authority's certificate.")
                })?;
                versions.with_client_cert_verifier(verifier)
            }
        }
        .with_cert_resolver(certificates.clone());
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_11.to_vec()];
        config.ticketer = ticketer.clone();
        // All that is offered is strong; a server that has an order of its own is what scanners ask for.
        config.ignore_client_order = true;
        Ok(Self {
            config: Arc::new(config),
            certificates,
        })
    }
}

/// Looks at what the client asks for before it is answered: an authority's look is answered by what it is to find.
async fn accept_looking(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    challenges: &Challenges,
) -> io::Result<TlsStream<TcpStream>> {
    let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let looked_at = challenges.connection(&begun.client_hello());
    begun.into_stream(looked_at.unwrap_or(config)).await
}

/// Keys for session tickets, in memory alone and changed every few hours.
fn ticketer() -> Result<Arc<dyn ProducesTickets>, TlsFault> {
    rustls::crypto::ring::Ticketer::new().map_err(unusable)
}

fn unusable(error: rustls::Error) -> TlsFault {
    let rule = "The system must have random numbers and the usual ciphers.";
    TlsFault::new(
        Path::new(""),
        rule,
        error,
        "See what the system's log says of its random source.",
    )
}

fn hsts(max_age: Duration) -> HeaderValue {
    let text = format!("max-age={}", max_age.as_secs());
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("max-age=0"))
}
