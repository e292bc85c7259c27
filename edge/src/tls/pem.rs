//! PEM files: certificates, keys, authorities. Each is read whole, within a bound, and only where it is a plain file.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use custody::Terms;
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::fault::TlsFault;
use super::provider;
use super::settings::CertificateFiles;

/// A system's whole bundle of authorities is 230 KiB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What tells one state of a file from another. A tool that renews writes a new file and renames it: another inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: (u64, u64),
}

impl Stamp {
    /// `None`: it is not there, or may not be looked at.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let found = std::fs::metadata(file).ok()?;
        Some(Self {
            modified: (found.mtime(), found.mtime_nsec()),
            size: found.size(),
            inode: (found.dev(), found.ino()),
        })
    }
}

/// A chain of certificates with its key, which are for one another.
pub(super) fn certified_key(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, TlsFault> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
    let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
        let rule = "A key must be RSA, ECDSA or Ed25519, and that of the first certificate.";
        let value = format!("{error} (certificate {})", files.certificate.display());
        let fix = "Give the chain with the server's own certificate first, and the key it was requested with.";
        TlsFault::new(&files.key, rule, value, fix)
    })?;
    Ok(Arc::new(certified))
}

/// At least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    const RULE: &str = "A certificate file has certificates in PEM.";
    const FIX: &str = "Each is between `-----BEGIN CERTIFICATE-----` and `-----END CERTIFICATE-----`.";
    let text = read(file, &Terms::configuration(FILE_BYTES_MAX))?;
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        match certificate {
            Ok(certificate) => found.push(certificate),
            Err(error) => {
                let value = format!("certificate {}: {}", found.len() + 1, described(&error));
                return Err(TlsFault::new(file, RULE, value, FIX));
            }
        }
    }
    if found.is_empty() {
        return Err(TlsFault::new(file, RULE, "none", FIX));
    }
    Ok(found)
}

/// Authorities that certificates may be signed by.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, TlsFault> {
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates(file)?.into_iter().enumerate() {
        store.add(certificate).map_err(|error| {
            let value = format!("certificate {}: {error}", index + 1);
            let rule = "An authority's certificate must be a valid X.509 certificate.";
            TlsFault::new(file, rule, value, "Take it out, or get it anew from the authority.")
        })?;
    }
    Ok(store)
}

/// One that is not encrypted.
pub(super) fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let text = secret(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let value = match error {
            pem::Error::NoItemsFound if is_encrypted(&text) => "an encrypted key",
            pem::Error::NoItemsFound => "none",
            ref error => described(error),
        };
        let rule = "A key file has a private key in PEM, without a pass phrase.";
        let fix = "Write it anew with `openssl pkey -in FILE -out NEW`.";
        TlsFault::new(file, rule, value, fix)
    })
}

fn is_encrypted(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"BEGIN ENCRYPTED PRIVATE KEY").is_some()
}

/// Without what was found: in a key file that may be the key.
fn described(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section without its end; is the file still being written?",
        pem::Error::IllegalSectionStart { .. } => "a line that begins a section and is malformed",
        pem::Error::Base64Decode(_) => "a section that is not base64",
        pem::Error::NoItemsFound => "none",
        _ => "what cannot be read as PEM",
    }
}

/// The whole of a file that nobody else should read.
pub(super) fn secret(file: &Path) -> Result<Zeroizing<Vec<u8>>, TlsFault> {
    read(file, &Terms::secret(FILE_BYTES_MAX))
}

/// The whole file, as `custody` reads it.
fn read(file: &Path, terms: &Terms) -> Result<Zeroizing<Vec<u8>>, TlsFault> {
    let contents = custody::read(file, terms).map_err(|error| {
        let fix = "Name a PEM file that the user this process runs as may read.";
        let rule = "A TLS file must be readable, a plain file, and nobody else's to write.";
        TlsFault::new(file, rule, custody::told(&error), fix)
    })?;
    if let Some(remark) = contents.remark {
        tracing::warn!(file = %file.display(), fix = remark.fix(), "{remark}");
    }
    Ok(contents.bytes)
}
