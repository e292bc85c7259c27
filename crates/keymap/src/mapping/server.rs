//! One server of a service, and its address.

use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub url: ServerUrl,
    /// 1 unless given; 0 takes no traffic.
    pub weight: u32,
    /// Whether the URL's path is put before the request's. Traefik ignores it otherwise.
    pub preserve_path: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UrlScheme {
    Http,
    Https,
    /// HTTP/2 without TLS, from the first byte.
    H2c,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerUrl {
    pub scheme: UrlScheme,
    /// A name or an address; an IPv6 address without its brackets.
    pub host: Arc<str>,
    pub port: u16,
    /// Empty or `/…` without a slash at its end.
    pub path: Arc<str>,
}
