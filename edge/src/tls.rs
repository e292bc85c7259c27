//! TLS on both sides: what clients connect to, and what servers are reached with.
//!
//! ```text
//!              files (certificates, keys, CAs)
//!                │  read by `pem`, looked at every few seconds by `follow`
//!        ┌───────┴────────┐
//!        ▼                ▼
//!      Front            Back
//!  client ─▶ handshake ─▶ Wire ─▶ (carrier) ─▶ Back::connect ─▶ server
//! ```
//!
//! Owns the handshakes, the choice of a certificate by name and the streams; knows nothing of HTTP but the two names that
//! ALPN has for it. Refuses files that do not fit one another, in one place and in four parts. Invariant: what was
//! loaded once stays in use until something better is loaded; a bad file never takes a good one's place.

mod back;
mod fault;
mod follow;
mod front;
mod names;
mod pem;
mod settings;
mod tally;
mod wire;

pub(crate) use back::{Back, BackStream, Trust};
pub use fault::TlsFault;
pub(crate) use follow::Follower;
pub(crate) use front::{Accepted, Front, HandshakeError};
pub use settings::{CertificateFiles, TlsSettings, UpstreamTls};
pub(crate) use wire::Wire;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// What an edge has of TLS.
pub(crate) struct Tls {
    /// `None`: no entry point has TLS.
    pub(crate) front: Option<Arc<Front>>,
    pub(crate) back: Arc<Back>,
    pub(crate) follower: Option<Follower>,
}

impl Tls {
    /// Reads every file once.
    ///
    /// # Errors
    /// Where one of them cannot be used: an edge does not start on half of what it was told.
    pub(crate) fn load(settings: &TlsSettings) -> Result<Self, TlsFault> {
        let front = match settings.entry_points.is_empty() {
            true => None,
            false => Some(Arc::new(Front::load(settings)?)),
        };
        let back = Arc::new(Back::load(&settings.upstream)?);
        let mut followed: Vec<Arc<dyn follow::Follow>> = Vec::new();
        followed.extend(front.clone().map(|front| front as Arc<dyn follow::Follow>));
        if settings.upstream.names_files() {
            followed.push(back.clone());
        }
        let follower = match followed.is_empty() {
            true => None,
            false => Some(Follower::start(followed, settings.poll_interval)?),
        };
        Ok(Self { front, back, follower })
    }
}

/// One implementation of cryptography for the process: ring, which pingora brings.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
