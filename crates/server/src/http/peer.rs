//! Who is at the other end of a connection, through trusted proxies.

use http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// The peer of a request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address, as far as it can be believed.
    pub ip: IpAddr,
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
                secure: tls,
                local: direct.is_loopback() && !forwarded,
            };
        }
        // From the right: each proxy appended the one it heard from; the first that is no proxy of
        // ours is the client.
        let ip = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|part| part.trim().parse::<IpAddr>().ok())
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .map(|ip| ip.to_canonical())
            .find(|ip| !proxies.contains(ip))
            .unwrap_or(direct);
        let secure = headers
            .get("x-forwarded-proto")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"https"));
        Self {
            ip,
            secure: tls || secure,
            local: false,
        }
    }
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
}
