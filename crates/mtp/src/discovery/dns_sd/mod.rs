//! DNS-SD over multicast DNS (R-DIS.3 to R-DIS.11a): who of the local network is an agent or a controller, and where.
//!
//! [`Node`] decides what is said and what was heard on one network, without clock or socket; [`start`] gives it both, for
//! each network of this host: what is told there are the addresses of that network alone (RFC 6762, 14), and what is heard
//! there says nothing of another. Names need no probing: the instance of a service is an endpoint id, of which there is one,
//! and the host's name is made of it.
//! Deliberately only IPv4 multicast, on which IPv6 addresses are told too, and no DNS servers of the wider network.

mod browser;
mod networks;
mod node;
mod responder;
mod running;
mod socket;
#[cfg(test)]
mod tests;
mod texts;

use std::net::IpAddr;

use hickory_proto::rr::Name;
use usp::EndpointId;

pub use node::{Node, Passed};
pub use running::{Config, Heard, Network, Running, StartError, start};
pub(super) use texts::Texts;

/// A service of USP: the role of an endpoint, and a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An agent that listens for WebSockets.
    AgentWebSocket,
    /// An agent behind an MQTT broker.
    AgentMqtt,
    /// An agent behind a STOMP server.
    AgentStomp,
    /// A controller that listens for WebSockets.
    ControllerWebSocket,
    /// A controller behind an MQTT broker.
    ControllerMqtt,
    /// A controller behind a STOMP server.
    ControllerStomp,
}

impl Kind {
    /// The kinds of agents.
    pub const AGENTS: [Kind; 3] = [Kind::AgentWebSocket, Kind::AgentMqtt, Kind::AgentStomp];

    /// The first label of the service.
    pub(super) fn label(self) -> &'static str {
        match self {
            Kind::AgentWebSocket => "_usp-agt-ws",
            Kind::AgentMqtt => "_usp-agt-mqtt",
            Kind::AgentStomp => "_usp-agt-stomp",
            Kind::ControllerWebSocket => "_usp-ctr-ws",
            Kind::ControllerMqtt => "_usp-ctr-mqtt",
            Kind::ControllerStomp => "_usp-ctr-stomp",
        }
    }

    /// The transport, as people call it.
    pub fn transport(self) -> &'static str {
        match self {
            Kind::AgentWebSocket | Kind::ControllerWebSocket => "websocket",
            Kind::AgentMqtt | Kind::ControllerMqtt => "mqtt",
            Kind::AgentStomp | Kind::ControllerStomp => "stomp",
        }
    }

    /// `_usp-agt-ws._tcp.local.`
    fn name(self) -> Name {
        name(&[self.label().as_bytes(), b"_tcp", b"local"])
    }
}

/// A name of labels that are short enough; the root where they are not, which nobody asks for.
fn name(labels: &[&[u8]]) -> Name {
    let mut name = Name::from_labels(labels.iter().copied()).unwrap_or_default();
    name.set_fqdn(true);
    name
}

/// What we have and tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Which service.
    pub kind: Kind,
    /// The port that is listened on (R-DIS.4).
    pub port: u16,
    /// The resource path (R-DIS.9, R-DIS.11).
    pub path: String,
    /// Of an agent: what people call it (R-DIS.10).
    pub name: Option<String>,
    /// Whether it takes TLS to be heard (R-DIS.11a).
    pub encrypt: bool,
}

/// Why an endpoint cannot be told of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unnamable {
    /// A label of DNS has 63 bytes.
    #[error("the endpoint id has {0} bytes, and a name of DNS-SD at most 63")]
    LongId(usize),
    /// A text of a TXT record has 255 bytes.
    #[error("the path has {0} bytes, and a text of DNS-SD at most 250")]
    LongPath(usize),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which service.
    pub kind: Kind,
    /// Who it says it is.
    pub endpoint_id: EndpointId,
    /// Where it says it is.
    pub addresses: Vec<IpAddr>,
    /// The port.
    pub port: u16,
    /// The resource path, or the topic or destination behind a broker.
    pub path: String,
    /// What people call it.
    pub name: Option<String>,
    /// Whether it takes TLS to be heard.
    pub encrypt: bool,
}

impl Found {
    /// How to dial it, where it is a WebSocket: by an address, since whose name `.local` is nobody vouches for.
    pub fn url(&self) -> Option<String> {
        if !matches!(self.kind, Kind::AgentWebSocket | Kind::ControllerWebSocket) {
            return None;
        }
        let first = |v4: bool| self.addresses.iter().find(|one| one.is_ipv4() == v4);
        let place = match first(true).or_else(|| first(false))? {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        Some(texts::url(self.encrypt, &place, self.port, &self.path))
    }
}
