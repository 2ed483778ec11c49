//! Who was found on the local network (DNS-SD over multicast DNS).

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::{Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The agents on the networks of this node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LanAgents {
    /// Whether they are looked for: `discovery.mdns` in the configuration.
    pub looking: bool,
    /// Those that say now that they are there: what they say is proven by nothing. Whoever is no platform administrator is
    /// shown the devices of their own tenant alone, where there are others.
    pub items: Vec<LanAgent>,
    /// How many more there are than are listed.
    pub more: u32,
    /// The networks on which they are looked for.
    pub networks: Vec<LanNetwork>,
}

/// A network of this node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LanNetwork {
    /// The interface, like `eth0`.
    pub name: String,
    /// The addresses of this node there.
    pub addresses: Vec<String>,
    /// Why nothing is heard or said there.
    pub trouble: Option<String>,
}

/// An agent as it tells of itself on the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LanAgent {
    /// Who it says it is.
    pub endpoint_id: String,
    /// What people call it.
    pub name: Option<String>,
    /// The transport: `websocket`, `mqtt` or `stomp`.
    pub transport: String,
    /// The addresses it says it has, or those of its broker.
    pub addresses: Vec<String>,
    /// The port.
    pub port: u16,
    /// The path of its WebSocket, or its topic or destination at a broker.
    pub path: String,
    /// Whether it takes TLS to be heard.
    pub encrypted: bool,
    /// How it is dialled, where it is a WebSocket.
    pub url: Option<String>,
    /// The interface of this node through which it was heard.
    pub network: String,
    /// The device of this tenant that has this endpoint id.
    pub device_id: Option<uuid::Uuid>,
    /// Since when it is there as it is.
    pub since: Time,
}

const TAG: &str = "discovery";

/// The operations on what was found.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint::new(
    "discovery_agents",
    Method::Get,
    "/api/v1/discovery/agents",
    Access::Needs(Permission::SystemRead),
    TAG,
    "Agents that were found on the local network",
    Answer::Json(Body::of::<LanAgents>()),
)
.about("By multicast DNS, on the networks of the node that answers, at most 256. Empty unless `discovery.mdns` is on. The networks are nobody's: where there are several tenants, those that are no device of yours are shown to platform administrators alone.")];
