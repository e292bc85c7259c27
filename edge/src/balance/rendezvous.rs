//! Highest random weight: every client has an order of its own in which it prefers servers, and a server that leaves
//! moves its own clients and nobody else's.
//!
//! Nothing is remembered: equal clients and names give equal orders, in every process and after every restart.

use std::net::IpAddr;

/// A client as a number. The address without its port: a client opens many connections.
pub(super) fn client(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => mix(u64::from(u32::from(v4))),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            mix(mix((bits >> 64) as u64) ^ bits as u64)
        }
    }
}

/// A server's or service's name as a number (FNV-1a): what it is in one process it is in all.
pub(super) fn name(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// How much a client prefers a server; the highest wins, each as often as its weight says. Weight 0 never wins.
pub(super) fn score(client: u64, name: u64, weight: f64) -> f64 {
    // A number in (0, 1], evenly spread, of 53 bits.
    let drawn = ((mix(client ^ mix(name)) >> 11) + 1) as f64 / (1u64 << 53) as f64;
    if weight > 0.0 {
        // -w / ln(u): the largest of these falls to each in proportion to its weight. ln(1) is -0: the best there is.
        -weight / drawn.ln().min(-f64::MIN_POSITIVE)
    } else {
        0.0
    }
}

/// SplitMix64's finish: every bit of the input moves every bit of the output.
pub(super) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["http://a:1", "http://b:1", "http://c:1", "http://d:1"];

    fn winner(client: u64, weights: &[f64]) -> usize {
        let score = |at: usize| score(client, name(NAMES[at].as_bytes()), weights[at]);
        (0..weights.len())
            .max_by(|a, b| score(*a).total_cmp(&score(*b)))
            .expect("some")
    }

    fn clients() -> impl Iterator<Item = u64> {
        (0..20_000u32).map(|number| client(IpAddr::from(number.to_be_bytes())))
    }

    #[test]
    fn clients_are_spread_by_weight() {
        let mut counts = [0.0_f64; 4];
        clients().for_each(|client| counts[winner(client, &[1.0, 2.0, 0.0, 1.0])] += 1.0 / 20_000.0);
        for (share, expected) in counts.iter().zip([0.25, 0.5, 0.0, 0.25]) {
            assert!((share - expected).abs() < 0.02, "{counts:?}");
        }
    }

    #[test]
    fn who_leaves_moves_only_its_own_clients() {
        for client in clients() {
            let before = winner(client, &[1.0; 4]);
            let after = winner(client, &[1.0, 1.0, 1.0, 0.0]);
            assert!(before == after || before == 3, "only the last one's clients move");
        }
    }

    #[test]
    fn an_address_is_one_client_in_both_its_forms() {
        let (v4, v6) = ("10.0.0.7".parse().expect("v4"), "::ffff:10.0.0.7".parse().expect("v6"));
        assert_eq!(client(v4), client(v6));
    }
}
