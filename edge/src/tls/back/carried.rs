//! The same trust and identity in pingora's types, for requests that pingora-proxy carries.

use std::sync::Arc;

use pingora_core::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};

#[derive(Clone, Default)]
pub(crate) struct Carried {
    /// `None`: the system's.
    pub(crate) authorities: Option<Arc<[WrappedX509]>>,
    pub(crate) identity: Option<Arc<CertKey>>,
}

impl Carried {
    pub(super) fn of(
        authorities: &[CertificateDer<'static>],
        identity: Option<&CertifiedKey>,
        key: Option<&PrivateKeyDer<'static>>,
    ) -> Self {
        // pingora ends the process over what its parser does not like.
        let can_parse = |der: &&CertificateDer<'static>| X509Certificate::from_der(der).is_ok();
        let wrapped = |der: &CertificateDer<'static>| WrappedX509::new(der.to_vec(), parse_x509);
        let usable: Vec<_> = authorities.iter().filter(can_parse).map(wrapped).collect();
        let identity = identity
            .zip(key)
            .filter(|(identity, _)| identity.cert.iter().all(|der| can_parse(&der)));
        Self {
            authorities: Some(usable).filter(|usable| !usable.is_empty()).map(Arc::from),
            identity: identity.map(|(identity, key)| {
                let chain = identity.cert.iter().map(|der| der.to_vec()).collect();
                Arc::new(CertKey::new(chain, key.secret_der().to_vec()))
            }),
        }
    }
}
