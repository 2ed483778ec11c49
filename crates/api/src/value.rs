//! Last-known values of a device: what was read, from where and when. To read now, create a `get`
//! operation.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A last-known value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Value {
    /// The full path of the parameter.
    #[schema(example = "Device.DeviceInfo.SerialNumber")]
    pub path: String,
    /// The value, as the device wrote it. Secret parameters read empty, as the standard says.
    pub value: String,
    /// Its base type where the model says: `string`, `int`, `boolean`, `dateTime`, ...
    #[serde(rename = "type")]
    pub base: Option<String>,
    /// Whether it may be set, where the model says.
    pub writable: Option<bool>,
    /// Where it comes from, like "read from the device" or "notified by the device".
    pub source: String,
    /// When the device said so.
    pub at: Time,
}

/// Which values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ValueQuery {
    /// A parameter, or an object ending in a dot with everything below it; absent is everything.
    #[param(example = "Device.WiFi.")]
    pub path: Option<String>,
    /// Text that path or value contains, upper and lower case being the same.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Where to go on: the `next` of the page before.
    pub cursor: Option<String>,
    /// Items on the page (default 50, at most 1000).
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// The operations on values.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint::new(
    "device_values",
    Method::Get,
    "/api/v1/devices/{device_id}/values",
    Access::Needs(Permission::DeviceRead),
    "devices",
    "Last-known values, in the order of their paths",
    Answer::Json(Body::of::<Page<Value>>()),
)
.query::<ValueQuery>()];
