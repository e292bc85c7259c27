//! ACME: names that can be proven, an authority, and a folder to keep what it issues.

use std::net::IpAddr;

use anyhow::{Result, bail};
use edge::{AcmeSettings, ChallengeKind, ExternalAccount, StateFolder};
use keymap::static_file::{StaticAcme, StaticFile};

use crate::cli::{AcmeArgs, ChallengeName};

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Authorities refuse more in one certificate.
const NAMES_MAX: usize = 100;

/// `None`: nobody asked for it. Flags win over the static file.
pub(crate) fn compose(
    typed: &AcmeArgs,
    file: &StaticFile,
    state: Option<&StateFolder>,
    has_plain: bool,
) -> Result<Option<AcmeSettings>> {
    let from_file = file.acme.as_ref();
    let certificates = certificates(typed, file)?;
    if certificates.is_empty() {
        if from_file.is_some() {
            bail!(
                "certResolver: for which names is not said; give --acme-domain NAME, or `domains` beside the certResolver \
                 (names are not taken from rules)"
            );
        }
        if typed.acme_agree_tos || !typed.acme_contact.is_empty() || typed.acme_directory.is_some() {
            bail!("--acme-…: for which names is not said; give --acme-domain NAME");
        }
        return Ok(None);
    }
    let directory = typed.acme_directory.clone();
    let directory = directory.or_else(|| from_file.and_then(|acme| acme.directory.clone()));
    let directory = directory.unwrap_or_else(|| LETS_ENCRYPT.to_owned());
    if !directory.starts_with("https://") {
        bail!("--acme-directory: {directory} does not begin with https://; an authority is reached over TLS alone");
    }
    if !typed.acme_agree_tos {
        bail!(
            "--acme-domain: the authority at {directory} has terms of service; read them, and give --acme-agree-tos if you \
             agree"
        );
    }
    let Some(state) = state else {
        bail!("--acme-domain: certificates and the account are kept in the state folder; give --state DIR");
    };
    let challenge = challenge(typed, from_file);
    if challenge == ChallengeKind::Http01 && !has_plain {
        bail!("--acme-challenge http-01: no address is without TLS; give --redirect-listen ADDRESS:80");
    }
    Ok(Some(AcmeSettings {
        directory,
        certificates,
        contacts: contacts(typed, from_file)?,
        challenge,
        directory_ca: typed.acme_ca.clone(),
        external_account: external_account(typed)?,
        folder: state.path.clone(),
    }))
}

fn certificates(typed: &AcmeArgs, file: &StaticFile) -> Result<Vec<Vec<String>>> {
    let typed_here = typed
        .acme_domain
        .iter()
        .map(|names| names.split('+').map(str::to_owned).collect());
    let mut all: Vec<Vec<String>> = typed_here.collect();
    if all.is_empty() {
        all = file.certificates.clone();
    }
    for names in &mut all {
        for name in names.iter_mut() {
            *name = checked(name)?;
        }
        if names.len() > NAMES_MAX {
            bail!(
                "--acme-domain: {} names in one certificate; authorities take {NAMES_MAX}",
                names.len()
            );
        }
    }
    for (index, names) in all.iter().enumerate() {
        if all[..index].iter().any(|before| before[0] == names[0]) {
            bail!(
                "--acme-domain: {} is the first name of two certificates; give each its own",
                names[0]
            );
        }
    }
    Ok(all)
}

/// In lower case.
fn checked(name: &str) -> Result<String> {
    let plain = |label: &str| {
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(is_plain) && !label.starts_with('-')
    };
    let name = name.trim();
    if name.starts_with("*.") {
        bail!(
            "--acme-domain: {name}: a wildcard is proven by DNS alone, which the edge does not do; name every host, or give \
             --tls-cert"
        );
    }
    if name.parse::<IpAddr>().is_ok() || name.len() > 253 || !name.split('.').all(plain) {
        bail!("--acme-domain: {name:?} is no host name; write one as in `api.example.org`");
    }
    Ok(name.to_ascii_lowercase())
}

fn challenge(typed: &AcmeArgs, file: Option<&StaticAcme>) -> ChallengeKind {
    match (typed.acme_challenge, file) {
        (Some(ChallengeName::Http01), _) => ChallengeKind::Http01,
        (None, Some(acme)) if acme.http_challenge => ChallengeKind::Http01,
        _ => ChallengeKind::TlsAlpn01,
    }
}

fn contacts(typed: &AcmeArgs, file: Option<&StaticAcme>) -> Result<Vec<String>> {
    let mut contacts = typed.acme_contact.clone();
    if contacts.is_empty() {
        contacts.extend(file.and_then(|acme| acme.email.clone()));
    }
    for contact in &mut contacts {
        *contact = contact.trim().trim_start_matches("mailto:").to_owned();
        if !contact.contains('@') || contact.contains(|c: char| c.is_whitespace() || c.is_control()) {
            bail!("--acme-contact: {contact:?} is no mail address; write one as in `operator@example.org`");
        }
    }
    Ok(contacts)
}

fn external_account(typed: &AcmeArgs) -> Result<Option<ExternalAccount>> {
    match (&typed.acme_eab_id, &typed.acme_eab_key_file) {
        (Some(id), Some(file)) => Ok(Some(ExternalAccount::read(id, file)?)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        acme: AcmeArgs,
    }

    fn composed(words: &str, file: &StaticFile, has_plain: bool) -> Result<Option<AcmeSettings>, String> {
        let words = std::iter::once("conclave").chain(words.split_whitespace());
        let typed = Typed::try_parse_from(words).map_err(|error| error.to_string())?;
        let state = StateFolder {
            path: "/state".into(),
            required: true,
        };
        compose(&typed.acme, file, Some(&state), has_plain).map_err(|error| error.to_string())
    }

    #[test]
    fn names_find_their_certificates_and_the_defaults_are_lets_encrypt_s() {
        let none = StaticFile::default();
        let words = "--acme-domain A.example+www.a.example --acme-domain b.example --acme-agree-tos --acme-contact \
                     mailto:me@a.example";
        let settings = composed(words, &none, false).expect("whole").expect("asked for");
        assert_eq!(
            settings.certificates,
            [vec!["a.example", "www.a.example"], vec!["b.example"]]
        );
        assert_eq!(
            (&*settings.directory, settings.challenge),
            (LETS_ENCRYPT, ChallengeKind::TlsAlpn01)
        );
        assert_eq!(settings.contacts, ["me@a.example"]);
        assert!(composed("", &none, true).expect("nothing").is_none());
    }

    #[test]
    fn what_cannot_be_proven_or_was_not_agreed_to_is_said() {
        let none = StaticFile::default();
        for (words, named) in [
            ("--acme-domain a.example", "--acme-agree-tos"),
            ("--acme-agree-tos", "--acme-domain"),
            ("--acme-domain *.a.example --acme-agree-tos", "wildcard"),
            ("--acme-domain 127.0.0.1 --acme-agree-tos", "no host name"),
            ("--acme-domain a..example --acme-agree-tos", "no host name"),
            ("--acme-domain a/b --acme-agree-tos", "no host name"),
            ("--acme-domain a --acme-domain a+b --acme-agree-tos", "two certificates"),
            ("--acme-domain a --acme-agree-tos --acme-contact me", "mail address"),
            (
                "--acme-domain a --acme-agree-tos --acme-directory http://ca",
                "https://",
            ),
            (
                "--acme-domain a --acme-agree-tos --acme-challenge http-01",
                "--redirect-listen",
            ),
            (
                "--acme-domain a --acme-agree-tos --acme-eab-id x",
                "--acme-eab-key-file",
            ),
            (
                "--acme-domain a --acme-agree-tos --acme-eab-id x --acme-eab-key-file /none",
                "/none",
            ),
        ] {
            let error = composed(words, &none, false).expect_err(words);
            assert!(error.contains(named), "{words}: {error}");
        }
    }

    #[test]
    fn the_static_file_says_what_flags_do_not() {
        let file = StaticFile {
            acme: Some(StaticAcme {
                email: Some("me@a.example".to_owned()),
                directory: Some("https://ca.example/dir".to_owned()),
                http_challenge: true,
            }),
            certificates: vec![vec!["a.example".to_owned()]],
            ..StaticFile::default()
        };
        let settings = composed("--acme-agree-tos", &file, true)
            .expect("whole")
            .expect("asked for");
        assert_eq!(
            (&*settings.directory, settings.challenge),
            ("https://ca.example/dir", ChallengeKind::Http01)
        );
        assert_eq!(
            (&settings.certificates, &settings.contacts),
            (&file.certificates, &vec!["me@a.example".to_owned()])
        );
        let flags = "--acme-agree-tos --acme-domain b.example --acme-challenge tls-alpn-01";
        let settings = composed(flags, &file, true).expect("whole").expect("asked for");
        assert_eq!(
            (&*settings.certificates[0][0], settings.challenge),
            ("b.example", ChallengeKind::TlsAlpn01)
        );
        let nameless = StaticFile {
            certificates: Vec::new(),
            ..file
        };
        assert!(
            composed("--acme-agree-tos", &nameless, true)
                .expect_err("no names")
                .contains("certResolver")
        );
    }
}
