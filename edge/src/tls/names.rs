//! Which certificate a client is shown: by the name it asks for, else the first.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::fault::TlsFault;
use super::pem;
use super::settings::CertificateFiles;

#[derive(Debug)]
pub(super) struct Certificates {
    all: Vec<Certificate>,
    /// By name, in lower case; with `*` for a wildcard's first label. A name may have several, for other kinds of key.
    named: HashMap<Box<str>, Vec<usize>>,
}

#[derive(Debug)]
struct Certificate {
    key: Arc<CertifiedKey>,
    file: PathBuf,
    /// In seconds since 1970.
    not_after: i64,
}

/// What of a certificate is looked at.
struct Facts {
    names: Vec<String>,
    not_after: i64,
}

impl Certificates {
    pub(super) fn load<'a>(files: impl IntoIterator<Item = &'a CertificateFiles>) -> Result<Self, TlsFault> {
        let mut found = Self {
            all: Vec::new(),
            named: HashMap::new(),
        };
        for files in files {
            let key = pem::certified_key(files)?;
            let facts = facts(&key, &files.certificate)?;
            for name in facts.names {
                let index = found.all.len();
                found.named.entry(name.into()).or_default().push(index);
            }
            found.all.push(Certificate {
                key,
                file: files.certificate.clone(),
                not_after: facts.not_after,
            });
        }
        Ok(found)
    }

    /// The file of each and when it ends, in the order of the files.
    pub(super) fn ends(&self) -> impl Iterator<Item = (&Path, i64)> {
        let all = self.all.iter();
        all.map(|certificate| (&*certificate.file, certificate.not_after))
    }

    /// The name itself goes before a wildcard that covers it.
    fn named(&self, name: &str) -> &[usize] {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if let Some(found) = self.named.get(&*name) {
            return found;
        }
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        let found = wildcard.and_then(|wildcard| self.named.get(&*wildcard));
        found.map_or(&[], Vec::as_slice)
    }

    /// The first that is for the name and that the client can check; else what is shown to everybody. `None`: there is
    /// no certificate yet, and a client is turned away rather than shown one that proves nothing.
    fn choose(&self, name: Option<&str>, may_use: impl Fn(&CertifiedKey) -> bool) -> Option<&Arc<CertifiedKey>> {
        let named = name.map_or(&[][..], |name| self.named(name));
        let mut named = named.iter().filter_map(|&index| self.all.get(index));
        let found = named.find(|certificate| may_use(&certificate.key));
        found.or_else(|| self.all.first()).map(|certificate| &certificate.key)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        self.choose(hello.server_name(), |key| key.key.choose_scheme(schemes).is_some())
            .cloned()
    }
}

fn facts(key: &CertifiedKey, file: &Path) -> Result<Facts, TlsFault> {
    let leaf = key.cert.first().map(AsRef::as_ref).unwrap_or_default();
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| {
        let rule = "The first certificate must be a valid X.509 certificate.";
        TlsFault::new(file, rule, "what cannot be parsed", "Get it anew from its authority.")
    })?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Ok(Facts {
        names: names.collect(),
        not_after: certificate.validity().not_after.timestamp(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a certificate for these names; returns where it and its key are.
    fn files(folder: &Path, file: &str, names: &[&str]) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let files = CertificateFiles {
            certificate: folder.join(format!("{file}.pem")),
            key: folder.join(format!("{file}.key")),
        };
        std::fs::write(&files.certificate, made.cert.pem()).expect("written");
        std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
        files
    }

    #[test]
    fn a_name_picks_its_certificate_before_a_wildcard_and_the_first_is_for_all_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let loaded = Certificates::load(&[
            files(folder.path(), "first", &["first.example"]),
            files(folder.path(), "wild", &["*.example", "example"]),
            files(folder.path(), "exact", &["Exact.example"]),
        ])
        .expect("good files");
        let all: Vec<_> = loaded.all.iter().map(|it| &it.key).collect();
        for (name, expected) in [
            (None, 0),
            (Some("nobody.else"), 0),
            (Some("first.example"), 0),
            (Some("other.example"), 1),
            (Some("example"), 1),
            (Some("a.b.example"), 0),
            (Some("exact.example"), 2),
            (Some("EXACT.example."), 2),
        ] {
            let chosen = loaded.choose(name, |_| true).expect("one");
            assert!(Arc::ptr_eq(chosen, all[expected]), "{name:?}");
        }
        let none_usable = loaded.choose(Some("exact.example"), |_| false).expect("one");
        assert!(
            Arc::ptr_eq(none_usable, all[0]),
            "what the client cannot check is not picked for it"
        );
    }

    #[test]
    fn files_that_cannot_be_used_are_named_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = files(folder.path(), "good", &["a.example"]);
        let other = files(folder.path(), "other", &["a.example"]);
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let text = std::fs::read_to_string(&good.certificate).expect("readable");
        let cut = write("cut.pem", &text[..text.len() / 2]);
        let empty = write("empty.pem", "");
        let locked = write(
            "locked.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        let missing = folder.path().join("missing");
        let folder_path = folder.path().to_owned();
        for (certificate, key, blamed, value) in [
            (&cut, &good.key, &cut, "without its end"),
            (&empty, &good.key, &empty, "none"),
            (&good.certificate, &other.key, &other.key, "good.pem"),
            (&good.certificate, &locked, &locked, "encrypted"),
            (&good.certificate, &good.certificate, &good.certificate, "none"),
            (&good.certificate, &missing, &missing, "No such file"),
            (&folder_path, &good.key, &folder_path, "a folder"),
        ] {
            let pair = CertificateFiles {
                certificate: certificate.clone(),
                key: key.clone(),
            };
            let fault = Certificates::load(&[pair]).expect_err("cannot be used");
            assert_eq!(&fault.file, blamed, "{fault}");
            assert!(fault.value.contains(value), "{value}: {fault}");
            assert!(!fault.rule.is_empty() && !fault.fix.is_empty());
        }
    }
}
