//! What is asked of which authority.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::tls::fault::TlsFault;
use crate::tls::pem;

#[derive(Debug, Clone)]
pub struct AcmeSettings {
    /// The URL of the authority's directory. Whoever sets it has agreed to the authority's terms.
    pub directory: String,
    /// Each certificate's names, the first of which names its file.
    pub certificates: Vec<Vec<String>>,
    /// Mail addresses that the authority may write to.
    pub contacts: Vec<String>,
    pub challenge: ChallengeKind,
    /// Who signs the certificate of the directory itself, in place of the system's roots.
    pub directory_ca: Option<PathBuf>,
    pub external_account: Option<ExternalAccount>,
    /// The account's key and the certificates are kept below it.
    pub folder: PathBuf,
}

/// How the authority is shown that a name leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeKind {
    /// It fetches a page from port 80 of the name.
    Http01,
    /// It makes a TLS connection to port 443 of the name.
    TlsAlpn01,
}

/// An account with the authority that was made elsewhere.
#[derive(Clone)]
pub struct ExternalAccount {
    pub id: String,
    pub key: Zeroizing<Vec<u8>>,
}

impl ExternalAccount {
    /// # Errors
    /// Where the file cannot be read, or holds no key.
    pub fn read(id: &str, file: &Path) -> Result<Self, TlsFault> {
        let text = pem::secret(file)?;
        let digits = text.trim_ascii();
        let padding = digits.iter().rev().take_while(|&&digit| digit == b'=').count();
        let key = BASE64_URL_SAFE_NO_PAD.decode(&digits[..digits.len() - padding]);
        let key = key.map(Zeroizing::new).map_err(|_| {
            let rule = "The key of an external account is base64url.";
            TlsFault::new(
                file,
                rule,
                "something else",
                "Write it as the authority gives it, and nothing beside it.",
            )
        })?;
        let id = id.to_owned();
        Ok(Self { id, key })
    }
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ChallengeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        })
    }
}
