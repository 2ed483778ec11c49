//! How devices of the local network find this server, and it them.

use std::net::Ipv4Addr;

use serde::Deserialize;

/// Multicast DNS. Off by default: a server of an ISP has no devices on its own network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Discovery {
    /// Tell of the WebSocket listener, and look for agents.
    pub mdns: bool,
    /// The addresses of this host on the networks where it is spoken; empty is all networks.
    pub networks: Vec<Ipv4Addr>,
    /// The path that agents are told, like `/usp/TENANT`.
    pub path: String,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            mdns: false,
            networks: Vec::new(),
            path: "/usp".to_owned(),
        }
    }
}
