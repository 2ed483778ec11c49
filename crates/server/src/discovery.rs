//! What others can be told about this server, from its configuration alone: where devices reach it, and who it is.
//! Nothing here opens a socket or makes a file.

use std::net::{IpAddr, SocketAddr};

use usp::EndpointId;

use crate::southbound::usp::own;
use crate::{Config, StartError};

/// A transport by which devices may be led here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The WebSocket listeners.
    WebSocket,
    /// The broker inside.
    Mqtt,
}

/// Why there is no address to tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// Nothing listens.
    #[error("nothing listens: set {listen} or {tls_listen} in the configuration")]
    NoListener {
        /// The key without TLS.
        listen: &'static str,
        /// The key with TLS.
        tls_listen: &'static str,
    },
    /// Only this machine gets there.
    #[error(
        "{key} is {addr}, which only this machine reaches: bind it to an address of the network, or say with {public_url} \
         where devices reach a proxy in front of it"
    )]
    Loopback {
        /// The key of the listener.
        key: &'static str,
        /// Its address.
        addr: SocketAddr,
        /// The key that says otherwise.
        public_url: &'static str,
    },
    /// It listens on all addresses, and which one devices know is not said.
    #[error(
        "{key} is {addr}, all addresses of this machine: say which one devices know with {public_url}, or with --host"
    )]
    AnyAddress {
        /// The key of the listener.
        key: &'static str,
        /// Its address.
        addr: SocketAddr,
        /// The key that says more.
        public_url: &'static str,
    },
}

/// The URL under which devices reach this server over a transport, without a credential: the configured one, else that of
/// the listener with TLS, else of the one without. `host` is the name or address that devices know where a listener is
/// bound to all.
pub fn url(config: &Config, over: Over, host: Option<&str>) -> Result<String, NoAddress> {
    let (public, key, listeners) = match over {
        Over::WebSocket => (
            &config.usp.public_url,
            "usp.public_url",
            [
                ("usp.tls_listen", config.usp.tls_listen, "wss", "/usp"),
                ("usp.listen", config.usp.listen, "ws", "/usp"),
            ],
        ),
        Over::Mqtt => (
            &config.mqtt.public_url,
            "mqtt.public_url",
            [
                ("mqtt.tls_listen", config.mqtt.tls_listen, "mqtts", ""),
                ("mqtt.listen", config.mqtt.listen, "mqtt", ""),
            ],
        ),
    };
    if let Some(public) = public {
        return Ok(public.trim_end_matches('/').to_owned());
    }
    let open = listeners
        .iter()
        .find_map(|(key, addr, scheme, path)| Some((*key, (*addr)?, *scheme, *path)));
    let Some((listen, addr, scheme, path)) = open else {
        let [(tls_listen, ..), (listen, ..)] = listeners;
        return Err(NoAddress::NoListener { listen, tls_listen });
    };
    let place = match (addr.ip(), host) {
        (ip, _) if ip.is_loopback() => {
            return Err(NoAddress::Loopback {
                key: listen,
                addr,
                public_url: key,
            });
        }
        (ip, Some(host)) if ip.is_unspecified() => format!("{}:{}", bracketed(host), addr.port()),
        (ip, None) if ip.is_unspecified() => {
            return Err(NoAddress::AnyAddress {
                key: listen,
                addr,
                public_url: key,
            });
        }
        _ => addr.to_string(),
    };
    Ok(format!("{scheme}://{place}{path}"))
}

fn bracketed(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => host.to_owned(),
    }
}

/// Who this server is; `None`: it has not been started yet, and the configuration does not say.
pub fn endpoint_id(config: &Config) -> Result<Option<EndpointId>, StartError> {
    own::known_endpoint_id(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, over: Over, host: Option<&str>) -> Result<String, String> {
        let config = Config::parse(text).unwrap();
        url(&config, over, host).map_err(|error| error.to_string())
    }

    #[test]
    fn the_public_url_beats_the_listeners_and_tls_beats_none() {
        let web = |text| said(text, Over::WebSocket, None).unwrap();
        assert_eq!(
            web("[usp]\nlisten = \"127.0.0.1:1\"\npublic_url = \"wss://usp.example.net/usp/\"\n"),
            "wss://usp.example.net/usp"
        );
        assert_eq!(
            web("[usp]\nlisten = \"10.0.0.1:1\"\ntls_listen = \"[2001:db8::1]:2\"\n"),
            "wss://[2001:db8::1]:2/usp"
        );
        assert_eq!(
            web("[usp]\nlisten = \"10.0.0.1:1\"\n"),
            "ws://10.0.0.1:1/usp"
        );
        let mqtt = "[mqtt]\nlisten = \"10.0.0.1:1883\"\n";
        assert_eq!(
            said(mqtt, Over::Mqtt, None).unwrap(),
            "mqtt://10.0.0.1:1883"
        );
    }

    #[test]
    fn without_an_address_that_devices_reach_it_says_why_and_what_to_set() {
        let why = |text, over, host| said(text, over, host).unwrap_err();
        let local = "[usp]\nlisten = \"127.0.0.1:8081\"\n";
        let loopback = why(local, Over::WebSocket, Some("a.example"));
        assert!(
            loopback.contains("usp.listen is 127.0.0.1:8081")
                && loopback.contains("usp.public_url"),
            "{loopback}"
        );
        let any = why("", Over::WebSocket, None);
        assert!(
            any.contains("usp.listen is 0.0.0.0:8081") && any.contains("--host"),
            "{any}"
        );
        let none = why("", Over::Mqtt, None);
        assert!(
            none.contains("set mqtt.listen or mqtt.tls_listen"),
            "{none}"
        );
    }

    #[test]
    fn a_listener_on_all_addresses_takes_the_host_that_is_said() {
        for (host, place) in [
            ("usp.example.net", "usp.example.net:8081"),
            ("10.0.0.1", "10.0.0.1:8081"),
            ("2001:db8::1", "[2001:db8::1]:8081"),
        ] {
            assert_eq!(
                said("", Over::WebSocket, Some(host)),
                Ok(format!("ws://{place}/usp"))
            );
        }
    }
}
