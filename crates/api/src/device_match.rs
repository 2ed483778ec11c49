//! One device, two protocols: pairs of devices that may be one wait for a person; merging two into one, and splitting
//! one into two.

use crate::device::DeviceDetail;
use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Two devices that may be one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceMatch {
    /// The id.
    pub id: Uuid,
    /// The one that was known first.
    pub device: MatchSide,
    /// The one that came.
    pub other: MatchSide,
    /// The name that both have, with its kind, like `oui_serial 00256D-S1`.
    pub identity: String,
    /// Why that does not decide it, in words.
    pub reason: String,
    /// When it was noticed.
    pub created_at: Time,
    /// When a person said that they are two.
    pub rejected_at: Option<Time>,
    /// Who did.
    pub rejected_by: Option<String>,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MatchSide {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The protocols it is managed by.
    pub protocols: Vec<String>,
    /// Its manufacturer.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The address it last came from.
    pub ip: Option<String>,
    /// When it was registered.
    pub created_at: Time,
}

/// Which pairs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct MatchQuery {
    /// Also those of which a person has said that they are two.
    pub rejected: Option<bool>,
    /// Where to go on: the `next` of the page before.
    pub cursor: Option<String>,
    /// Items on the page (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// Which device is the same one.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceMerge {
    /// The device that becomes part of this one, and is gone afterwards.
    pub device_id: Uuid,
}

/// Which path goes.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceSplit {
    /// The transport of the path that becomes a device of its own: `cwmp`, `websocket`, `mqtt` or `stomp`.
    #[schema(example = "cwmp")]
    pub transport: String,
}

const TAG: &str = "devices";
const READ: Access = Access::Needs(Permission::DeviceRead);
const WRITE: Access = Access::Needs(Permission::DeviceWrite);

/// The operations on pairs, and on devices that are one or two.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "device_match_list",
        Method::Get,
        "/api/v1/device-matches",
        READ,
        TAG,
        "List devices that may be the same one, newest first",
        Answer::Json(Body::of::<Page<DeviceMatch>>()),
    )
    .query::<MatchQuery>()
    .about("They have a name in common that does not decide it by itself; `[matching]` of the configuration says what decides."),
    Endpoint::new(
        "device_match_accept",
        Method::Post,
        "/api/v1/device-matches/{match_id}/accept",
        WRITE,
        TAG,
        "Say that two devices are one: they are merged",
        Answer::Json(Body::of::<DeviceDetail>()),
    ),
    Endpoint::new(
        "device_match_reject",
        Method::Post,
        "/api/v1/device-matches/{match_id}/reject",
        WRITE,
        TAG,
        "Say that two devices are two: nobody asks again",
        Answer::Nothing,
    ),
    Endpoint::new(
        "device_merge",
        Method::Post,
        "/api/v1/devices/{device_id}/merge",
        WRITE,
        TAG,
        "Make one device of two",
        Answer::Json(Body::of::<DeviceDetail>()),
    )
    .body::<DeviceMerge>(r#"{"device_id": "0192d3a4-0000-7000-8000-000000000000"}"#)
    .about("Identities, paths with their credentials, operations and last-known values of the other device go to this one, and the other is gone; its events stay in the log under its old id. Devices that both come over one transport are two: remove one of them first. Where a certificate is required on one way to one of them, it is on all of both afterwards."),
    Endpoint::new(
        "device_split",
        Method::Post,
        "/api/v1/devices/{device_id}/split",
        WRITE,
        TAG,
        "Make a management path a device of its own",
        Answer::Created(Body::of::<DeviceDetail>()),
    )
    .body::<DeviceSplit>(r#"{"transport": "cwmp"}"#)
    .about("The path goes to a new device with its credential and the name it comes under; values and operations stay. The two are not merged again by themselves. Refused while the device comes over TR-069 with a certificate that was issued here for its endpoint id: it would bring both together again."),
];
