//! One server as the edge reaches it: its addresses, its `Host`, the path put before the request's.
//!
//! A name is looked up when it is first needed and again when the answer is [`FRESH_FOR`] old; a failed look-up falls
//! back to the last addresses known, so that a resolver that hiccups does not take a running server away.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use keymap::{Server, ServerUrl, ServersTransport, UrlScheme};

use crate::complaints::Complaints;
use crate::tls::Trust;

/// Containers come back under new addresses within seconds; a look-up on loopback or a local resolver is cheap.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// Of the addresses a name has, so many are kept.
const ADDRESSES_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Upstream {
    url: ServerUrl,
    /// For `passHostHeader: false`.
    pub(crate) host_header: HeaderValue,
    preserve_path: bool,
    addresses: Addresses,
    /// `None`: its certificate is for the host of its URL.
    server_name: Option<Arc<str>>,
    /// `None`: whom the edge itself trusts.
    trust: Option<Arc<Trust>>,
    /// Over TLS, it may choose HTTP/2.
    offered_http_2: bool,
    /// Of its idle connections, so many are kept, by each thread. `None`: the edge's own bound.
    pub(crate) idle_max: Option<usize>,
    pub(crate) times: Times,
    pub(crate) complaints: Complaints,
}

/// Whether a server is spoken to in HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Http2 {
    Never,
    /// Over TLS, if it chooses it.
    Offered,
    Always,
}

/// A transport's time-outs. `None`: the edge's own apply.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    /// To reach the server, TLS included.
    pub(crate) dial: Option<Duration>,
    /// From the request's last byte to the first of the answer.
    pub(crate) response_header: Option<Duration>,
    /// An idle connection is kept for so long.
    pub(crate) idle: Option<Duration>,
}

#[derive(Debug)]
enum Addresses {
    Fixed(SocketAddr),
    Named {
        found: ArcSwapOption<Found>,
        turn: AtomicUsize,
    },
}

#[derive(Debug)]
struct Found {
    at: Instant,
    addresses: Box<[SocketAddr]>,
}

impl Upstream {
    pub(crate) fn new(server: &Server) -> Self {
        let url = server.url.clone();
        let addresses = match url.host.parse::<IpAddr>() {
            Ok(ip) => Addresses::Fixed(SocketAddr::new(ip, url.port)),
            Err(_) => Addresses::Named {
                found: ArcSwapOption::empty(),
                turn: AtomicUsize::new(0),
            },
        };
        Self {
            host_header: host_header(&url),
            preserve_path: server.preserve_path,
            addresses,
            server_name: None,
            trust: None,
            offered_http_2: false,
            idle_max: None,
            times: Times::default(),
            complaints: Complaints::default(),
            url,
        }
    }

    /// How its transport has it reached.
    pub(crate) fn under(self, transport: Option<&Arc<ServersTransport>>) -> Self {
        Self {
            server_name: transport.and_then(|transport| transport.server_name.clone()),
            trust: transport.and_then(|transport| Trust::of(transport)),
            offered_http_2: transport.is_some_and(|transport| transport.http_2),
            idle_max: transport
                .and_then(|transport| transport.max_idle_conns_per_host)
                .and_then(|most| usize::try_from(most).ok()),
            ..self
        }
    }

    pub(crate) fn with_times(self, times: Times) -> Self {
        Self { times, ..self }
    }

    /// The same server, perhaps by another door; its path is not put before anything.
    pub(crate) fn again(&self, scheme: Option<UrlScheme>, port: Option<u16>) -> Self {
        let url = ServerUrl {
            scheme: scheme.unwrap_or(self.url.scheme),
            port: port.unwrap_or(self.url.port),
            ..self.url.clone()
        };
        let other = Self::new(&Server {
            url,
            weight: 1,
            preserve_path: false,
        });
        Self {
            times: self.times,
            server_name: self.server_name.clone(),
            trust: self.trust.clone(),
            offered_http_2: self.offered_http_2,
            ..other
        }
    }

    pub(crate) fn tls(&self) -> bool {
        self.url.scheme == UrlScheme::Https
    }

    pub(crate) fn http_2(&self) -> Http2 {
        match self.url.scheme {
            UrlScheme::H2c => Http2::Always,
            UrlScheme::Https if self.offered_http_2 => Http2::Offered,
            _ => Http2::Never,
        }
    }

    /// The name a certificate must be for.
    pub(crate) fn server_name(&self) -> &str {
        self.server_name.as_deref().unwrap_or(&self.url.host)
    }

    pub(crate) fn trust(&self) -> Option<&Arc<Trust>> {
        self.trust.as_ref()
    }

    /// What goes before the request's path: nothing unless the mapping asks for it, as in Traefik.
    pub(crate) fn path_prefix(&self) -> &str {
        if self.preserve_path { &self.url.path } else { "" }
    }

    /// For logs: `host:port`.
    pub(crate) fn label(&self) -> &str {
        self.host_header.to_str().unwrap_or_default()
    }

    /// An address to connect to; where a name has several, they take turns.
    ///
    /// # Errors
    /// Where the name cannot be looked up and never could.
    pub(crate) async fn address(&self) -> io::Result<SocketAddr> {
        let (found, turn) = match &self.addresses {
            Addresses::Fixed(address) => return Ok(*address),
            Addresses::Named { found, turn } => (found, turn),
        };
        let known = match found.load_full() {
            Some(known) if known.at.elapsed() < FRESH_FOR => known,
            stale => Box::pin(self.look_up(found, stale)).await?,
        };
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        Ok(known.addresses[turn % known.addresses.len()])
    }

    async fn look_up(&self, found: &ArcSwapOption<Found>, stale: Option<Arc<Found>>) -> io::Result<Arc<Found>> {
        let looked_up = tokio::net::lookup_host((&*self.url.host, self.url.port)).await;
        let addresses: Box<[SocketAddr]> = match looked_up {
            Ok(addresses) => addresses.take(ADDRESSES_MAX).collect(),
            Err(error) => return stale.ok_or(error),
        };
        if addresses.is_empty() {
            return stale.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        let fresh = Arc::new(Found {
            at: Instant::now(),
            addresses,
        });
        found.store(Some(fresh.clone()));
        Ok(fresh)
    }
}

fn host_header(url: &ServerUrl) -> HeaderValue {
    let host = if url.host.contains(':') {
        format!("[{}]", url.host)
    } else {
        url.host.to_string()
    };
    let default_port = if url.scheme == UrlScheme::Https { 443 } else { 80 };
    let text = if url.port == default_port {
        host
    } else {
        format!("{host}:{}", url.port)
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(host: &str, port: u16) -> Upstream {
        let url = ServerUrl {
            scheme: UrlScheme::Http,
            host: host.into(),
            port,
            path: "/base".into(),
        };
        Upstream::new(&Server {
            url,
            weight: 1,
            preserve_path: false,
        })
    }

    #[tokio::test]
    async fn addresses_come_from_literals_and_names() {
        assert_eq!(
            upstream("::1", 81).address().await.expect("literal").to_string(),
            "[::1]:81"
        );
        assert!(
            upstream("localhost", 82)
                .address()
                .await
                .expect("name")
                .ip()
                .is_loopback()
        );
        assert!(upstream("no-such-host.invalid", 83).address().await.is_err());
    }

    #[test]
    fn the_host_header_leaves_out_the_default_port() {
        assert_eq!(upstream("::1", 81).label(), "[::1]:81");
        assert_eq!(upstream("gpu", 80).label(), "gpu");
        assert_eq!(upstream("gpu", 80).path_prefix(), "");
    }
}
