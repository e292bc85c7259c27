//! How often a wrong token may come from one address.
//!
//! Each address has a small account that fills up again by itself. While it is empty no token of that address is looked
//! at, right or wrong: to look would be to let the search go on. At one guess a second even a short token is not found.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Somebody with an old token in several scripts is no attacker.
const BURST: u32 = 30;

/// One more attempt each.
const REFILL: Duration = Duration::from_secs(1);

/// Addresses remembered; beyond it all new ones share an account, so that many addresses find no more than one.
const ADDRESSES_MAX: usize = 4_096;

/// By address: when its account is full again.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Instant>>);

impl Attempts {
    /// # Errors
    /// How long to wait, where this address has none left.
    pub(super) fn admit(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(full_at) = accounts.get(&account(&accounts, peer)) else {
            return Ok(());
        };
        let owed = full_at.saturating_duration_since(now);
        // One attempt must fit into what is left.
        owed.checked_sub(REFILL * (BURST - 1))
            .filter(|wait| !wait.is_zero())
            .map_or(Ok(()), Err)
    }

    pub(super) fn failed(&self, peer: IpAddr, now: Instant) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= ADDRESSES_MAX {
            accounts.retain(|_, full_at| *full_at > now);
        }
        let account = account(&accounts, peer);
        let full_at = accounts.entry(account).or_insert(now);
        *full_at = (*full_at).max(now) + REFILL;
    }
}

/// Whose account an attempt from here is on.
fn account(accounts: &HashMap<IpAddr, Instant>, peer: IpAddr) -> IpAddr {
    /// No peer has it.
    const SHARED: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let own = network(peer);
    if accounts.len() >= ADDRESSES_MAX && !accounts.contains_key(&own) {
        SHARED
    } else {
        own
    }
}

/// Of IPv6, whoever has one address has its /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_burst_then_one_a_second_and_others_are_unharmed() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..BURST {
            assert_eq!(attempts.admit(one, now), Ok(()));
            attempts.failed(one, now);
        }
        assert_eq!(attempts.admit(one, now), Err(REFILL));
        assert_eq!(attempts.admit(other, now), Ok(()));
        assert_eq!(attempts.admit(address("::ffff:192.0.2.1"), now), Err(REFILL));
        let later = now + REFILL;
        assert_eq!(attempts.admit(one, later), Ok(()));
        attempts.failed(one, later);
        assert_eq!(attempts.admit(one, later), Err(REFILL));
        assert_eq!(attempts.admit(one, later + REFILL * BURST), Ok(()));
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for host in 0..BURST {
            attempts.failed(address(&format!("2001:db8::{host:x}")), now);
        }
        assert!(attempts.admit(address("2001:db8::ffff"), now).is_err());
        assert!(attempts.admit(address("2001:db8:0:1::1"), now).is_ok());
    }

    #[test]
    fn many_addresses_share_an_account_and_no_more_than_so_many_are_remembered() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for number in 0..20_000_u32 {
            attempts.failed(IpAddr::V4(number.into()), now);
        }
        assert!(attempts.0.lock().unwrap().len() <= ADDRESSES_MAX + 1);
        assert!(attempts.admit(address("192.0.2.1"), now).is_err());
        // Once the remembered ones are full again they are forgotten, and there is room.
        let later = now + REFILL * 20_000;
        attempts.failed(address("192.0.2.1"), later);
        assert_eq!(attempts.0.lock().unwrap().len(), 1);
    }
}
