//! Counting connections, in all and by address, so that one host or one flood cannot take
//! everything.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::admission::{Refusal, RefusalReason};

/// The limits of one listener.
#[derive(Debug)]
pub struct Seats {
    connections_max: usize,
    connections_per_address_max: usize,
    handshakes_per_address_max: usize,
    uncounted: Vec<IpAddr>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    connections: usize,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug, Default)]
struct Address {
    connections: u32,
    handshakes: u32,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    /// `None` where the address is not counted.
    address: Option<IpAddr>,
    in_handshake: bool,
}

impl Seats {
    /// So many connections in all and from one address, so many handshakes from one address under
    /// way; these addresses are not counted.
    pub fn new(
        connections_max: usize,
        connections_per_address_max: usize,
        handshakes_per_address_max: usize,
        uncounted: Vec<IpAddr>,
    ) -> Arc<Self> {
        Arc::new(Self {
            connections_max,
            connections_per_address_max,
            handshakes_per_address_max,
            uncounted,
            taken: Mutex::default(),
        })
    }

    /// Connections there are, those in their handshake included.
    pub fn taken(&self) -> usize {
        self.lock().connections
    }

    /// A place for a connection that begins its handshake.
    pub fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, Refusal> {
        let mut taken = self.lock();
        if taken.connections >= self.connections_max {
            let detail = format!("there are {} connections", self.connections_max);
            return Err(Refusal::new(RefusalReason::TooManyConnections, detail));
        }
        let address = (!self.uncounted.contains(&peer.to_canonical())).then(|| network(peer));
        if let Some(address) = address {
            let counts = taken.addresses.entry(address).or_default();
            if counts.connections as usize >= self.connections_per_address_max {
                let max = self.connections_per_address_max;
                let detail = format!("there are {max} connections from {address}");
                return Err(Refusal::new(RefusalReason::TooManyFromAddress, detail));
            }
            if counts.handshakes as usize >= self.handshakes_per_address_max {
                let max = self.handshakes_per_address_max;
                let detail = format!("{max} connections from {address} are being opened");
                return Err(Refusal::new(RefusalReason::TooManyHandshakes, detail));
            }
            counts.connections += 1;
            counts.handshakes += 1;
        }
        taken.connections += 1;
        Ok(Seat {
            seats: self.clone(),
            address,
            in_handshake: true,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The handshake is over; the connection stays.
    pub fn established(&mut self) {
        self.leave_handshake(&mut self.seats.clone().lock());
    }

    fn leave_handshake(&mut self, taken: &mut Taken) {
        if std::mem::take(&mut self.in_handshake)
            && let Some(counts) = self
                .address
                .and_then(|address| taken.addresses.get_mut(&address))
        {
            counts.handshakes -= 1;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let seats = self.seats.clone();
        let mut taken = seats.lock();
        self.leave_handshake(&mut taken);
        taken.connections -= 1;
        if let Some(address) = self.address
            && let Some(counts) = taken.addresses.get_mut(&address)
        {
            counts.connections -= 1;
            if counts.connections == 0 {
                taken.addresses.remove(&address);
            }
        }
    }
}

/// What counts as one address: a customer's IPv6 network is a /64, all of whose addresses are his.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn reason(refused: Result<Seat, Refusal>) -> RefusalReason {
        refused.unwrap_err().reason
    }

    #[test]
    fn handshakes_and_connections_of_one_address_are_limited_and_given_back() {
        let seats = Seats::new(100, 3, 2, vec![]);
        let mut first = seats.take(ip("192.0.2.1")).unwrap();
        let second = seats.take(ip("::ffff:192.0.2.1")).unwrap();
        assert_eq!(
            reason(seats.take(ip("192.0.2.1"))),
            RefusalReason::TooManyHandshakes
        );
        first.established();
        let mut third = seats.take(ip("192.0.2.1")).unwrap();
        third.established();
        assert_eq!(
            reason(seats.take(ip("192.0.2.1"))),
            RefusalReason::TooManyFromAddress
        );
        assert!(seats.take(ip("192.0.2.2")).is_ok());
        drop((first, second, third));
        assert_eq!(seats.taken(), 0);
        assert!(seats.lock().addresses.is_empty());
    }

    #[test]
    fn a_network_of_64_bits_is_one_address_and_an_uncounted_address_is_none() {
        let seats = Seats::new(3, 1, 1, vec![ip("127.0.0.1")]);
        let _one = seats.take(ip("2001:db8:1:2::1")).unwrap();
        assert_eq!(
            reason(seats.take(ip("2001:db8:1:2:ffff::9"))),
            RefusalReason::TooManyFromAddress
        );
        let _two = seats.take(ip("127.0.0.1")).unwrap();
        let _three = seats.take(ip("127.0.0.1")).unwrap();
        assert_eq!(
            reason(seats.take(ip("127.0.0.1"))),
            RefusalReason::TooManyConnections
        );
    }
}
