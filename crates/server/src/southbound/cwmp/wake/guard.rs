//! Where connection requests may go. The addresses come from devices, and a device must not make
//! this server talk to what only this server reaches.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// This machine, by its addresses in 127.0.0.0/8.
    pub const LOOPBACK: Self = Self {
        address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)),
        bits: 8,
    };

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = u32::from(self.bits);
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits())
                .checked_shr(32 - bits)
                .is_none_or(|differs| differs == 0),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits())
                .checked_shr(128 - bits)
                .is_none_or(|differs| differs == 0),
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a network, like 10.0.0.0/8 or 2001:db8::/32");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.trim().parse().map_err(|_| wrong())?,
            None => all,
        };
        if bits > all {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Ports above 1023 behind which databases and machines are run that believe whoever reaches them.
const FOREIGN_PORTS: [u16; 16] = [
    2375, 2376, 2379, 3306, 4222, 5222, 5269, 5432, 5672, 6379, 6443, 8500, 9092, 9200, 11211,
    27017,
];

/// Decides where connection requests may go.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    networks: Option<Vec<Network>>,
    own_ports: Vec<u16>,
}

impl Guard {
    /// Only to `networks`, or without them anywhere but to this machine and link-local addresses;
    /// and never to a port that this server listens on.
    pub fn new(networks: Option<Vec<Network>>, own_ports: Vec<u16>) -> Self {
        Self {
            networks,
            own_ports,
        }
    }

    /// Whether a request may go there; the error says why not.
    pub fn check(&self, to: SocketAddr) -> Result<(), String> {
        let address = meant(to.ip());
        if let Some(why) = never(address) {
            return Err(format!("{address} is {why}"));
        }
        let ours = is_ours(address);
        if ours && self.own_ports.contains(&to.port()) {
            return Err(format!("{to} is this server itself"));
        }
        match &self.networks {
            Some(networks) if networks.iter().any(|network| network.contains(address)) => {}
            Some(_) => {
                return Err(format!(
                    "{address} is in none of the networks in cwmp.wake_networks"
                ));
            }
            None => {
                let why = if ours {
                    Some("this machine")
                } else {
                    link_local(address)
                };
                if let Some(why) = why {
                    return Err(format!(
                        "{address} is {why}, and cwmp.wake_networks does not allow it"
                    ));
                }
            }
        }
        self.port(to.port())
    }

    fn port(&self, port: u16) -> Result<(), String> {
        let usual = matches!(port, 80 | 443) || port >= 1024;
        if usual && !FOREIGN_PORTS.contains(&port) {
            return Ok(());
        }
        Err(format!(
            "port {port} belongs to another service and is not asked on behalf of a device"
        ))
    }
}

/// The IPv4 address where an IPv6 one only carries it (mapped, NAT64, 6to4).
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] | [0x2002, a, b, ..] => {
            IpAddr::V4(Ipv4Addr::from_bits((u32::from(a) << 16) | u32::from(b)))
        }
        _ => address.to_canonical(),
    }
}

/// What no device lives at.
fn never(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("no address of a device"),
        IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] >= 240 => Some("a broadcast address"),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some("no address of a device"),
        address if address.is_multicast() => Some("a multicast address"),
        _ => None,
    }
}

fn link_local(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if CLOUDS.contains(&address) {
        return Some("where clouds keep the credentials of their machines");
    }
    link_local.then_some("a link-local address")
}

/// Whether an address counts only in the network that has it: private, shared by carriers, or local to a link.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Where clouds keep the credentials of their machines, beside 169.254.169.254.
const CLOUDS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Whether an address is this machine's: the system would send from it to itself. Nothing is sent.
fn is_ours(address: IpAddr) -> bool {
    if address.is_loopback() {
        return true;
    }
    source(SocketAddr::new(address, 9)).is_some_and(|own| own.ip() == address)
}

/// From which address the system would send there.
pub(super) fn source(to: SocketAddr) -> Option<SocketAddr> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(all: &[&str]) -> Option<Vec<Network>> {
        Some(all.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn check(guard: &Guard, to: &str) -> Result<(), String> {
        guard.check(to.parse().unwrap())
    }

    #[test]
    fn devices_live_anywhere_but_here_and_on_the_link() {
        let guard = Guard::new(None, vec![7547]);
        for good in [
            "10.1.2.3:7547",
            "192.168.1.1:80",
            "100.64.0.9:30005",
            "198.51.100.7:443",
            "[2001:db8::1]:7547",
            "[fd00::1]:58000",
        ] {
            assert_eq!(check(&guard, good), Ok(()), "{good}");
        }
        for bad in [
            "127.0.0.1:7548",
            "127.9.9.9:7548",
            "[::1]:7548",
            "[::ffff:127.0.0.1]:7548",
            "[64:ff9b::7f00:1]:7548",
            "169.254.169.254:80",
            "100.100.100.200:80",
            "[fd00:ec2::254]:80",
            "[2002:7f00:1::]:7548",
            "[fe80::1]:7548",
            "0.0.0.0:7548",
            "0.1.2.3:7548",
            "[::]:7548",
            "224.0.0.1:7548",
            "[ff02::1]:7548",
            "255.255.255.255:7548",
            "10.1.2.3:22",
            "10.1.2.3:25",
            "10.1.2.3:6379",
            "10.1.2.3:5432",
        ] {
            assert!(check(&guard, bad).is_err(), "{bad}");
        }
        let words = check(&guard, "127.0.0.1:7548").unwrap_err();
        assert!(
            words.contains("this machine") && words.contains("cwmp.wake_networks"),
            "{words}"
        );
    }

    #[test]
    fn networks_that_are_named_are_the_only_ones() {
        let guard = Guard::new(networks(&["127.0.0.0/8", "2001:db8::/32"]), vec![8080]);
        assert_eq!(check(&guard, "127.0.0.1:7547"), Ok(()));
        assert_eq!(check(&guard, "[2001:db8:ffff::1]:7547"), Ok(()));
        assert!(check(&guard, "10.1.2.3:7547").is_err());
        assert!(check(&guard, "[::1]:7547").is_err());
        let own = check(&guard, "127.0.0.1:8080").unwrap_err();
        assert!(own.contains("this server itself"), "{own}");
        let everything = Guard::new(networks(&["0.0.0.0/0", "::/0"]), vec![]);
        assert_eq!(check(&everything, "169.254.1.1:7547"), Ok(()));
        assert!(check(&everything, "224.0.0.1:7547").is_err());
    }

    #[test]
    fn networks_are_read_and_wrong_ones_are_told() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "::1/129",
            "10.0.0/8",
            "a/8",
            "10.0.0.0/x",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
