//! TLS: files that belong together, and the entry points that need them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use edge::{CertificateFiles, EntryPoint, Redirect, RedirectPoint, StateFolder, TlsSettings, UpstreamTls};
use keymap::static_file::StaticFile;

use crate::cli::TlsArgs;

/// `from_file`: the static file's entry points that ask for TLS. `has_plain`: there are others.
pub(crate) fn compose(
    typed: &TlsArgs,
    from_file: Vec<EntryPoint>,
    file: &StaticFile,
    state: Option<&StateFolder>,
    has_plain: bool,
) -> Result<TlsSettings> {
    let mut entry_points = from_file;
    let typed_here = typed.tls_listen.iter();
    entry_points.extend(typed_here.map(|&listen| EntryPoint { name: None, listen }));
    let certificates = pairs(&typed.tls_cert, &typed.tls_key)?;
    let redirects = redirects(typed, file, &entry_points)?;
    let acme = super::acme::compose(&typed.acme, file, state, has_plain || !redirects.is_empty())?;
    match (entry_points.first(), certificates.is_empty() && acme.is_none()) {
        (Some(entry), true) => bail!(
            "{} is to have TLS, which needs a certificate: give --tls-cert FILE --tls-key FILE, or --acme-domain NAME",
            entry.listen
        ),
        (None, _) => no_tls_is_needed(typed, acme.is_some())?,
        _ => {}
    }
    let identity = typed.upstream_cert.clone().zip(typed.upstream_key.clone());
    Ok(TlsSettings {
        entry_points,
        redirects,
        certificates,
        acme,
        client_ca: typed.tls_client_ca.clone(),
        hsts_max_age: typed.hsts.map(Duration::from_secs),
        upstream: UpstreamTls {
            ca: typed.upstream_ca.clone(),
            identity: identity.map(|(certificate, key)| CertificateFiles { certificate, key }),
        },
        ..TlsSettings::default()
    })
}

/// What has no effect without an address with TLS is a mistake.
fn no_tls_is_needed(typed: &TlsArgs, has_acme: bool) -> Result<()> {
    let flag = match typed {
        _ if !typed.tls_cert.is_empty() => "--tls-cert",
        _ if typed.tls_client_ca.is_some() => "--tls-client-ca",
        _ if typed.hsts.is_some() => "--hsts",
        _ if has_acme => "--acme-domain",
        _ => return Ok(()),
    };
    bail!("{flag}: no address has TLS; give --tls-listen ADDRESS:PORT")
}

fn redirects(typed: &TlsArgs, file: &StaticFile, secured: &[EntryPoint]) -> Result<Vec<RedirectPoint>> {
    let own_port = typed.redirect_port.or_else(|| Some(secured.first()?.listen.port()));
    let mut points = Vec::new();
    for &listen in &typed.redirect_listen {
        let Some(to_port) = own_port else {
            bail!("--redirect-listen: no address has TLS; give --tls-listen ADDRESS:PORT");
        };
        let redirect = Redirect {
            to_port,
            permanent: true,
        };
        let entry = EntryPoint { name: None, listen };
        points.push(RedirectPoint { entry, redirect });
    }
    for entry in &file.entry_points {
        let Some(wanted) = &entry.redirect else {
            continue;
        };
        let redirect = Redirect {
            to_port: typed.redirect_port.unwrap_or(wanted.to_port),
            permanent: wanted.permanent,
        };
        let entry = EntryPoint {
            name: Some(entry.name.clone()),
            listen: entry.address,
        };
        points.push(RedirectPoint { entry, redirect });
    }
    if points.is_empty() && typed.redirect_port.is_some() {
        bail!("--redirect-port: nothing is redirected; give --redirect-listen ADDRESS:PORT");
    }
    Ok(points)
}

/// The first certificate with the first key, and so on.
fn pairs(certificates: &[PathBuf], keys: &[PathBuf]) -> Result<Vec<CertificateFiles>> {
    if certificates.len() != keys.len() {
        bail!(
            "--tls-cert and --tls-key belong together: {} certificates and {} keys were given; give each --tls-cert its \
             --tls-key, in the same order",
            certificates.len(),
            keys.len()
        );
    }
    let pairs = certificates
        .iter()
        .zip(keys)
        .map(|(certificate, key)| CertificateFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        });
    Ok(pairs.collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        tls: TlsArgs,
    }

    fn composed(words: &str, from_file: Vec<EntryPoint>) -> Result<TlsSettings, String> {
        let words = std::iter::once("conclave").chain(words.split_whitespace());
        let typed = Typed::try_parse_from(words).map_err(|error| error.to_string())?;
        compose(&typed.tls, from_file, &StaticFile::default(), None, true).map_err(|error| error.to_string())
    }

    #[test]
    fn certificates_find_their_keys_and_what_is_missing_is_named() {
        let whole = "--tls-listen 127.0.0.1:1 --tls-cert a --tls-key b --tls-cert c --tls-key d --hsts 60 --upstream-cert e \
                     --upstream-key f";
        let settings = composed(whole, Vec::new()).expect("whole");
        let pair = |certificate: &str, key: &str| CertificateFiles {
            certificate: certificate.into(),
            key: key.into(),
        };
        assert_eq!(settings.certificates, [pair("a", "b"), pair("c", "d")]);
        assert_eq!(settings.upstream.identity, Some(pair("e", "f")));
        assert_eq!(settings.hsts_max_age, Some(Duration::from_secs(60)));
        assert!(composed("", Vec::new()).expect("nothing").entry_points.is_empty());
        for (more, to_port) in [("", 1), ("--redirect-port 443", 443)] {
            let redirected = composed(&format!("{whole} --redirect-listen 127.0.0.1:2 {more}"), Vec::new());
            assert_eq!(redirected.expect("whole").redirects[0].redirect.to_port, to_port);
        }
        for (words, named) in [
            ("--tls-listen 127.0.0.1:1", "--tls-cert"),
            ("--tls-listen 127.0.0.1:1 --tls-cert a", "0 keys"),
            ("--tls-cert a --tls-key b", "--tls-listen"),
            ("--tls-client-ca a", "--tls-listen"),
            ("--hsts 60", "--tls-listen"),
            ("--upstream-cert a", "--upstream-key"),
            ("--redirect-listen 127.0.0.1:1", "--tls-listen"),
            ("--redirect-port 1", "--redirect-listen"),
            ("--tls-listen 127.0.0.1:1 --acme-domain a --acme-agree-tos", "--state"),
        ] {
            let error = composed(words, Vec::new()).expect_err(words);
            assert!(error.contains(named), "{words}: {error}");
        }
        let entry = EntryPoint {
            name: Some("websecure".into()),
            listen: ([127, 0, 0, 1], 443).into(),
        };
        assert!(
            composed("", vec![entry.clone()])
                .expect_err("no certificate")
                .contains("127.0.0.1:443")
        );
        let named = composed("--tls-cert a --tls-key b", vec![entry]).expect("whole");
        assert_eq!(named.entry_points[0].name.as_deref(), Some("websecure"));
    }
}
