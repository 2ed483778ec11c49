//! Reach: why a device can or cannot be talked to, path by path, and waking it.

use crate::Permission;
use crate::Time;
use crate::device::Presence;
use crate::doctor::Refusal;
use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everything known about reaching a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reach {
    /// The verdict.
    pub presence: Presence,
    /// The likely reason when it cannot be reached, in words; null when it can.
    pub likely_reason: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// Each management path.
    pub paths: Vec<ManagementPath>,
    /// The last connections of this device that were refused.
    pub refusals: Vec<Refusal>,
    /// Whether waking it now makes sense.
    pub wake: WakeAbility,
}

/// One way to a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ManagementPath {
    /// Its name among the device's paths.
    pub id: String,
    /// The protocol: `usp`, `cwmp`.
    pub protocol: String,
    /// The transport and direction, like `websocket` or `websocket, dialled`.
    pub transport: String,
    /// The identity used on it, like the endpoint id.
    pub identity: String,
    /// Whether it is open now.
    pub connected: bool,
    /// Since when it is open.
    pub connected_since: Option<Time>,
    /// When it was last closed.
    pub disconnected_at: Option<Time>,
    /// Why it was closed, in words.
    pub disconnect_reason: Option<String>,
    /// The peer's address at the last connection.
    pub peer: Option<String>,
    /// Whether it is encrypted.
    pub tls: Option<bool>,
    /// How it proved who it is: setup key, own credential, certificate.
    pub credential: Option<String>,
    /// When the last sign of life came on it.
    pub evidence_at: Option<Time>,
    /// What the last sign of life was.
    pub evidence_source: Option<String>,
    /// Of a device that comes at intervals (CWMP): until when it need not come again. Such a path counts as open
    /// until then.
    pub expected_by: Option<Time>,
    /// The ways in which we can turn to the device on this path, as far as is known, the most promising first.
    pub methods: Vec<ReachMethod>,
    /// Where we dial it.
    pub dial_url: Option<String>,
    /// The last attempts to dial it, newest first.
    pub attempts: Vec<DialAttempt>,
}

/// A way to turn to a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReachMethod {
    /// `link` (an open one), `dial`, or a connection request over `http`, `udp` or `xmpp`.
    pub method: String,
    /// Where to; null for an open link.
    pub address: Option<String>,
}

/// One attempt to reach a device: to dial it, or to ask it to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DialAttempt {
    /// When.
    pub at: Time,
    /// Whether it worked.
    pub ok: bool,
    /// How: `websocket`, or a connection request over `http`, `udp` or `xmpp`.
    pub method: String,
    /// Where to.
    pub address: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What happened, in words.
    pub words: String,
}

/// Whether a device can be woken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WakeAbility {
    /// Whether it can.
    pub possible: bool,
    /// How, or why not.
    pub words: String,
}

/// What came of waking a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Woken {
    /// Whether something was sent or dialled.
    pub tried: bool,
    /// What was done, or why nothing was.
    pub words: String,
}

const TAG: &str = "devices";

/// The operations on reach.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "device_reach",
        Method::Get,
        "/api/v1/devices/{device_id}/reach",
        Access::Needs(Permission::DeviceRead),
        TAG,
        "How a device can be reached, or why not",
        Answer::Json(Body::of::<Reach>()),
    ),
    Endpoint::new(
        "device_wake",
        Method::Post,
        "/api/v1/devices/{device_id}/wake",
        Access::Needs(Permission::OperationRun),
        TAG,
        "Try to reach a device now",
        Answer::Json(Body::of::<Woken>()),
    ),
];
