//! Whose word about the client is taken: the proxies in front of the edge that `--trusted-proxies` names.
//!
//! From anybody else `X-Forwarded-*` is what a client says about itself: it is overwritten. The client is the last
//! address in `X-Forwarded-For` that is no trusted proxy; what stands before it could be made up.

use std::net::IpAddr;

use http::HeaderMap;
use keymap::Network;

/// `X-Forwarded-For` is read from its end; a chain longer than this is no chain of proxies.
const HOPS_MAX: usize = 32;

#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Box<[Network]>);

/// What is known of a client, whoever stands between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    pub(crate) tls: bool,
}

impl TrustedProxies {
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks.into())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Who sent a request that came from `peer`.
    pub(crate) fn client(&self, peer: IpAddr, tls: bool, headers: &HeaderMap) -> Client {
        let peer = peer.to_canonical();
        let itself = Client { address: peer, tls };
        if self.0.is_empty() || !self.trusts(peer) {
            return itself;
        }
        Client {
            address: self.last_untrusted(headers).unwrap_or(peer),
            tls: told_tls(headers).unwrap_or(tls),
        }
    }

    /// `None` where there is none, or something that is no address comes first.
    fn last_untrusted(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let hops = lines.flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
        let mut last = None;
        for hop in hops.take(HOPS_MAX) {
            let Some(address) = address(hop.trim_ascii()) else {
                return last;
            };
            last = Some(address);
            if !self.trusts(address) {
                return last;
            }
        }
        last
    }
}

/// An address as proxies write it: alone, in brackets, with a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let parsed: Result<IpAddr, _> = text.parse();
    let with_port = || text.parse().map(|address: std::net::SocketAddr| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let found = parsed.ok().or_else(|| with_port().ok()).or_else(in_brackets)?;
    Some(found.to_canonical())
}

fn told_tls(headers: &HeaderMap) -> Option<bool> {
    match headers.get("x-forwarded-proto")?.as_bytes() {
        b"https" | b"wss" => Some(true),
        b"http" | b"ws" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let networks = trusted.iter().map(|text| Network::parse(text).expect("a network"));
        let proxies = TrustedProxies::new(networks.collect());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().expect("a value"));
        }
        let peer = peer.parse().expect("an address");
        proxies.client(peer, false, &headers).address.to_string()
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        let proxies = ["10.0.0.0/8", "2001:db8::/32"];
        for (peer, lines, expected) in [
            // Nobody's word.
            ("203.0.113.9", &["1.1.1.1"][..], "203.0.113.9"),
            // One proxy, then two, in one line and in two.
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.9", "10.0.0.2"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("2001:db8::7", &["[2001:dead::1]:80"], "2001:dead::1"),
            ("2001:db8::7", &["[2001:dead::1]"], "2001:dead::1"),
            // What is no address ends what is believed.
            ("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.3"], "10.0.0.3"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.8, 10.0.0.9"], "10.0.0.8"),
        ] {
            assert_eq!(client(&proxies, peer, lines), expected, "{peer} {lines:?}");
        }
        assert_eq!(client(&[], "10.0.0.1", &["203.0.113.9"]), "10.0.0.1");
    }

    #[test]
    fn a_chain_without_end_is_not_followed() {
        let chain = ["10.0.0.1"; 10_000].join(",");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &[&chain]), "10.0.0.1");
    }

    #[test]
    fn whether_it_was_tls_is_told_by_the_trusted_only() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", "https".parse().expect("a value"));
        let proxies = TrustedProxies::new(vec![Network::parse("10.0.0.1").expect("an address")]);
        let tls = |peer: &str| proxies.client(peer.parse().expect("an address"), false, &headers).tls;
        assert!(tls("10.0.0.1"));
        assert!(!tls("10.0.0.2"));
    }
}
