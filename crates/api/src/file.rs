//! Files for devices (firmware, configurations) and of devices (backups, logs).

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// What a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A firmware image.
    Firmware,
    /// The configuration of a device, or one to be given to devices.
    Configuration,
    /// Anything else that a device has sent: a log, a dump.
    Upload,
    /// Anything else.
    #[default]
    Other,
}

impl FileKind {
    /// Every kind.
    pub const ALL: [FileKind; 4] = [
        Self::Firmware,
        Self::Configuration,
        Self::Upload,
        Self::Other,
    ];
}

/// A file. What is in it never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct File {
    /// The id. An argument of a command names the file by `headend-file:` and this.
    pub id: Uuid,
    /// The name, which devices see at the end of the link.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// The maker of the devices it is for.
    pub vendor: Option<String>,
    /// The model of the devices it is for.
    pub model: Option<String>,
    /// The version of what is in it.
    pub version: Option<String>,
    /// A note for people.
    pub note: Option<String>,
    /// Bytes.
    pub size: u64,
    /// The SHA-256 of what is in it, in hexadecimal digits.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sha256: String,
    /// When it came.
    pub created_at: Time,
    /// Who brought it; null when a device sent it.
    pub created_by: Option<String>,
    /// The device that sent it.
    pub device_id: Option<Uuid>,
}

/// How a file is called and what it is, beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct FileUpload {
    /// The name, 1 to 100 characters without a slash.
    pub name: String,
    /// What it is (default `other`).
    pub kind: Option<FileKind>,
    /// The maker of the devices it is for.
    pub vendor: Option<String>,
    /// The model of the devices it is for.
    pub model: Option<String>,
    /// The version of what is in it.
    pub version: Option<String>,
    /// A note for people; a longer one than 200 characters is added afterwards.
    #[param(max_length = 200)]
    pub note: Option<String>,
    /// The SHA-256 that the bytes must have, in hexadecimal digits; others are refused.
    pub sha256: Option<String>,
}

/// What may change. An empty text takes the old one away.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilePatch {
    /// The name.
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// What it is.
    pub kind: Option<FileKind>,
    /// The maker of the devices it is for.
    #[schema(max_length = 100)]
    pub vendor: Option<String>,
    /// The model of the devices it is for.
    #[schema(max_length = 100)]
    pub model: Option<String>,
    /// The version of what is in it.
    #[schema(max_length = 100)]
    pub version: Option<String>,
    /// A note for people.
    #[schema(max_length = 1000)]
    pub note: Option<String>,
}

/// Filters and paging of the list of files, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct FileQuery {
    /// Only what has this in its name, vendor, model or version (at most 200 characters).
    #[param(max_length = 200)]
    pub q: Option<String>,
    /// Only of one of these kinds.
    pub kind: Vec<FileKind>,
    /// Only what this device has sent.
    pub device_id: Option<Uuid>,
    /// Where to go on: the `next` of the page before.
    pub cursor: Option<String>,
    /// Items on the page (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

const TAG: &str = "files";
const READ: Access = Access::Needs(Permission::FileRead);
const WRITE: Access = Access::Needs(Permission::FileWrite);

/// The operations on files.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "file_list",
        Method::Get,
        "/api/v1/files",
        READ,
        TAG,
        "List files, newest first",
        Answer::Json(Body::of::<Page<File>>()),
    )
    .query::<FileQuery>()
    .query_schemas(&[Body::of::<FileKind>()]),
    Endpoint::new(
        "file_upload",
        Method::Post,
        "/api/v1/files",
        WRITE,
        TAG,
        "Upload a file",
        Answer::Created(Body::of::<File>()),
    )
    .query::<FileUpload>()
    .query_schemas(&[Body::of::<FileKind>()])
    .takes_bytes()
    .about("The body is the file itself. The same bytes under the same name, kind, vendor, model and version are the same file: sending them again answers with the one that is there, so a repetition is safe."),
    Endpoint::new(
        "file_show",
        Method::Get,
        "/api/v1/files/{file_id}",
        READ,
        TAG,
        "Show a file",
        Answer::Json(Body::of::<File>()),
    ),
    Endpoint::new(
        "file_update",
        Method::Patch,
        "/api/v1/files/{file_id}",
        WRITE,
        TAG,
        "Describe a file otherwise",
        Answer::Json(Body::of::<File>()),
    )
    .body::<FilePatch>(r#"{"version": "2.4.1", "note": "for the new boards only"}"#),
    Endpoint::new(
        "file_delete",
        Method::Delete,
        "/api/v1/files/{file_id}",
        WRITE,
        TAG,
        "Remove a file",
        Answer::Nothing,
    )
    .about("409 while a device has a link to it that it has not used up."),
    Endpoint::new(
        "file_content",
        Method::Get,
        "/api/v1/files/{file_id}/content",
        Access::Needs(Permission::FileDownload),
        TAG,
        "Get what is in a file",
        Answer::Bytes,
    )
    .about("Honours `Range`; the `ETag` is the SHA-256."),
];
