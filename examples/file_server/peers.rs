//! How many connections each address has, so that no single one takes all that there are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::listener::Peer;

/// The connections of every address that has one.
#[derive(Debug)]
pub(crate) struct Peers {
    /// Connections that one address may have.
    max: u32,
    /// By what [`neighbourhood`] makes of an address; nobody is here with 0.
    counts: Mutex<HashMap<Neighbourhood, u32>>,
}

/// One of an address's connections, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'p> {
    peers: &'p Peers,
    neighbourhood: Neighbourhood,
}

impl Peers {
    pub(crate) fn new(max: u32) -> Peers {
        Peers {
            max,
            counts: Mutex::default(),
        }
    }

    /// `None` if this address has all the connections that it may have.
    pub(crate) fn admit(&self, peer: Peer) -> Option<Place<'_>> {
        let neighbourhood = neighbourhood(peer);
        let mut counts = self.lock();
        let count = counts.entry(neighbourhood).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place {
            peers: self,
            neighbourhood,
        })
    }

    /// A thread that panicked while it held the lock left nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<Neighbourhood, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = self.peers.lock();
        if let Some(count) = counts.get_mut(&self.neighbourhood) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.neighbourhood);
            }
        }
    }
}

/// What counts as one peer: an IPv4 address, or the 2^64 addresses of an IPv6 network, which are
/// usually those of one customer; `None` is all that come by Unix sockets.
type Neighbourhood = Option<IpAddr>;

fn neighbourhood(peer: Peer) -> Neighbourhood {
    let Peer::Address(peer) = peer else {
        return None;
    };
    Some(match peer.ip().to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
        address @ IpAddr::V4(_) => address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutant: an entry that stays when its last connection has gone.
    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let peers = Peers::new(2);
        let address = |text: &str| {
            let address = text.parse::<IpAddr>().expect("an address");
            Peer::Address((address, 80).into())
        };
        let first = peers.admit(address("192.0.2.1"));
        let second = peers.admit(address("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(
            peers.admit(address("192.0.2.1")).is_none(),
            "both forms are one"
        );
        let other = peers.admit(address("192.0.2.2"));
        assert!(other.is_some());
        drop(first);
        assert!(peers.admit(address("192.0.2.1")).is_some());
        let network = [
            peers.admit(address("2001:db8::1")),
            peers.admit(address("2001:db8::2")),
        ];
        assert!(
            peers.admit(address("2001:db8::ffff:0:0:3")).is_none(),
            "one network"
        );
        assert!(
            peers.admit(address("2001:db8:0:1::1")).is_some(),
            "the next one"
        );
        let local = [peers.admit(Peer::Local), peers.admit(Peer::Local)];
        assert!(local.iter().all(Option::is_some));
        assert!(peers.admit(Peer::Local).is_none(), "all of them are one");
        drop((second, other, network, local));
        assert!(peers.lock().is_empty());
    }
}
