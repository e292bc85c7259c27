//! How the authority is spoken to: HTTP/1.1 over TLS, one connection a request, bounded in time and in bytes.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tls::fault::TlsFault;
use crate::tls::{pem, provider};

/// An authority that is slow takes seconds.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// A chain of certificates is a few KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The longest wait that an authority can ask for.
const RETRY_AFTER_MAX_SECONDS: u64 = 24 * 3600;

pub(super) struct Directory {
    tls: TlsConnector,
}

impl Directory {
    /// Reads who is trusted to sign the authority's own certificate.
    pub(super) fn new(ca: Option<&Path>) -> Result<Self, TlsFault> {
        let roots = match ca {
            Some(file) => pem::authorities(file)?,
            None => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots
            }
        };
        let versions = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13, &TLS12]);
        let versions = versions.map_err(|error| {
            let rule = "The usual ciphers must be there.";
            TlsFault::new(Path::new(""), rule, error, "Build with the ring provider.")
        })?;
        let config = versions.with_root_certificates(roots).with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }
}

impl HttpClient for Directory {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = self.tls.clone();
        Box::pin(async move {
            let answered = tokio::time::timeout(REQUEST_MAX, exchange(&tls, request)).await;
            answered.unwrap_or_else(|_| Err(other("no answer within a minute")))
        })
    }
}

async fn exchange(tls: &TlsConnector, mut request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
    let uri = request.uri().clone();
    let (Some("https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(other("its URL does not begin with https://"));
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(443))).await;
    let name = ServerName::try_from(host.to_owned()).map_err(other)?;
    let stream = tls.connect(name, stream.map_err(other)?).await.map_err(other)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(other)?;
    let target = uri.path_and_query().cloned();
    *request.uri_mut() = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    let host = HeaderValue::from_str(authority.as_str()).map_err(other)?;
    request.headers_mut().insert(HOST, host);
    request
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    let answer = async move {
        let (mut head, body) = sender.send_request(request).await.map_err(other)?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(Error::Other)?;
        bound_retry_after(&mut head.headers);
        Ok(BytesResponse {
            parts: head,
            body: Box::new(body.to_bytes()),
        })
    };
    // Driven until the answer is there; what the connection says afterwards is of no use.
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(other(error)),
        },
    }
}

/// The library adds what is asked for to the time, and ends its thread where no clock counts so far.
fn bound_retry_after(headers: &mut HeaderMap) {
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = asked.and_then(|value| value.trim().parse::<u64>().ok());
    if seconds.is_some_and(|seconds| seconds > RETRY_AFTER_MAX_SECONDS) {
        headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_MAX_SECONDS));
    }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Other(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_to_wait_longer_than_a_day() {
        for (asked, expected) in [
            ("0", "0"),
            ("86400", "86400"),
            ("86401", "86400"),
            (" 18446744073709551615", "86400"),
            ("Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let mut headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(asked))]);
            bound_retry_after(&mut headers);
            assert_eq!(headers[RETRY_AFTER], expected, "{asked}");
        }
        let mut none = HeaderMap::new();
        bound_retry_after(&mut none);
        assert!(none.is_empty());
    }
}
