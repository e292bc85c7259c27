//! Who is connected, and who may come in: a bound on all connections and one on those of a single address.
//!
//! One client that opens connections without end must not take everybody's descriptors. Counting costs one short lock of
//! one of [`ROOMS`] rooms a connection, none a request. Addresses that hold no connection are forgotten at once, so the
//! table is never larger than the number of connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Addresses are spread over so many locks.
const ROOMS: usize = 64;

/// How many may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrowdBounds {
    pub connections_max: usize,
    /// Of one address; of an IPv6 client, of its /64 network, since it has all of it. Loopback is not counted: what
    /// stands there is a proxy or the operator.
    pub per_address_max: u32,
}

impl Default for CrowdBounds {
    fn default() -> Self {
        Self {
            connections_max: 65_536,
            // An office behind one address, each with a few tools that keep connections, stays well below.
            per_address_max: 1_024,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Crowd {
    bounds: CrowdBounds,
    connections: AtomicUsize,
    rooms: Box<[Mutex<HashMap<IpAddr, u32>>]>,
}

/// One connection, counted for as long as it lives.
#[derive(Debug)]
pub(crate) struct Guest {
    crowd: Arc<Crowd>,
    address: Option<IpAddr>,
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    Full,
    AddressFull,
}

impl Crowd {
    pub(crate) fn new(bounds: CrowdBounds) -> Self {
        Self {
            bounds,
            connections: AtomicUsize::new(0),
            rooms: (0..ROOMS).map(|_| Mutex::default()).collect(),
        }
    }

    pub(crate) fn enter(self: &Arc<Self>, client: IpAddr) -> Result<Guest, TurnedAway> {
        let address = counted(client);
        if self.connections.fetch_add(1, Ordering::Relaxed) >= self.bounds.connections_max {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(TurnedAway::Full);
        }
        if address.is_some_and(|address| !self.count(address)) {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(TurnedAway::AddressFull);
        }
        let crowd = self.clone();
        Ok(Guest { crowd, address })
    }

    /// False where the address has all it may.
    fn count(&self, address: IpAddr) -> bool {
        let mut room = self.room(address).lock();
        let held = room.entry(address).or_insert(0);
        if *held >= self.bounds.per_address_max {
            return false;
        }
        *held += 1;
        true
    }

    fn leave(&self, address: IpAddr) {
        let mut room = self.room(address).lock();
        if let Some(held) = room.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                room.remove(&address);
            }
        }
    }

    fn room(&self, address: IpAddr) -> &Mutex<HashMap<IpAddr, u32>> {
        let sum: usize = match address {
            IpAddr::V4(address) => address.octets().iter().map(|&byte| usize::from(byte)).sum(),
            IpAddr::V6(address) => address.octets().iter().map(|&byte| usize::from(byte)).sum(),
        };
        &self.rooms[sum % ROOMS]
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.crowd.leave(address);
        }
        self.crowd.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The process, or the machine, may open no more.
pub(crate) fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    let out = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
    out.iter().any(|out| error.raw_os_error() == Some(out.raw_os_error()))
}

/// What a client is counted by; `None` for loopback.
fn counted(client: IpAddr) -> Option<IpAddr> {
    match client.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            Some(IpAddr::V6(network.into()))
        }
        address => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(connections_max: usize, per_address_max: u32) -> Arc<Crowd> {
        Arc::new(Crowd::new(CrowdBounds {
            connections_max,
            per_address_max,
        }))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_bound_and_gets_back_what_it_gives_back() {
        let crowd = crowd(100, 2);
        let first = crowd.enter(ip("10.0.0.1")).expect("room");
        let _second = crowd.enter(ip("::ffff:10.0.0.1")).expect("room");
        assert_eq!(crowd.enter(ip("10.0.0.1")).err(), Some(TurnedAway::AddressFull));
        let _other = crowd.enter(ip("10.0.0.2")).expect("another address");
        drop(first);
        drop(crowd.enter(ip("10.0.0.1")).expect("room again"));
        assert_eq!(crowd.connections.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let crowd = crowd(100, 1);
        let _one = crowd.enter(ip("2001:db8:1:2::1")).expect("room");
        assert_eq!(
            crowd.enter(ip("2001:db8:1:2:ffff::9")).err(),
            Some(TurnedAway::AddressFull)
        );
        assert!(crowd.enter(ip("2001:db8:1:3::1")).is_ok());
    }

    #[test]
    fn all_together_have_theirs_and_nothing_is_kept_of_those_who_left() {
        let crowd = crowd(3, 1);
        let guests: Vec<_> = (1..=3)
            .map(|last| crowd.enter(ip(&format!("10.0.0.{last}"))).expect("room"))
            .collect();
        assert_eq!(crowd.enter(ip("127.0.0.1")).err(), Some(TurnedAway::Full));
        drop(guests);
        assert!(crowd.rooms.iter().all(|room| room.lock().is_empty()));
        let loopback: Vec<_> = (0..3)
            .map(|_| crowd.enter(ip("127.0.0.1")).expect("not counted"))
            .collect();
        assert_eq!(loopback.len(), 3);
    }
}
