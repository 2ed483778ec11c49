//! Who is at the other end of a connection, through trusted proxies.

use http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// The peer of a request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address, as far as it can be believed.
    pub ip: IpAddr,
    /// The port of the client's connection: of a connection through a proxy of ours only where that
    /// tells it.
    pub port: Option<u16>,
    /// Whether the client's connection is encrypted.
    pub secure: bool,
    /// Whether it came straight from this host.
    pub local: bool,
}

impl Peer {
    /// What attempts are counted by: the address, of IPv6 the network of 64 bits, because whoever
    /// has one such address has all of them.
    pub fn network(&self) -> String {
        network(self.ip)
    }

    /// The peer of a connection whose request has these headers.
    pub fn of(socket: SocketAddr, tls: bool, headers: &HeaderMap, proxies: &[IpAddr]) -> Self {
        let direct = socket.ip().to_canonical();
        if !proxies.contains(&direct) {
            let forwarded =
                headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
            return Self {
                ip: direct,
                port: Some(socket.port()),
                secure: tls,
                local: direct.is_loopback() && !forwarded,
            };
        }
        // From the right: each proxy appended the one it heard from; the first that is no proxy of
        // ours is the client. Whatever is left of something that is no address is anybody's word.
        let values = headers.get_all("x-forwarded-for").iter();
        let values = values.map(|value| value.to_str().unwrap_or_default());
        let parts: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
        let (ip, port) = parts
            .into_iter()
            .rev()
            .map_while(forwarded)
            .find(|(ip, _)| !proxies.contains(ip))
            .unwrap_or((direct, None));
        let secure = headers
            .get("x-forwarded-proto")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"));
        Self {
            ip,
            port,
            secure: tls || secure,
            local: false,
        }
    }
}

/// An address as a proxy forwards it: alone, in brackets, or with its port.
fn forwarded(part: &str) -> Option<(IpAddr, Option<u16>)> {
    let part = part.trim();
    let (ip, port) = match part.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ip, rest)) => (ip, rest.strip_prefix(':')),
        // An address of IPv6 has more than one colon.
        None => match part.split_once(':') {
            Some((ip, port)) if !port.contains(':') => (ip, Some(port)),
            _ => (part, None),
        },
    };
    let ip: IpAddr = ip.parse().ok()?;
    let port = port.and_then(|port| port.parse().ok());
    Some((ip.to_canonical(), port.filter(|port| *port != 0)))
}

/// See [`Peer::network`].
pub fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let network = |ip: &str| {
            let socket = SocketAddr::new(ip.parse().unwrap(), 1);
            Peer::of(socket, false, &HeaderMap::new(), &[]).network()
        };
        assert_eq!(network("2001:db8:1:2::7"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::7"), network("2001:db8:1:3::7"));
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-forwarded-for",
            "203.0.113.9, 198.51.100.7, 10.0.0.1".parse().unwrap(),
        );
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        let socket: SocketAddr = "10.0.0.2:5".parse().unwrap();
        let proxies = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let peer = Peer::of(socket, false, &headers, &proxies);
        assert_eq!(peer.ip.to_string(), "198.51.100.7");
        assert!(peer.secure);
        let peer = Peer::of(socket, false, &headers, &[]);
        assert_eq!(peer.ip.to_string(), "10.0.0.2");
        assert!(!peer.secure);
        let peer = Peer::of("127.0.0.1:5".parse().unwrap(), false, &headers, &[]);
        assert!(!peer.local, "a proxy on this host is not this host");
    }

    #[test]
    fn a_proxy_may_tell_the_port_and_what_is_no_address_hides_what_others_said_before_it() {
        let proxy: SocketAddr = "10.0.0.2:5".parse().unwrap();
        for (told, ip, port) in [
            ("198.51.100.7", "198.51.100.7", None),
            ("198.51.100.7:5001", "198.51.100.7", Some(5001)),
            ("[198.51.100.7]:5001", "198.51.100.7", Some(5001)),
            ("[2001:db8::7]:5001", "2001:db8::7", Some(5001)),
            ("[2001:db8::7]", "2001:db8::7", None),
            ("2001:db8::7", "2001:db8::7", None),
            ("198.51.100.7:0", "198.51.100.7", None),
            ("198.51.100.7:x", "198.51.100.7", None),
            // As the client says, and as the proxy says.
            ("203.0.113.9, 198.51.100.7:5001", "198.51.100.7", Some(5001)),
            ("203.0.113.9, unknown", "10.0.0.2", None),
            ("203.0.113.9, ", "10.0.0.2", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", told.parse().unwrap());
            let peer = Peer::of(proxy, false, &headers, &[proxy.ip()]);
            assert_eq!(
                (peer.ip.to_string().as_str(), peer.port),
                (ip, port),
                "{told}"
            );
        }
        let peer = Peer::of(proxy, false, &HeaderMap::new(), &[]);
        assert_eq!(peer.port, Some(5));
    }
}
