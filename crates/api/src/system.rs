//! The installation itself: version, listeners, limits; and this document.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::{Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The installation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct System {
    /// The version of the program.
    pub version: String,
    /// When it was started.
    pub started_at: Time,
    /// Its clock, to compare with one's own.
    pub now: Time,
    /// The endpoint id under which devices know this controller.
    pub endpoint_id: String,
    /// The database: `SQLite` or `PostgreSQL`.
    pub database: String,
    /// What it listens on.
    pub listeners: Vec<Listener>,
    /// Brokers of others that devices are behind, each as it stands with this node.
    pub brokers: Vec<ExternalBroker>,
    /// The limits one can meet.
    pub limits: Vec<Limit>,
    /// After how many seconds without a sign of life an open path counts as silent.
    pub presence_silent_seconds: u64,
    /// Devices connected to this node, all tenants; only for platform administrators.
    pub connections: Option<u64>,
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Listener {
    /// What it serves: `console and API`, `devices` or `files of devices`.
    pub purpose: String,
    /// The protocol: `http`, `https`, `ws`, `wss`.
    pub protocol: String,
    /// The address it is bound to.
    pub address: String,
    /// The URL others use, as far as we know.
    pub url: String,
}

/// A broker of somebody else, of which this server is a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExternalBroker {
    /// Its name in the configuration.
    pub name: String,
    /// Where it is; empty but for platform administrators.
    pub url: String,
    /// Whether this node is connected to it.
    pub connected: bool,
    /// Since when it is connected, or is not.
    pub since: Time,
    /// Attempts that failed since it was connected last.
    pub failures: u32,
    /// What went wrong last; only for platform administrators.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Time>,
    /// Devices that this node reaches through it now, all tenants; only for platform administrators.
    pub devices: Option<u64>,
}

/// A limit by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: u64,
    /// Why it is so.
    pub reason: String,
}

const TAG: &str = "system";

/// The operations on the installation.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "system_show",
        Method::Get,
        "/api/v1/system",
        Access::Needs(Permission::SystemRead),
        TAG,
        "Version, listeners and limits",
        Answer::Json(Body::of::<System>()),
    ),
    Endpoint::new(
        "openapi_show",
        Method::Get,
        "/api/v1/openapi.json",
        Access::Public,
        TAG,
        "This document",
        Answer::Document,
    )
    .about("For people: `/api/v1/docs`."),
];
