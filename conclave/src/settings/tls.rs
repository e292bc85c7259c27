//! TLS: files that belong together, and the entry points that need them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use edge::{CertificateFiles, EntryPoint, TlsSettings, UpstreamTls};

use crate::cli::TlsArgs;

/// `from_file`: the static file's entry points that ask for TLS.
pub(crate) fn compose(typed: &TlsArgs, from_file: Vec<EntryPoint>) -> Result<TlsSettings> {
    let mut entry_points = from_file;
    let typed_here = typed.tls_listen.iter();
    entry_points.extend(typed_here.map(|&listen| EntryPoint { name: None, listen }));
    let certificates = pairs(&typed.tls_cert, &typed.tls_key)?;
    match (entry_points.first(), certificates.is_empty()) {
        (Some(entry), true) => bail!(
            "{} is to have TLS, which needs a certificate: give --tls-cert FILE --tls-key FILE",
            entry.listen
        ),
        (None, false) => bail!("--tls-cert: no address has TLS; give --tls-listen ADDRESS:PORT"),
        (None, _) if typed.tls_client_ca.is_some() => {
            bail!("--tls-client-ca: no address has TLS; give --tls-listen ADDRESS:PORT")
        }
        (None, _) if typed.hsts.is_some() => bail!("--hsts: no address has TLS; give --tls-listen ADDRESS:PORT"),
        _ => {}
    }
    let identity = typed.upstream_cert.clone().zip(typed.upstream_key.clone());
    Ok(TlsSettings {
        entry_points,
        certificates,
        client_ca: typed.tls_client_ca.clone(),
        hsts_max_age: typed.hsts.map(Duration::from_secs),
        upstream: UpstreamTls {
            ca: typed.upstream_ca.clone(),
            identity: identity.map(|(certificate, key)| CertificateFiles { certificate, key }),
        },
        ..TlsSettings::default()
    })
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
        compose(&typed.tls, from_file).map_err(|error| error.to_string())
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
        for (words, named) in [
            ("--tls-listen 127.0.0.1:1", "--tls-cert"),
            ("--tls-listen 127.0.0.1:1 --tls-cert a", "0 keys"),
            ("--tls-cert a --tls-key b", "--tls-listen"),
            ("--tls-client-ca a", "--tls-listen"),
            ("--hsts 60", "--tls-listen"),
            ("--upstream-cert a", "--upstream-key"),
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
