//! Reach: why a device can or cannot be talked to, path by path, and waking it.

use crate::Permission;
use crate::Time;
use crate::device::Presence;
use crate::doctor::Refusal;
use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::operation::Actor;
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
    /// With what it is asked to come, where it is a device that is asked (CWMP).
    pub wake_credential: Option<WakeCredential>,
}

/// The user name and password with which a device is asked to come (connection requests).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WakeCredential {
    /// Whose they are.
    pub source: WakeCredentialSource,
    /// The user name; null where there is none.
    pub username: Option<String>,
    /// When they were entered.
    pub entered_at: Option<Time>,
    /// Who entered them.
    pub entered_by: Option<Actor>,
}

/// Whose user name and password they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WakeCredentialSource {
    /// The server made them and set them in the device.
    Ours,
    /// A person entered those that the device has.
    Entered,
    /// None are known: the device has not taken ours, or has not come yet.
    None,
}

/// The user name and password that a device has for connection requests.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WakeCredentialEntry {
    /// The user name (`ManagementServer.ConnectionRequestUsername`).
    #[schema(example = "cpe", max_length = 256)]
    pub username: String,
    /// The password, kept sealed and never shown again.
    #[schema(max_length = 256)]
    pub password: String,
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
    /// The peer's address at the last connection; of a device behind a broker of somebody else, which does not tell it, the
    /// name of that broker in words.
    pub peer: Option<String>,
    /// Whether it is encrypted; null where that is not known, as between a device and a broker of somebody else.
    pub tls: Option<bool>,
    /// Whether what is asked of the device goes over it now: of several that are open, the one that answers, a WebSocket
    /// before MQTT. Null where it is not open, where another node holds it, and of a device that comes at intervals.
    pub used: Option<bool>,
    /// Why it is used, or is not, in words; null where `used` is.
    pub choice: Option<String>,
    /// The session context that the device is spoken with in; null where there is none, and where another node holds
    /// the link.
    pub session_context: Option<SessionContext>,
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
    /// What was known of how to talk with devices of its kind when it came last (CWMP): the quirk packs that fit it, in
    /// the order in which they count.
    #[serde(default)]
    pub quirk_packs: Vec<QuirkPack>,
    /// Where we dial it.
    pub dial_url: Option<String>,
    /// The last attempts to dial it, newest first.
    pub attempts: Vec<DialAttempt>,
}

/// A quirk pack: how to talk with one kind of device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QuirkPack {
    /// Its name.
    pub name: String,
    /// What it says, each as in the pack: `booleans = "digits"`.
    pub says: Vec<String>,
    /// How that is known.
    pub why: String,
    /// Where that can be read.
    pub source: Vec<String>,
    /// How sure it is; null where the pack does not say.
    pub confidence: Option<QuirkConfidence>,
    /// Whether it comes with the server; otherwise it is the operator's own.
    pub shipped: bool,
}

/// How sure it is what a quirk pack says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuirkConfidence {
    /// Seen on the wire by whoever wrote the pack.
    Measured,
    /// The maker says so.
    Documented,
    /// Somebody who has such devices says so in public.
    Reported,
}

/// A session context of USP: numbered records between the endpoints themselves, cut to a size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionContext {
    /// Both ends take part; otherwise it is about to be opened.
    pub up: bool,
    /// What it carries is encrypted between the endpoints themselves.
    pub encrypted: bool,
}

/// A way to turn to a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReachMethod {
    /// `link` (an open one), `dial`, or a connection request over `http`, `udp` or `xmpp`.
    pub method: String,
    /// Where to; null for an open link.
    pub address: Option<String>,
    /// Why it cannot be used, in words, like an address that the device told and that is none; null where it can.
    #[serde(default)]
    pub problem: Option<String>,
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
    Endpoint::new(
        "device_wake_credential_enter",
        Method::Put,
        "/api/v1/devices/{device_id}/wake-credential",
        Access::Needs(Permission::DeviceWrite),
        TAG,
        "Enter the user name and password that a device has for connection requests",
        Answer::Json(Body::of::<Woken>()),
    )
    .body::<WakeCredentialEntry>(r#"{"username": "cpe", "password": "from its label"}"#)
    .about("For a CWMP device that keeps its own and does not take those of this server. The password is kept sealed. Where the caller may run operations, too, the device is asked to come at once, so that the attempts in its reach show whether they are right; while they are there, it is not given ours."),
    Endpoint::new(
        "device_wake_credential_remove",
        Method::Delete,
        "/api/v1/devices/{device_id}/wake-credential",
        Access::Needs(Permission::DeviceWrite),
        TAG,
        "Take the entered user name and password for connection requests away",
        Answer::Nothing,
    )
    .about("The device is asked with those of this server again, where it has taken them; otherwise it is given them when it is brought in anew."),
];
