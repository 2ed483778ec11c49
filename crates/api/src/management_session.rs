//! Management sessions: of devices that come at intervals (CWMP), what was said each time they came, message by
//! message, and which faults they answered with.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::page::PageQuery;
use crate::transcript::Direction;
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// One time that a device came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ManagementSession {
    /// The id.
    pub id: Uuid,
    /// The protocol: `cwmp`.
    pub protocol: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Time,
    /// Where the device came from.
    pub peer: String,
    /// Why it came, in its own words, like `2 PERIODIC`.
    pub events: Vec<String>,
    /// How it ended, in words.
    pub ending: String,
    /// How many faults the device answered with.
    pub faults: u64,
}

/// A session with everything that was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ManagementSessionDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub session: ManagementSession,
    /// The messages, in order.
    pub entries: Vec<SessionEntry>,
    /// How many messages in the middle were not kept, because there were too many.
    pub left_out: u64,
    /// The faults the device answered with.
    pub fault_details: Vec<SessionFault>,
}

/// One message of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionEntry {
    /// When.
    pub at: Time,
    /// Which way.
    pub direction: Direction,
    /// What it is, like `Inform` or `SetParameterValuesResponse`; for notes of the server `note`.
    pub kind: String,
    /// The message as text, secrets masked.
    pub text: String,
    /// Whether something in it was masked.
    pub masked: bool,
}

/// A fault the device answered with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionFault {
    /// The protocol's code, like 9007; 0 where the device gave none.
    pub code: u32,
    /// The device's words.
    pub message: String,
    /// What it was asked, like `SetParameterValues`.
    pub asked: String,
    /// The parameter, or the deployment unit, it blames; null when it names none.
    pub parameter: Option<String>,
    /// The value that was tried, masked when it is a secret.
    pub value: Option<String>,
    /// How many other devices of the same model and firmware showed the same fault with the same parameter.
    pub similar_devices: u64,
}

const TAG: &str = "devices";
const READ: Access = Access::Needs(Permission::DeviceRead);

/// The operations on management sessions.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "device_sessions",
        Method::Get,
        "/api/v1/devices/{device_id}/sessions",
        READ,
        TAG,
        "The last sessions of a device, newest first",
        Answer::Json(Body::of::<Page<ManagementSession>>()),
    )
    .query::<PageQuery>()
    .about("Of devices that come at intervals (CWMP). A device that keeps its link open (USP) has none: see the transcripts of its operations."),
    Endpoint::new(
        "device_session",
        Method::Get,
        "/api/v1/devices/{device_id}/sessions/{session_id}",
        READ,
        TAG,
        "What was said in a session",
        Answer::Json(Body::of::<ManagementSessionDetail>()),
    ),
];
