//! Setup keys: a tenant's bootstrap credential, which buys a device nothing but the swap to its
//! own one.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::page::PageQuery;
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A setup key without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SetupKey {
    /// The id.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// How the secret begins, to recognise it: `hes_Ab3d`.
    pub hint: String,
    /// When it was made.
    pub created_at: Time,
    /// Who made it.
    pub created_by: Option<String>,
    /// When it stops working; null is never.
    pub expires_at: Option<Time>,
    /// How many devices may use it; null is any number.
    pub uses_max: Option<u32>,
    /// How many devices have used it.
    pub uses: u32,
    /// When it was last used.
    pub last_used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// Whether a CWMP device may show it with HTTP Digest. A key made by a version without
    /// CWMP works with Basic and over USP only: make a new one for devices that insist on Digest.
    pub digest: bool,
}

/// A setup key to be made.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupKeyCreate {
    /// What it is for, 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// When it stops working; absent is never.
    #[serde(default)]
    pub expires_at: Option<Time>,
    /// How many devices may use it; absent is any number.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub uses_max: Option<u32>,
}

/// What may change.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SetupKeyPatch {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
}

/// A new setup key with its secret, which is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SetupKeyCreated {
    /// The key.
    pub setup_key: SetupKey,
    /// The secret. It is not stored and cannot be shown again.
    pub secret: String,
    /// What to write into `Device.LocalAgent.Controller.{i}.MTP.{i}.WebSocket.Path`.
    #[schema(example = "/usp/hes_0123456789abcdefghijABCDEFGHIJ01")]
    pub path: String,
    /// The URLs at which devices that speak USP find this server, with the key in them.
    pub urls: Vec<String>,
    /// How devices that speak USP over MQTT find it; null when it has no broker.
    pub mqtt: Option<MqttAccess>,
    /// How devices that speak TR-069 (CWMP) find it and come in with the key; null when it has no listener for them.
    pub acs: Option<AcsAccess>,
}

/// What to write into `Device.MQTT.Client.{i}.` and the MTPs of a device that speaks USP over MQTT. Its password is the
/// secret. `ENDPOINT` in a topic stands for the endpoint id of the device.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MqttAccess {
    /// `BrokerAddress` and `BrokerPort`: each of them works, the encrypted one first.
    #[schema(example = json!(["mqtts://mqtt.example.net:8883"]))]
    pub urls: Vec<String>,
    /// `Username`.
    #[schema(example = "default/setup")]
    pub username: String,
    /// `Device.LocalAgent.MTP.{i}.MQTT.ResponseTopicConfigured`.
    #[schema(example = "usp/default/agent/ENDPOINT")]
    pub agent_topic: String,
    /// `Device.LocalAgent.Controller.{i}.MTP.{i}.MQTT.Topic`.
    #[schema(example = "usp/default/controller/ENDPOINT")]
    pub controller_topic: String,
}

/// What to write into the `ManagementServer` object of a device that speaks TR-069. Its password is the secret.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcsAccess {
    /// `URL`: each of them works, the encrypted one first.
    pub urls: Vec<String>,
    /// `Username`: the tenant.
    #[schema(example = "default")]
    pub username: String,
    /// Our STUN server, `host:port`, of which each device is told in its first session; null when there is none.
    pub stun: Option<String>,
    /// The XMPP address from which devices are asked to come, for `ConnReqAllowedJabberIDs`; null when there is none.
    pub xmpp: Option<String>,
}

const TAG: &str = "setup keys";
const READ: Access = Access::Needs(Permission::SetupKeyRead);
const WRITE: Access = Access::Needs(Permission::SetupKeyWrite);

/// The operations on setup keys.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "setup_key_list",
        Method::Get,
        "/api/v1/setup-keys",
        READ,
        TAG,
        "List setup keys",
        Answer::Json(Body::of::<Page<SetupKey>>()),
    )
    .query::<PageQuery>(),
    Endpoint::new(
        "setup_key_create",
        Method::Post,
        "/api/v1/setup-keys",
        WRITE,
        TAG,
        "Create a setup key",
        Answer::Created(Body::of::<SetupKeyCreated>()),
    )
    .body::<SetupKeyCreate>(r#"{"name": "van 7", "uses_max": 200}"#)
    .about("The secret is shown once, so this request is not replayed by an idempotency key."),
    Endpoint::new(
        "setup_key_show",
        Method::Get,
        "/api/v1/setup-keys/{setup_key_id}",
        READ,
        TAG,
        "Show a setup key",
        Answer::Json(Body::of::<SetupKey>()),
    ),
    Endpoint::new(
        "setup_key_update",
        Method::Patch,
        "/api/v1/setup-keys/{setup_key_id}",
        WRITE,
        TAG,
        "Rename a setup key",
        Answer::Json(Body::of::<SetupKey>()),
    )
    .body::<SetupKeyPatch>(r#"{"name": "van 8"}"#),
    Endpoint::new(
        "setup_key_revoke",
        Method::Delete,
        "/api/v1/setup-keys/{setup_key_id}",
        WRITE,
        TAG,
        "Revoke a setup key",
        Answer::Nothing,
    )
    .about("Works at once for new devices. Devices that already swapped it for their own credential stay."),
];
