//! An edge with an entry point of either kind, clients that speak TLS, and servers that do as they are told.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use edge::StartError;
use edge::{BoundEdge, CertificateFiles, EdgeConfig, EntryPoint, RunningEdge, Timeouts, TlsFault, TlsSettings};
use keymap::{Watch, WatchOptions};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::pki;

/// Generous: it is only waited for when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    admin: SocketAddr,
    pub(crate) edge: Option<RunningEdge>,
    _mappings: tempfile::TempDir,
    _watch: Watch,
}

impl World {
    pub(crate) fn start(tls: TlsSettings, mapping: &str) -> Self {
        Self::with(tls, Timeouts::default(), mapping)
    }

    pub(crate) fn with(tls: TlsSettings, timeouts: Timeouts, mapping: &str) -> Self {
        Self::bind(tls, timeouts, mapping).unwrap_or_else(|fault| panic!("{fault}"))
    }

    /// # Errors
    /// Where the files cannot be used.
    pub(crate) fn bind(tls: TlsSettings, timeouts: Timeouts, mapping: &str) -> Result<Self, TlsFault> {
        let mappings = tempfile::tempdir().expect("a folder");
        std::fs::write(mappings.path().join("a.yml"), mapping).expect("written");
        let options = WatchOptions {
            poll_interval: Duration::from_secs(60),
            entry_points: None,
        };
        let watch = Watch::start(mappings.path(), options).expect("a watch");
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let entry = EntryPoint {
            name: None,
            listen: loopback,
        };
        let config = EdgeConfig {
            admin: Some(loopback),
            threads: 2,
            timeouts,
            tls: TlsSettings {
                entry_points: vec![entry],
                poll_interval: Duration::from_millis(20),
                ..tls
            },
            ..EdgeConfig::at(loopback)
        };
        let bound = match BoundEdge::bind(config, watch.snapshot()) {
            Ok(bound) => bound,
            Err(StartError::Tls(fault)) => return Err(fault),
            Err(error) => panic!("{error}"),
        };
        Ok(Self {
            plain: bound.addresses()[0],
            tls: bound.tls_addresses()[0],
            admin: bound.admin_address().expect("an admin address"),
            edge: Some(bound.start()),
            _mappings: mappings,
            _watch: watch,
        })
    }

    /// A line of the metrics: the value after this name and its labels.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let mut stream = TcpStream::connect(self.admin).expect("the edge accepts");
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

/// A mapping of the key `sk` to this server, with these lines in its service and beside it.
pub(crate) fn mapping(url: &str, service: &str, further: &str) -> String {
    format!(
        "http:\n  routers:\n    a: {{ rule: Key(`sk`), service: a }}\n  services:\n    a:\n      loadBalancer:\n        \
         servers: [{{ url: \"{url}\" }}]\n{service}{further}"
    )
}

pub(crate) fn settings(certificates: &[CertificateFiles]) -> TlsSettings {
    TlsSettings {
        certificates: certificates.to_vec(),
        ..TlsSettings::default()
    }
}

/// A client that trusts this authority, and shows this certificate if it has one.
pub(crate) fn client_config(authority: &Path, identity: Option<&CertificateFiles>, alpn: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let authority = rustls::pki_types::CertificateDer::from_pem_file(authority).expect("an authority");
    roots.add(authority).expect("valid");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = builder.with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let identity = builder.with_client_auth_cert(pki::chain(files), pki::key(files));
            identity.expect("an identity")
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

pub(crate) struct Client {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
    pending: Vec<u8>,
}

impl Client {
    /// # Errors
    /// Where either side refuses the other.
    pub(crate) fn connect(address: SocketAddr, host: &str, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        let mut session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(Self {
            stream: StreamOwned::new(session, socket),
            pending: Vec::new(),
        })
    }

    pub(crate) fn get(&mut self, headers: &str) -> io::Result<String> {
        write!(self.stream, "GET /v1/x HTTP/1.1\r\nHost: edge\r\n{headers}\r\n")?;
        self.answer()
    }

    /// A head, and as much body as it announces.
    pub(crate) fn answer(&mut self) -> io::Result<String> {
        let head = self.read_past("\r\n\r\n")?;
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        let held = body.len().min(self.pending.len());
        body[..held].copy_from_slice(&self.pending[..held]);
        self.pending.drain(..held);
        self.stream.read_exact(&mut body[held..])?;
        Ok(head + &String::from_utf8_lossy(&body))
    }

    pub(crate) fn read_past(&mut self, text: &str) -> io::Result<String> {
        loop {
            let seen = String::from_utf8_lossy(&self.pending).into_owned();
            if let Some(at) = seen.find(text) {
                self.pending.drain(..at + text.len());
                return Ok(seen[..at + text.len()].to_owned());
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.pending.extend_from_slice(&piece[..read]),
            }
        }
    }

    /// What the server showed.
    pub(crate) fn shown(&self) -> Vec<u8> {
        let chain = self.stream.conn.peer_certificates().expect("a chain");
        chain[0].to_vec()
    }
}

/// A server's connection, plain or not.
pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

type Script = dyn Fn(&str, &mut dyn Stream) -> bool + Send + Sync;

pub(crate) struct Origin {
    pub(crate) url: String,
    /// The heads that came.
    pub(crate) heads: Receiver<String>,
    /// A message for each connection that ended.
    pub(crate) ends: Receiver<()>,
}

impl Origin {
    pub(crate) fn plain(script: impl Fn(&str, &mut dyn Stream) -> bool + Send + Sync + 'static) -> Self {
        Self::start(None, "127.0.0.1", Arc::new(script))
    }

    pub(crate) fn answering() -> Self {
        Self::plain(ok)
    }

    /// Over TLS, as `localhost`. `client_ca`: who asks must show a certificate of it.
    pub(crate) fn secured(files: &CertificateFiles, client_ca: Option<&Path>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                let authority = rustls::pki_types::CertificateDer::from_pem_file(file).expect("an authority");
                roots.add(authority).expect("valid");
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
        };
        let config = builder.with_single_cert(pki::chain(files), pki::key(files));
        Self::start(
            Some(Arc::new(config.expect("a configuration"))),
            "localhost",
            Arc::new(ok),
        )
    }

    fn start(config: Option<Arc<ServerConfig>>, host: &str, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let scheme = if config.is_some() { "https" } else { "http" };
        let port = listener.local_addr().expect("an address").port();
        let (head, heads) = channel();
        let (end, ends) = channel();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (config, script, head, end) = (config.clone(), script.clone(), head.clone(), end.clone());
                std::thread::spawn(move || {
                    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
                    socket.set_nodelay(true).expect("no delay");
                    let mut stream: Box<dyn Stream> = match config {
                        None => Box::new(socket),
                        Some(config) => {
                            let session = ServerConnection::new(config).expect("a session");
                            Box::new(StreamOwned::new(session, socket))
                        }
                    };
                    while let Some(request) = request(&mut *stream) {
                        let _ = head.send(request.clone());
                        if !script(&request, &mut *stream) {
                            break;
                        }
                    }
                    drop(stream);
                    let _ = end.send(());
                });
            }
        });
        Self {
            url: format!("{scheme}://{host}:{port}"),
            heads,
            ends,
        }
    }
}

pub(crate) fn ok(_: &str, stream: &mut dyn Stream) -> bool {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .and_then(|()| stream.flush())
        .is_ok()
}

fn request(stream: &mut dyn Stream) -> Option<String> {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        seen.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&seen).into_owned())
}

/// Waits for a condition that something else brings about.
pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
