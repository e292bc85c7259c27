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

mod acme;
mod back;
mod fault;
mod follow;
mod front;
mod names;
mod pem;
mod settings;
mod tally;
mod wire;

pub(crate) use acme::{Acme, Challenges, Renewal};
pub use acme::{AcmeSettings, ChallengeKind, ExternalAccount};
pub(crate) use back::{Back, BackStream, Trust};
pub use fault::TlsFault;
pub(crate) use follow::Follower;
pub(crate) use front::{Accepted, Front, HandshakeError};
pub use settings::{CertificateFiles, Redirect, RedirectPoint, TlsSettings, UpstreamTls};
pub(crate) use wire::Wire;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The names that ALPN has for what we speak.
pub(crate) const HTTP_2: &[u8] = b"h2";
const HTTP_11: &[u8] = b"http/1.1";

/// What an edge has of TLS.
pub(crate) struct Tls {
    /// `None`: no entry point has TLS.
    pub(crate) front: Option<Arc<Front>>,
    pub(crate) back: Arc<Back>,
    pub(crate) follower: Option<Arc<Follower>>,
    /// `None`: certificates come from files alone.
    pub(crate) acme: Option<Acme>,
}

impl Tls {
    /// Reads every file once.
    ///
    /// # Errors
    /// Where one of them cannot be used: an edge does not start on half of what it was told.
    pub(crate) fn load(settings: &TlsSettings) -> Result<Self, TlsFault> {
        let acme = settings.acme.as_ref().map(Acme::open).transpose()?;
        let front = match settings.entry_points.is_empty() {
            true => None,
            false => Some(Arc::new(Front::load(settings, acme.as_ref())?)),
        };
        let back = Arc::new(Back::load(&settings.upstream)?);
        let mut followed: Vec<Arc<dyn follow::Follow>> = Vec::new();
        followed.extend(front.clone().map(|front| front as Arc<dyn follow::Follow>));
        if settings.upstream.names_files() {
            followed.push(back.clone());
        }
        let follower = match followed.is_empty() {
            true => None,
            false => Some(Arc::new(Follower::start(followed, settings.poll_interval)?)),
        };
        Ok(Self {
            front,
            back,
            follower,
            acme,
        })
    }

    /// Begins to order and renew, where certificates come from an authority. Dropping what is returned ends it.
    pub(crate) fn renew(&self) -> std::io::Result<Option<Renewal>> {
        match (&self.acme, &self.front, &self.follower) {
            (Some(acme), Some(front), Some(follower)) => {
                acme.start(Arc::downgrade(follower), front.tally.clone()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What an authority is answered that looks at this edge.
    pub(crate) fn challenges(&self) -> Option<Arc<Challenges>> {
        self.acme.as_ref().map(|acme| acme.challenges.clone())
    }
}

/// One implementation of cryptography for the process: ring, which pingora brings.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
