//! Files on their way to and from devices.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::operation::{Mode, OperationSubmitted};
use crate::page::PageQuery;
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferDirection {
    /// To the device.
    Download,
    /// From the device.
    Upload,
}

/// Where a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// The device has its link, and has not come.
    Waiting,
    /// The device is at it.
    Running,
    /// It broke off; the device may go on with it.
    Interrupted,
    /// Every byte went over the wire.
    Done,
    /// It cannot be done.
    Failed,
    /// The link ended before all was done.
    Expired,
}

/// What the server itself knows of a file on its way: the other half of the evidence, beside what
/// the device reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Transfer {
    /// The id.
    pub id: Uuid,
    /// The device.
    pub device_id: Uuid,
    /// The operation because of which the device got the link.
    pub operation_id: Uuid,
    /// Which way.
    pub direction: TransferDirection,
    /// Where it stands.
    pub state: TransferState,
    /// The state in words.
    pub words: String,
    /// The file to fetch, or the one that came.
    pub file_id: Option<Uuid>,
    /// Its name.
    pub name: String,
    /// Its bytes, where they are known.
    pub size: Option<u64>,
    /// Bytes that went over the wire, each counted once.
    pub bytes: u64,
    /// How often the device has asked.
    pub requests: u64,
    /// From where it last came.
    pub peer: Option<String>,
    /// What went wrong last.
    pub error: Option<String>,
    /// When the device got its link.
    pub created_at: Time,
    /// When the link ends.
    pub expires_at: Time,
    /// When the device came first.
    pub started_at: Option<Time>,
    /// When it was over.
    pub finished_at: Option<Time>,
}

/// A file that a device shall fetch.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DownloadCreate {
    /// Look first, or do it (default).
    #[serde(default)]
    pub mode: Mode,
    /// The file.
    pub file_id: Uuid,
    /// The command that fetches it; absent is what fits the kind of the file: `Download()` of a
    /// firmware image that is not the active one, or `Restore()` of the configuration.
    #[serde(default)]
    #[schema(example = "Device.DeviceInfo.FirmwareImage.2.Download()")]
    pub command: Option<String>,
    /// TR-069's word for what it is, like `1 Firmware Upgrade Image`; only for devices that speak
    /// that protocol. Absent is what fits the command.
    #[serde(default)]
    #[schema(max_length = 64)]
    pub file_type: Option<String>,
    /// Whether a firmware is started as soon as it is there (default true).
    #[serde(default)]
    pub activate: Option<bool>,
    /// Seconds until it gives up waiting for the device (default one day, at most thirty).
    #[serde(default)]
    #[schema(minimum = 1, maximum = 2592000)]
    pub expires_in_seconds: Option<u32>,
    /// Why, for whoever reads it later.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub note: Option<String>,
}

/// What a device may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UploadType {
    /// Its configuration.
    #[default]
    Config,
    /// Its log.
    Log,
}

/// A file that a device shall send.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadCreate {
    /// Look first, or do it (default).
    #[serde(default)]
    pub mode: Mode,
    /// What it shall send (default its configuration).
    #[serde(default, rename = "type")]
    pub what: UploadType,
    /// The command that sends it; absent is what fits.
    #[serde(default)]
    #[schema(example = "Device.DeviceInfo.VendorLogFile.2.Upload()")]
    pub command: Option<String>,
    /// TR-069's word for what it is, like `2 Vendor Log File`; only for devices that speak that
    /// protocol. Absent is what fits the command.
    #[serde(default)]
    #[schema(max_length = 64)]
    pub file_type: Option<String>,
    /// The name of the file that comes of it; absent is made of the device and the time.
    #[serde(default)]
    #[schema(max_length = 100)]
    pub name: Option<String>,
    /// Seconds until it gives up waiting for the device (default one day, at most thirty).
    #[serde(default)]
    #[schema(minimum = 1, maximum = 2592000)]
    pub expires_in_seconds: Option<u32>,
    /// Why, for whoever reads it later.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub note: Option<String>,
}

const TAG: &str = "files";
const RUN: Access = Access::Needs(Permission::OperationRun);

/// The operations on transfers.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "transfer_list",
        Method::Get,
        "/api/v1/devices/{device_id}/transfers",
        Access::Needs(Permission::DeviceRead),
        TAG,
        "List the files on their way to and from a device, newest first",
        Answer::Json(Body::of::<Page<Transfer>>()),
    )
    .query::<PageQuery>(),
    Endpoint::new(
        "device_download",
        Method::Post,
        "/api/v1/devices/{device_id}/downloads",
        RUN,
        TAG,
        "Have a device fetch a file",
        Answer::Accepted(Body::of::<OperationSubmitted>()),
    )
    .body::<DownloadCreate>(r#"{"file_id": "0197a8a0-0000-7000-8000-000000000001", "mode": "preview"}"#)
    .about("An operation that runs the command that fits, with the file as `headend-file:` and its id in the argument `URL`. When it is sent, the device gets a link of its own in place of that, with size and checksum where the command takes them.")
    .idempotent(),
    Endpoint::new(
        "device_upload",
        Method::Post,
        "/api/v1/devices/{device_id}/uploads",
        RUN,
        TAG,
        "Have a device send a file",
        Answer::Accepted(Body::of::<OperationSubmitted>()),
    )
    .body::<UploadCreate>(r#"{"type": "config"}"#)
    .about("An operation that runs the command that fits, with `headend-upload:` and a name in the argument `URL`. When it is sent, the device gets a link of its own in place of that. What comes is a file like others.")
    .idempotent(),
];
