//! The account and the certificates on disk: files of 0600 in folders of 0700, each replaced as a whole.
//!
//! ```text
//!  STATE/acme/ca.example_443/          one folder an authority: staging and production do not meet
//!  ├─ account.json                     the account's key, and what the authority calls the account
//!  └─ a.example.pem                    a certificate's key and its chain, in one file
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::issued::Issued;
use super::settings::AcmeSettings;
use crate::tls::fault::TlsFault;
use crate::tls::settings::CertificateFiles;

const ACCOUNT: &str = "account.json";

#[derive(Debug, Clone)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(super) fn open(settings: &AcmeSettings) -> Result<Self, TlsFault> {
        let folder = settings.folder.join("acme").join(authority(&settings.directory));
        let make = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        make.map_err(|error| unwritable(&folder, &error))?;
        // At once: an order whose certificate cannot be kept is worse than a start that fails.
        let probe = folder.join(".probe");
        write(&probe, b"").map_err(|error| unwritable(&folder, &error))?;
        let _ = fs::remove_file(&probe);
        Ok(Self { folder })
    }

    pub(super) fn certificate(&self, names: &[String]) -> CertificateFiles {
        let name = names.first().map_or("certificate", String::as_str);
        let file = self.folder.join(format!("{}.pem", name.to_ascii_lowercase()));
        CertificateFiles {
            certificate: file.clone(),
            key: file,
        }
    }

    /// What is there of a certificate. `None`: nothing, or what is for other names.
    pub(super) fn issued(&self, names: &[String]) -> Result<Option<Issued>, TlsFault> {
        let files = self.certificate(names);
        match files.certificate.try_exists() {
            Ok(false) => Ok(None),
            _ => Issued::read(&files).map(|issued| Some(issued).filter(|issued| issued.is_for(names))),
        }
    }

    /// Keeps a certificate in place of the one before. One that is not for the names, or whose key is not its own, is not
    /// kept.
    pub(super) fn keep(&self, names: &[String], key: &str, chain: &str) -> Result<Issued, TlsFault> {
        let file = self.certificate(names).certificate;
        let beside = file.with_extension("pem.new");
        let text = Zeroizing::new(format!("{key}{chain}"));
        write(&beside, text.as_bytes()).map_err(|error| unwritable(&beside, &error))?;
        let issued = Issued::read(&CertificateFiles {
            certificate: beside.clone(),
            key: beside.clone(),
        })?;
        if !issued.is_for(names) {
            let rule = "An authority's certificate must be for the names that were ordered.";
            return Err(TlsFault::new(&beside, rule, "others", "Ask the authority."));
        }
        self.take_place(&beside, &file)?;
        Ok(issued)
    }

    /// `None`: there is no account yet.
    pub(super) fn account(&self) -> Result<Option<Zeroizing<Vec<u8>>>, TlsFault> {
        let file = self.folder.join(ACCOUNT);
        match fs::read(&file) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unwritable(&file, &error)),
        }
    }

    pub(super) fn keep_account(&self, text: &[u8]) -> Result<(), TlsFault> {
        let (file, beside) = (self.folder.join(ACCOUNT), self.folder.join("account.json.new"));
        write(&beside, text).map_err(|error| unwritable(&beside, &error))?;
        self.take_place(&beside, &file)
    }

    /// The authority knows nothing of it; a new one is made next. Nothing is deleted.
    pub(super) fn set_account_aside(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let aside = self.folder.join(format!("account.json.unknown-{}", now.as_secs()));
        let _ = fs::rename(self.folder.join(ACCOUNT), aside);
    }

    pub(super) fn account_file(&self) -> PathBuf {
        self.folder.join(ACCOUNT)
    }

    fn take_place(&self, beside: &Path, file: &Path) -> Result<(), TlsFault> {
        let renamed = fs::rename(beside, file).and_then(|()| File::open(&self.folder)?.sync_all());
        renamed.map_err(|error| unwritable(file, &error))
    }
}

/// A folder's name of its host and port.
fn authority(directory: &str) -> String {
    let rest = directory.split_once("://").map_or(directory, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' || c == '-' {
            c
        } else {
            '_'
        }
    };
    let name: String = authority.chars().map(plain).collect();
    name.trim_start_matches('.').to_owned()
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What an interrupted write left behind.
    let _ = fs::remove_file(path);
    let mut file = private(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn unwritable(path: &Path, error: &io::Error) -> TlsFault {
    let rule = "What ACME brings is kept in the state folder.";
    TlsFault::new(
        path,
        rule,
        error,
        "Make it writable for this user, or choose another folder with `--state`.",
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::tls::acme::settings::ChallengeKind;

    fn settings(folder: &Path) -> AcmeSettings {
        AcmeSettings {
            directory: "https://127.0.0.1:14000/dir".to_owned(),
            certificates: Vec::new(),
            contacts: Vec::new(),
            challenge: ChallengeKind::Http01,
            directory_ca: None,
            external_account: None,
            folder: folder.to_owned(),
        }
    }

    #[test]
    fn only_what_fits_the_order_takes_the_place_of_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&settings(folder.path())).expect("opened");
        let names = ["a.example".to_owned(), "www.a.example".to_owned()];
        assert!(store.issued(&names).expect("nothing is fine").is_none());
        let made = |names: &[String]| {
            let made = rcgen::generate_simple_self_signed(names.to_vec()).expect("a certificate");
            (made.signing_key.serialize_pem(), made.cert.pem())
        };
        let (key, chain) = made(&names);
        let (other_key, _) = made(&names);
        let (few_key, few) = made(&names[..1]);
        store.keep(&names, &key, &chain).expect("kept");
        let file = store.certificate(&names).certificate;
        let kept = fs::read(&file).expect("there");
        assert!(store.keep(&names, &other_key, &chain).is_err(), "another's key");
        assert!(store.keep(&names, &few_key, &few).is_err(), "a name is missing");
        assert!(store.keep(&names, &key, "").is_err(), "no certificate");
        assert_eq!(fs::read(&file).expect("there"), kept);
        assert!(store.issued(&names).expect("readable").is_some());
        let further = [names[0].clone(), "new.a.example".to_owned()];
        assert!(store.issued(&further).expect("readable").is_none(), "a name was added");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&folder.path().join("acme"))), (0o600, 0o700));
        assert!(file.ends_with("acme/127.0.0.1_14000/a.example.pem"), "{file:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_said_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("acme"), "a file").expect("written");
        let fault = Store::open(&settings(folder.path())).expect_err("no folder");
        assert!(fault.to_string().contains("--state"), "{fault}");
    }

    #[test]
    fn an_authority_s_folder_stays_in_its_place() {
        for (directory, expected) in [
            (
                "https://acme-v02.api.letsencrypt.org/directory",
                "acme-v02.api.letsencrypt.org",
            ),
            ("https://[::1]:14000/dir", "___1__14000"),
            ("https://../../x", ""),
        ] {
            assert_eq!(authority(directory), expected, "{directory}");
        }
    }
}
