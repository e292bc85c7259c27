//! What is known of a certificate that was issued: whom it is for, when it is valid, and what the authority calls it.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::CertificateIdentifier;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::schedule::Life;
use crate::tls::fault::TlsFault;
use crate::tls::pem;
use crate::tls::settings::CertificateFiles;

#[derive(Debug)]
pub(super) struct Issued {
    names: Vec<String>,
    pub(super) life: Life,
    /// For the authority's suggestion of when to renew. `None`: the certificate does not say who signed it.
    pub(super) id: Option<CertificateIdentifier<'static>>,
}

impl Issued {
    /// Of a file whose certificate and key fit together.
    pub(super) fn read(files: &CertificateFiles) -> Result<Self, TlsFault> {
        let key = pem::certified_key(files)?;
        let leaf = key.cert.first().map(AsRef::as_ref).unwrap_or_default();
        let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| {
            let rule = "The first certificate must be a valid X.509 certificate.";
            let fix = "Remove the file: another certificate is then ordered.";
            TlsFault::new(&files.certificate, rule, "what cannot be parsed", fix)
        })?;
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let names = alternatives.iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let validity = certificate.validity();
        Ok(Self {
            names: names.collect(),
            life: Life {
                begin: at(validity.not_before.timestamp()),
                end: at(validity.not_after.timestamp()),
            },
            id: authority(&certificate)
                .map(|authority| identifier(authority, certificate.tbs_certificate.raw_serial())),
        })
    }

    /// Every one of these.
    pub(super) fn is_for(&self, names: &[String]) -> bool {
        names
            .iter()
            .all(|name| self.names.iter().any(|found| found.eq_ignore_ascii_case(name)))
    }
}

fn authority<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
            _ => None,
        })
}

fn identifier(authority: &[u8], serial: &[u8]) -> CertificateIdentifier<'static> {
    CertificateIdentifier {
        authority_key_identifier: BASE64_URL_SAFE_NO_PAD.encode(authority).into(),
        serial: BASE64_URL_SAFE_NO_PAD.encode(serial).into(),
    }
}

fn at(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9773, 4.1.
    #[test]
    fn a_certificate_is_called_as_the_standard_has_it() {
        let authority = [
            0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c, 0xde, 0x01,
            0xc8, 0xd4,
        ];
        let id = identifier(&authority, &[0x00, 0x87, 0x65, 0x43, 0x21]);
        assert_eq!(id.to_string(), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    }
}
