//! What the authority is answered when it comes to look: there while an order is under way, and gone with it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};

use super::settings::ChallengeKind;
use crate::tls::fault::TlsFault;
use crate::tls::provider;

/// Where the authority asks (RFC 8555, 8.3). What follows is the token, and nothing else.
const WELL_KNOWN: &[u8] = b"/.well-known/acme-challenge/";

/// The protocol of a connection that is only there to be looked at (RFC 8737).
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

#[derive(Default)]
pub(crate) struct Challenges {
    /// How many there are. One read of it is all that a handshake or a request pays where there are none.
    open: AtomicUsize,
    /// By token.
    pages: Mutex<HashMap<Box<[u8]>, Bytes>>,
    /// By name, in lower case.
    connections: Mutex<HashMap<Box<str>, Arc<ServerConfig>>>,
}

/// One that is answered for as long as this lives.
pub(super) struct Open {
    challenges: Arc<Challenges>,
    at: Place,
}

enum Place {
    Page(Box<[u8]>),
    Connection(Box<str>),
}

impl Challenges {
    pub(super) fn open(
        self: &Arc<Self>,
        kind: ChallengeKind,
        name: &str,
        token: &str,
        key_authorization: &str,
        digest: &[u8],
    ) -> Result<Open, TlsFault> {
        let at = match kind {
            ChallengeKind::Http01 => {
                let token: Box<[u8]> = token.as_bytes().into();
                let answer = Bytes::copy_from_slice(key_authorization.as_bytes());
                self.pages.lock().insert(token.clone(), answer);
                Place::Page(token)
            }
            ChallengeKind::TlsAlpn01 => {
                let config = Arc::new(connection(name, digest)?);
                let name: Box<str> = name.to_ascii_lowercase().into();
                self.connections.lock().insert(name.clone(), config);
                Place::Connection(name)
            }
        };
        self.open.fetch_add(1, Ordering::Release);
        Ok(Open {
            challenges: self.clone(),
            at,
        })
    }

    pub(crate) fn is_any(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }

    /// What a request for this target is answered, if it is the authority's.
    pub(crate) fn page(&self, target: &[u8]) -> Option<Bytes> {
        if !self.is_any() {
            return None;
        }
        let token = target.strip_prefix(WELL_KNOWN)?;
        self.pages.lock().get(token).cloned()
    }

    /// How the handshake goes on, if it is the authority's: it offers its own protocol and no other.
    pub(crate) fn connection(&self, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        let mut protocols = hello.alpn()?;
        if protocols.next() != Some(ACME_TLS) || protocols.next().is_some() {
            return None;
        }
        let name = hello.server_name()?.to_ascii_lowercase();
        self.connections.lock().get(&*name).cloned()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        match &self.at {
            Place::Page(token) => drop(self.challenges.pages.lock().remove(token)),
            Place::Connection(name) => drop(self.challenges.connections.lock().remove(name)),
        }
        self.challenges.open.fetch_sub(1, Ordering::Release);
    }
}

/// A certificate of our own that holds the proof. Nobody but the authority is shown it, and no request follows.
fn connection(name: &str, digest: &[u8]) -> Result<ServerConfig, TlsFault> {
    let fails = |error: &dyn std::fmt::Display| {
        let rule = "A name can be proven by a certificate made for it.";
        TlsFault::new(Path::new(""), rule, format!("{name}: {error}"), "Give a host name.")
    };
    if digest.len() != 32 {
        return Err(fails(&"the proof is no SHA-256"));
    }
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(|error| fails(&error))?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(|error| fails(&error))?;
    let certificate = params.self_signed(&key).map_err(|error| fails(&error))?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let versions = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13, &TLS12]);
    let versions = versions.map_err(|error| fails(&error))?;
    let signing = provider().key_provider.load_private_key(key);
    let signing = signing.map_err(|error| fails(&error))?;
    // Not `with_single_cert`, which looks into the certificate and does not know what is critical in it.
    let shown = SingleCertAndKey::from(CertifiedKey::new(vec![certificate.der().clone()], signing));
    let mut config = versions.with_no_client_auth().with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_there_for_its_exact_token_and_while_its_order_is() {
        let challenges = Arc::new(Challenges::default());
        let open = challenges
            .open(ChallengeKind::Http01, "a.example", "t0k-en_", "t0k-en_.proof", &[])
            .expect("open");
        for (target, expected) in [
            ("/.well-known/acme-challenge/t0k-en_", true),
            ("/.well-known/acme-challenge/", false),
            ("/.well-known/acme-challenge/t0k-en", false),
            ("/.well-known/acme-challenge/t0k-en_/", false),
            ("/.well-known/acme-challenge/t0k-en_?", false),
            ("/.well-known/acme-challenge/../acme-challenge/t0k-en_", false),
            ("/.WELL-KNOWN/acme-challenge/t0k-en_", false),
            ("/.well-known/acme-challenge/%740k-en_", false),
        ] {
            let page = challenges.page(target.as_bytes());
            assert_eq!(page.as_deref() == Some(b"t0k-en_.proof"), expected, "{target}");
        }
        drop(open);
        assert!(challenges.page(b"/.well-known/acme-challenge/t0k-en_").is_none());
        assert!(!challenges.is_any());
    }

    #[test]
    fn a_connection_needs_a_proof_of_the_right_size() {
        let challenges = Arc::new(Challenges::default());
        let open = |digest: &[u8]| challenges.open(ChallengeKind::TlsAlpn01, "A.example", "t", "t.p", digest);
        assert!(open(&[0; 31]).is_err());
        let kept = open(&[0; 32]).expect("open");
        assert!(challenges.connections.lock().contains_key("a.example"));
        drop(kept);
        assert!(challenges.connections.lock().is_empty());
    }
}
