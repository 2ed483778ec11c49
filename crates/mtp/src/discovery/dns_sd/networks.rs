//! The networks of this host on which multicast DNS is spoken.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};

use crate::limits::MDNS_INTERFACES_MAX;

/// An interface with the addresses that this host has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub name: String,
    pub index: u32,
    pub addresses: Vec<IpAddr>,
}

impl Interface {
    /// The first IPv4 address, which each of these has: what is said comes from it.
    pub fn first(&self) -> Option<Ipv4Addr> {
        self.addresses.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
    }

    /// What is told there of a listener that is bound to this address.
    pub fn told(&self, bound: IpAddr) -> Vec<IpAddr> {
        let mut told = self.addresses.clone();
        told.retain(|address| match bound.is_unspecified() {
            // One of IPv6 takes both.
            true => bound.is_ipv6() || address.is_ipv4(),
            false => *address == bound,
        });
        told
    }
}

/// Those that have one of these addresses, or all: no links to one other host, on which nobody is local.
pub(super) fn interfaces(only: &[Ipv4Addr]) -> Vec<Interface> {
    let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
    let unwanted = InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_POINTOPOINT;
    let mut all: BTreeMap<String, (InterfaceFlags, Vec<IpAddr>)> = BTreeMap::new();
    for one in getifaddrs().into_iter().flatten() {
        let Some(address) = one.address else { continue };
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
        // One of a link says nothing without the link.
        let said = |address: &IpAddr| match address {
            IpAddr::V4(_) => true,
            IpAddr::V6(v6) => !v6.is_unicast_link_local(),
        };
        let Some(address) = v4.or(v6).filter(said) else {
            continue;
        };
        // The further addresses of an interface may have a label of their own.
        let name = one.interface_name.split(':').next().unwrap_or_default();
        let entry = all.entry(name.to_owned());
        let (_, addresses) = entry.or_insert((one.flags, Vec::new()));
        if addresses.len() < MDNS_INTERFACES_MAX {
            addresses.push(address);
        }
    }
    all.retain(|_, (flags, addresses)| match only {
        [] => {
            let v4 = addresses.iter().any(IpAddr::is_ipv4);
            v4 && flags.contains(wanted) && !flags.intersects(unwanted)
        }
        only => only.iter().any(|one| addresses.contains(&IpAddr::V4(*one))),
    });
    let all = all.into_iter().filter_map(|(name, (_, addresses))| {
        let index = if_nametoindex(name.as_str()).ok()?;
        Some(Interface {
            name,
            index,
            addresses,
        })
    });
    all.take(MDNS_INTERFACES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_with_an_address_is_found_by_it() {
        let found = interfaces(&[Ipv4Addr::LOCALHOST]);
        let [one] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(
            one.index > 0 && one.first() == Some(Ipv4Addr::LOCALHOST),
            "{one:?}"
        );
        assert_eq!(interfaces(&[Ipv4Addr::new(203, 0, 113, 77)]), []);
        // It is not one of all.
        let all = interfaces(&[]);
        assert!(all.iter().all(|other| other.name != one.name), "{all:?}");
    }

    /// R-DIS.4
    #[test]
    fn addresses_at_which_nothing_listens_are_not_told() {
        let addresses: Vec<IpAddr> = ["192.0.2.1", "10.0.0.1", "2001:db8::1"]
            .map(|one| one.parse().unwrap())
            .into();
        let one = Interface {
            name: "lan".into(),
            index: 1,
            addresses: addresses.clone(),
        };
        let told = |bound: &str| one.told(bound.parse().unwrap());
        assert_eq!(told("::"), addresses);
        assert_eq!(told("0.0.0.0"), addresses[..2]);
        assert_eq!(told("10.0.0.1"), addresses[1..2]);
        assert_eq!(told("198.51.100.1"), Vec::<IpAddr>::new());
    }
}
