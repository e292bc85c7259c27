//! What this process asks others with, beside the two planes: the collector of traces, and the planes' own addresses.
//!
//! No proxy of the environment's, no redirect: what is sent goes where the operator said, or nowhere. The system's
//! certificates are loaded only where an address is https: a machine or an image may have none, and then it needs none.

use reqwest::{ClientBuilder, Url};

/// For these addresses and no others.
pub(crate) fn client<'u>(addresses: impl IntoIterator<Item = &'u Url>) -> ClientBuilder {
    // One process wants one crypto provider; an error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("conclave/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    match addresses.into_iter().any(|address| address.scheme() == "https") {
        true => builder,
        false => builder.tls_certs_only([]),
    }
}
