//! A client's address or network, for `ClientIP`, `ipAllowList` and trusted proxies.

use std::net::IpAddr;

/// An IPv4 address in IPv6's clothes (`::ffff:192.0.2.1`) is the IPv4 address, in the rule as in the request: a
/// dual-stack socket reports its IPv4 peers that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// By how many bits `::ffff:0:0/96` precedes the IPv4 address in it.
const MAPPED_BITS: u8 = 96;

impl Network {
    /// `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`. `None` where it is neither an address nor a network.
    pub fn parse(text: &str) -> Option<Self> {
        let Some((address, length)) = text.split_once('/') else {
            let address = text.parse::<IpAddr>().ok()?.to_canonical();
            return Some(Self {
                address,
                prefix_bits: width(address),
            });
        };
        let written: IpAddr = address.parse().ok()?;
        let digits_only = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let prefix_bits = length
            .parse::<u8>()
            .ok()
            .filter(|bits| digits_only && *bits <= width(written))?;
        let address = written.to_canonical();
        match (written, address) {
            (IpAddr::V6(_), IpAddr::V4(_)) if prefix_bits >= MAPPED_BITS => Some(Self {
                address,
                prefix_bits: prefix_bits - MAPPED_BITS,
            }),
            _ => Some(Self {
                address: written,
                prefix_bits,
            }),
        }
    }

    pub fn contains(&self, client: IpAddr) -> bool {
        let (network, client, width) = match (self.address, client.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(client)) => (network.to_bits().into(), client.to_bits().into(), 32),
            (IpAddr::V6(network), IpAddr::V6(client)) => (network.to_bits(), client.to_bits(), 128),
            _ => return false,
        };
        let host_bits = u32::from(width - self.prefix_bits);
        let differing: u128 = network ^ client;
        differing.checked_shr(host_bits).unwrap_or(0) == 0
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_the_addresses_of_the_network() {
        for (network, client, expected) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.99/24", "192.0.2.1", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.0/120", "192.0.2.1", true),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
        ] {
            let parsed = Network::parse(network).expect(network);
            assert_eq!(
                parsed.contains(client.parse().expect(client)),
                expected,
                "{network} {client}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_network() {
        for text in [
            "1",
            "",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "::/129",
            "192.0.2/24",
            "example.com",
            "a/8",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
