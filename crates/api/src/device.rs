//! Devices: the list with its filters and suggestions, and one device with its identities.
//! How to reach it is in `reach`, what it says in `value`, what it can do in `model`.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::event::{Event, TimelineQuery};
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Whether a device can be talked to, as far as the evidence says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresenceWord {
    /// A management path is open and the device gave a sign of life within the expected time.
    Online,
    /// A path seems open, but the last sign of life is older than expected.
    Silent,
    /// It was here and is not now.
    Offline,
    /// It is registered and has never been heard of.
    Never,
}

/// Presence, always with the evidence behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Presence {
    /// The one word.
    pub word: PresenceWord,
    /// When the last sign of life came.
    pub evidence_at: Option<Time>,
    /// What it was, like "WebSocket pong" or "notification".
    pub evidence_source: Option<String>,
    /// Since when the word has been true, where that is known.
    pub since: Option<Time>,
    /// Whether a link to it is open at this moment. A device that comes at intervals has none
    /// between its sessions, and is online all the same.
    pub linked: bool,
    /// Of a device without a link: until when it is expected to be heard again, because it comes
    /// at intervals, or because it left as it was asked to, as for a restart. After that moment
    /// its absence is a loss.
    pub expected_by: Option<Time>,
}

/// One row of the device list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// The id.
    pub id: Uuid,
    /// The name to show: the label, else the serial number, else the first endpoint id.
    pub name: String,
    /// The name people gave it; null when nobody did.
    pub label: Option<String>,
    /// Its USP endpoint ids.
    pub endpoint_ids: Vec<String>,
    /// The protocols it is managed by: `usp`, `cwmp`.
    pub protocols: Vec<String>,
    /// `Device.DeviceInfo.Manufacturer`.
    pub manufacturer: Option<String>,
    /// `Device.DeviceInfo.ManufacturerOUI`.
    pub oui: Option<String>,
    /// `Device.DeviceInfo.ProductClass`.
    pub product_class: Option<String>,
    /// `Device.DeviceInfo.ModelName`.
    pub model: Option<String>,
    /// `Device.DeviceInfo.SerialNumber`.
    pub serial: Option<String>,
    /// `Device.DeviceInfo.SoftwareVersion`.
    pub software_version: Option<String>,
    /// `Device.DeviceInfo.HardwareVersion`.
    pub hardware_version: Option<String>,
    /// Whether it can be talked to.
    pub presence: Presence,
    /// When it last started, as it said or as its up time tells; null when that is not known.
    pub last_boot_at: Option<Time>,
    /// The address of its WAN side, else the one it last connected from.
    pub ip: Option<String>,
    /// Words to group devices by.
    pub tags: Vec<String>,
    /// When the device was registered.
    pub created_at: Time,
}

/// A device with everything known about it but its values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub device: Device,
    /// Operations that are not finished, as far as one page of them goes.
    pub open_operations: u32,
    /// How far bringing it in came: `expected`, `started` or `complete`.
    pub onboarding: String,
    /// Every name it is known by.
    pub identities: Vec<Identity>,
    /// How it came in.
    pub admission: Admission,
    /// Where the server dials it, when it does.
    pub dial_url: Option<String>,
    /// When its data model was last discovered.
    pub model_discovered_at: Option<Time>,
    /// How many parameters have a last-known value.
    pub values_known: u64,
    /// When the newest of them was read.
    pub values_at: Option<Time>,
    /// The newest version of its protocol that it and this server both speak, like `1.3`; null before it was first
    /// asked. Of a device with two protocols, that of the one which was asked last.
    pub protocol_version: Option<String>,
}

/// One name a device is known by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Identity {
    /// Which kind of name: `usp_endpoint`, `serial`, `mac`, ...
    pub kind: String,
    /// The name, as it identifies the device.
    pub value: String,
    /// The name as people read it: nothing in it is percent-encoded for the sake of the identity.
    pub shown: String,
    /// Who says so: `operator`, `setup`, the device itself.
    pub source: String,
    /// Since when it is known.
    pub at: Time,
}

/// How a device is allowed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Admission {
    /// Where the swap from setup key to own credential stands.
    pub state: AdmissionState,
    /// The state in a sentence, with what to do.
    pub words: String,
    /// Until when the setup key opens this device again, after it was re-admitted.
    pub readmit_until: Option<Time>,
    /// Only a client certificate with its endpoint id opens it.
    pub certificate_required: bool,
}

/// Where the swap from setup key to own credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdmissionState {
    /// Registered; has not come yet.
    Expected,
    /// It came with a setup key; its own credential has not been written yet.
    SetupKey,
    /// Its own credential was written to it and has not been used yet.
    Swapping,
    /// It comes with its own credential.
    Own,
    /// It comes with a client certificate.
    Certificate,
    /// We dial it.
    Dialled,
    /// It may come with a setup key once more.
    Readmitted,
}

/// A device to be registered before it comes, or to be dialled.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceCreate {
    /// Its USP endpoint id.
    #[schema(example = "os::00D09E-4C1742000001")]
    pub endpoint_id: String,
    /// A name for people.
    #[serde(default)]
    #[schema(max_length = 100)]
    pub label: Option<String>,
    /// Words to group it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When the device listens and we dial: its `ws://` or `wss://` URL.
    #[serde(default)]
    pub dial_url: Option<String>,
    /// Only a client certificate with its endpoint id opens it; it gets no credential then. Needs a
    /// server that asks for client certificates.
    #[serde(default)]
    pub certificate_required: bool,
}

/// A new device, with its credential, which is shown this once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeviceCreated {
    /// The device.
    pub device: DeviceDetail,
    /// Its own credential; null when we dial it, or when only a certificate opens it.
    pub secret: Option<String>,
    /// What to write into `Device.LocalAgent.Controller.{i}.MTP.{i}.WebSocket.Path`.
    pub path: Option<String>,
    /// The URLs at which it finds this server, with the credential in them, or with the tenant for a
    /// device that shows a certificate.
    pub urls: Vec<String>,
}

/// What may change. A field that is absent stays; an empty text clears.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DevicePatch {
    /// A name for people.
    #[schema(max_length = 100)]
    pub label: Option<String>,
    /// Words to group it by.
    pub tags: Option<Vec<String>>,
    /// Where the server dials it; empty stops dialling.
    pub dial_url: Option<String>,
    /// Whether only a client certificate with its endpoint id opens it, from its next connection on.
    pub certificate_required: Option<bool>,
}

/// By what the list can be sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceSort {
    /// The name shown: label, else serial, else endpoint id.
    #[default]
    Name,
    /// The last sign of life.
    LastSeen,
    /// When it was registered.
    Created,
    /// The manufacturer.
    Manufacturer,
    /// The model.
    Model,
    /// The software version.
    SoftwareVersion,
    /// The serial number.
    Serial,
}

/// Which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Smallest or oldest first.
    #[default]
    Asc,
    /// Largest or newest first.
    Desc,
}

/// Filters, order and paging of the device list. A filter given more than once means "one of".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct DeviceQuery {
    /// Free text: label, endpoint id, serial, manufacturer, model, address; every word has to be found.
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Presence words.
    pub presence: Vec<PresenceWord>,
    /// Manufacturers, exact.
    pub manufacturer: Vec<String>,
    /// Models, exact.
    pub model: Vec<String>,
    /// Product classes, exact.
    pub product_class: Vec<String>,
    /// Software versions, exact.
    pub software_version: Vec<String>,
    /// Tags; one of them suffices.
    pub tag: Vec<String>,
    /// Serial numbers, exact.
    pub serial: Vec<String>,
    /// Addresses, exact.
    pub ip: Vec<String>,
    /// Protocols.
    pub protocol: Vec<String>,
    /// Last sign of life before this moment.
    pub seen_before: Option<Time>,
    /// Last sign of life after this moment.
    pub seen_after: Option<Time>,
    /// Booted after this moment.
    pub booted_after: Option<Time>,
    /// Sort by.
    pub sort: Option<DeviceSort>,
    /// Which way.
    pub order: Option<Order>,
    /// Where to go on: the `next` of the page before.
    pub cursor: Option<String>,
    /// Items on the page (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// The fields for which values can be suggested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FacetField {
    /// Presence words, all four, with their counts.
    Presence,
    /// Manufacturers.
    Manufacturer,
    /// Models.
    Model,
    /// Product classes.
    ProductClass,
    /// Software versions.
    SoftwareVersion,
    /// Protocols.
    Protocol,
    /// Tags.
    Tag,
}

/// Which suggestions are wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct FacetQuery {
    /// The fields; absent is all of them.
    pub field: Vec<FacetField>,
    /// What the value begins with, upper and lower case being the same.
    #[param(max_length = 200)]
    pub prefix: Option<String>,
    /// Values for each field (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// Suggestions for filters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Facets {
    /// One entry a field.
    pub facets: Vec<Facet>,
}

/// The values of one field, most frequent first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Facet {
    /// The field.
    pub field: FacetField,
    /// Its values.
    pub values: Vec<FacetValue>,
}

/// A value and how many devices have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FacetValue {
    /// The value.
    pub value: String,
    /// How many devices have it.
    pub count: u64,
}

const TAG: &str = "devices";
const READ: Access = Access::Needs(Permission::DeviceRead);
const WRITE: Access = Access::Needs(Permission::DeviceWrite);

/// The operations on devices.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "device_list",
        Method::Get,
        "/api/v1/devices",
        READ,
        TAG,
        "List devices",
        Answer::Json(Body::of::<Page<Device>>()),
    )
    .query::<DeviceQuery>()
    .query_schemas(&[
        Body::of::<DeviceSort>(),
        Body::of::<Order>(),
        Body::of::<PresenceWord>(),
    ]),
    Endpoint::new(
        "device_facets",
        Method::Get,
        "/api/v1/devices/facets",
        READ,
        TAG,
        "Suggest filter values",
        Answer::Json(Body::of::<Facets>()),
    )
    .query::<FacetQuery>()
    .query_schemas(&[Body::of::<FacetField>()]),
    Endpoint::new(
        "device_create",
        Method::Post,
        "/api/v1/devices",
        WRITE,
        TAG,
        "Register a device",
        Answer::Created(Body::of::<DeviceCreated>()),
    )
    .body::<DeviceCreate>(r#"{"endpoint_id": "os::00256D-CPE0000000001", "label": "Attic", "tags": ["vip"]}"#)
    .about("Before it comes, with its own credential, or with a URL that the server dials. The credential is shown once, so this request is not replayed by an idempotency key."),
    Endpoint::new(
        "device_show",
        Method::Get,
        "/api/v1/devices/{device_id}",
        READ,
        TAG,
        "Show a device",
        Answer::Json(Body::of::<DeviceDetail>()),
    ),
    Endpoint::new(
        "device_update",
        Method::Patch,
        "/api/v1/devices/{device_id}",
        WRITE,
        TAG,
        "Change what we note about a device",
        Answer::Json(Body::of::<DeviceDetail>()),
    )
    .body::<DevicePatch>(r#"{"label": "Cellar", "tags": ["vip", "fibre"]}"#)
    .about("Label, tags, dial URL and whether a certificate is required are ours; to change the device itself, create an operation."),
    Endpoint::new(
        "device_delete",
        Method::Delete,
        "/api/v1/devices/{device_id}",
        WRITE,
        TAG,
        "Remove a device",
        Answer::Nothing,
    )
    .about("Its connection is closed, its credential stops working, its certificates are revoked, its open operations are cancelled. With a valid setup key it can come back as a new device."),
    Endpoint::new(
        "device_readmit",
        Method::Post,
        "/api/v1/devices/{device_id}/readmit",
        WRITE,
        TAG,
        "Let a device come with a setup key once more",
        Answer::Json(Body::of::<DeviceDetail>()),
    )
    .about("For a device that lost its own credential, as after a factory reset."),
    Endpoint::new(
        "device_timeline",
        Method::Get,
        "/api/v1/devices/{device_id}/timeline",
        READ,
        TAG,
        "What happened to a device, newest first",
        Answer::Json(Body::of::<Page<Event>>()),
    )
    .query::<TimelineQuery>(),
];
