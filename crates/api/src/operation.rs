//! Operations: every change to a device is one of these, previewed, stored, applied, verified by
//! reading back, with an expiry and a transcript.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::page::PageQuery;
use crate::transcript::TranscriptEntry;
use crate::transfer::Transfer;
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// One thing to do on a device, in TR-181 paths and USP verbs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Op {
    /// Read parameters.
    Get {
        /// Parameters, or objects ending in a dot; wildcards and search expressions are allowed.
        paths: Vec<String>,
        /// How many levels below an object; absent is all.
        #[serde(default)]
        max_depth: Option<u32>,
    },
    /// Set parameters.
    Set {
        /// What to set.
        parameters: Vec<SetParameter>,
        /// Whether the rest is set when one of them cannot be.
        #[serde(default)]
        allow_partial: bool,
    },
    /// Add a row to a table.
    Add {
        /// The table, ending in a dot.
        object: String,
        /// What to set in the new row.
        #[serde(default)]
        parameters: Vec<AddParameter>,
    },
    /// Delete rows.
    Delete {
        /// The rows, ending in a dot.
        paths: Vec<String>,
        /// Whether the rest is deleted when one of them cannot be.
        #[serde(default)]
        allow_partial: bool,
    },
    /// Run a command.
    Operate {
        /// The command, ending in brackets.
        command: String,
        /// Its arguments.
        #[serde(default)]
        input: BTreeMap<String, String>,
    },
    /// Ask the device what it supports below an object.
    Discover {
        /// The object, ending in a dot.
        path: String,
    },
    /// Have the device notify us.
    Subscribe {
        /// Of what.
        notification: NotificationKind,
        /// About which paths.
        paths: Vec<String>,
        /// Whether the device keeps the subscription when it restarts.
        #[serde(default = "yes")]
        persistent: bool,
        /// Whether the device repeats a notification until we confirm it.
        #[serde(default = "yes")]
        confirmed: bool,
    },
}

fn yes() -> bool {
    true
}

/// A parameter to set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetParameter {
    /// Its full path; wildcards and search expressions are allowed.
    #[schema(example = "Device.WiFi.SSID.1.SSID")]
    pub path: String,
    /// The value, as text.
    pub value: String,
}

/// A parameter of a row to add.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddParameter {
    /// Its name in the row.
    #[schema(example = "SSID")]
    pub name: String,
    /// The value, as text.
    pub value: String,
}

/// What a subscription is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// A value changed.
    ValueChange,
    /// A row was added.
    ObjectCreation,
    /// A row was deleted.
    ObjectDeletion,
    /// A command has ended.
    OperationComplete,
    /// An event happened.
    Event,
}

/// Look first, or do it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only say what would happen.
    Preview,
    /// Store the operation and carry it out.
    #[default]
    Apply,
}

/// An operation to be previewed or carried out.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationCreate {
    /// Look first, or do it (default).
    #[serde(default)]
    pub mode: Mode,
    /// What to do: one op, which may name many paths. (A list, so that a change of several verbs
    /// can become one operation without a new contract.)
    #[schema(min_items = 1, max_items = 1)]
    pub ops: Vec<Op>,
    /// Seconds until it gives up waiting for the device (default one day, at most thirty).
    #[serde(default)]
    #[schema(minimum = 1, maximum = 2592000)]
    pub expires_in_seconds: Option<u32>,
    /// Why, for whoever reads it later.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub note: Option<String>,
}

/// What the server made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationSubmitted {
    /// What would happen or is going to.
    pub preview: Preview,
    /// The stored operation; null for a preview.
    pub operation: Option<Operation>,
}

/// What an operation would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// The whole in one sentence.
    pub summary: String,
    /// Each path.
    pub items: Vec<PreviewItem>,
    /// True when an item has a problem that would make the device or us refuse; applying such an
    /// operation is answered with 422.
    pub blocked: bool,
    /// What to know beforehand, like "the device is offline: this waits for it".
    pub warnings: Vec<String>,
}

/// What would happen at one path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PreviewItem {
    /// Which op, from 0.
    pub op: u32,
    /// The path.
    pub path: String,
    /// What: `get`, `set`, `add`, `delete`, `operate`, `discover`, `subscribe`.
    pub action: String,
    /// The last-known value.
    pub from: Option<String>,
    /// When that was read.
    pub from_at: Option<Time>,
    /// The new value.
    pub to: Option<String>,
    /// False when `from` and `to` are the same.
    pub changes: bool,
    /// What is wrong, in words; null when nothing is.
    pub problem: Option<String>,
    /// Whether the problem stops the operation or is only doubtful.
    pub severity: Option<PreviewSeverity>,
}

/// How bad a problem of a preview is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreviewSeverity {
    /// It would be refused.
    Blocks,
    /// It may be refused: we do not know enough.
    Doubtful,
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Stored; waits for its turn or for the device.
    Queued,
    /// Being carried out.
    Running,
    /// Carried out; values are being read back.
    Verifying,
    /// Done and verified.
    Succeeded,
    /// Some of it done.
    Partly,
    /// Refused or gone wrong.
    Failed,
    /// The device did not come in time.
    Expired,
    /// Cancelled before it ran.
    Cancelled,
    /// Sent, but the answer was lost and reading back could not tell. A person decides.
    Unconfirmed,
}

impl OperationState {
    /// Every state.
    pub const ALL: [OperationState; 9] = [
        Self::Queued,
        Self::Running,
        Self::Verifying,
        Self::Succeeded,
        Self::Partly,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
        Self::Unconfirmed,
    ];

    /// Whether nothing will happen any more.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Verifying)
    }
}

/// A stored operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// The id.
    pub id: Uuid,
    /// The device.
    pub device_id: Uuid,
    /// The device's name: label, else serial, else endpoint id.
    pub device_name: String,
    /// Where it stands.
    pub state: OperationState,
    /// What it does, in one line.
    pub summary: String,
    /// The state in words: for what it waits, or what went wrong.
    pub state_words: String,
    /// What to do.
    pub ops: Vec<Op>,
    /// Who asked for it.
    pub actor: Actor,
    /// Why. Null in lists; shown with the operation itself.
    pub note: Option<String>,
    /// When it was asked for.
    pub created_at: Time,
    /// When it changed last.
    pub updated_at: Time,
    /// When it was first sent to the device.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// When it gives up waiting.
    pub expires_at: Time,
    /// How often what it asks for was sent to the device.
    pub attempts: u32,
    /// Each op, in order.
    pub steps: Vec<Step>,
    /// Whether it can still be cancelled.
    pub cancellable: bool,
    /// The file that the device fetches or sends because of it, as the server sees it. Null in
    /// lists; shown with the operation itself.
    pub transfer: Option<Transfer>,
}

/// One op of an operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// Which op, from 0.
    pub index: u32,
    /// What it does, in one line.
    pub summary: String,
    /// Where it stands.
    pub state: StepState,
    /// What went wrong.
    pub error: Option<StepError>,
    /// What came out, path by path.
    pub results: Vec<PathResult>,
    /// What a command answered.
    pub output: BTreeMap<String, String>,
    /// True when only a part of many results is here; read the values for the rest.
    pub truncated: bool,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not sent yet.
    Waiting,
    /// Sent; no answer yet.
    Sent,
    /// The device said yes; reading back.
    Verifying,
    /// Done; read back where that is possible.
    Done,
    /// Some of it done.
    Partly,
    /// Refused or gone wrong.
    Failed,
    /// Never sent, because something before it failed.
    Skipped,
    /// Sent, and nobody knows.
    Unconfirmed,
}

/// What came out at one path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PathResult {
    /// The path, resolved.
    pub path: String,
    /// What was asked for.
    pub requested: Option<String>,
    /// The last-known value before.
    pub before: Option<String>,
    /// The value after.
    pub after: Option<String>,
    /// Whether reading back found what was asked for; null when it could not be read back.
    pub verified: Option<bool>,
    /// The device has taken it, and puts it in force when it starts again; until then it may read as before.
    pub after_restart: bool,
    /// What went wrong at this path.
    pub error: Option<StepError>,
}

/// What went wrong and who says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepError {
    /// Who says so.
    pub who: Who,
    /// The code of the protocol that the device gave, like 7004.
    pub code: Option<u32>,
    /// What is wrong, in words.
    pub message: String,
}

/// Who says that something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// This server: nothing was sent, or this is what it makes of what the device answered.
    Headend,
    /// The device.
    Device,
    /// The connection.
    Network,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// What it is.
    pub kind: ActorKind,
    /// The user's or token's id.
    pub id: Option<Uuid>,
    /// The name to show.
    pub name: String,
}

/// What did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person in the console.
    User,
    /// A script with a token.
    Token,
    /// The server by itself.
    System,
    /// The device.
    Device,
}

/// Filters and paging of the list of operations, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct OperationQuery {
    /// Only of this device.
    pub device_id: Option<Uuid>,
    /// Only in one of these states.
    pub state: Vec<OperationState>,
    /// Only asked for by this user.
    pub user_id: Option<Uuid>,
    /// Asked for after this moment.
    pub created_after: Option<Time>,
    /// Asked for before this moment.
    pub created_before: Option<Time>,
    /// Where to go on: the `next` of the page before.
    pub cursor: Option<String>,
    /// Items on the page (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

const TAG: &str = "operations";
const READ: Access = Access::Needs(Permission::OperationRead);
const RUN: Access = Access::Needs(Permission::OperationRun);

/// The operations on operations.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "operation_create",
        Method::Post,
        "/api/v1/devices/{device_id}/operations",
        RUN,
        TAG,
        "Preview or carry out an operation on a device",
        Answer::Accepted(Body::of::<OperationSubmitted>()),
    )
    .body::<OperationCreate>(r#"{"mode": "preview", "ops": [{"kind": "set", "parameters": [{"path": "Device.WiFi.SSID.1.SSID", "value": "home"}]}]}"#)
    .about("`mode: preview` answers 200 with what would happen and stores nothing. `mode: apply` answers 202 once the operation is stored; storing is the promise.")
    .idempotent(),
    Endpoint::new(
        "operation_list",
        Method::Get,
        "/api/v1/operations",
        READ,
        TAG,
        "List operations, newest first",
        Answer::Json(Body::of::<Page<Operation>>()),
    )
    .query::<OperationQuery>()
    .query_schemas(&[Body::of::<OperationState>()]),
    Endpoint::new(
        "operation_show",
        Method::Get,
        "/api/v1/operations/{operation_id}",
        READ,
        TAG,
        "Show an operation",
        Answer::Json(Body::of::<Operation>()),
    ),
    Endpoint::new(
        "operation_cancel",
        Method::Post,
        "/api/v1/operations/{operation_id}/cancel",
        RUN,
        TAG,
        "Cancel an operation",
        Answer::Json(Body::of::<Operation>()),
    )
    .about("At once while nothing was sent. What the device already has is stopped only where the device knows how: follow the state. 409 when the operation has ended; cancelling a cancelled one changes nothing."),
    Endpoint::new(
        "operation_transcript",
        Method::Get,
        "/api/v1/operations/{operation_id}/transcript",
        READ,
        TAG,
        "What went over the wire",
        Answer::Json(Body::of::<Page<TranscriptEntry>>()),
    )
    .query::<PageQuery>(),
];
