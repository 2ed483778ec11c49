//! What went over the wire for an operation, message by message, secrets masked.

use crate::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One message of an operation on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TranscriptEntry {
    /// The place in the transcript.
    pub index: u32,
    /// When.
    pub at: Time,
    /// Which way.
    pub direction: Direction,
    /// What it went over: `websocket`, `mqtt`, `cwmp`. Null where that was not written down.
    pub transport: Option<String>,
    /// What it was, like `Set` or `SetResp`; for notes of the server `note`.
    pub kind: String,
    /// The message or note as text, secrets masked.
    pub text: String,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the device.
    Sent,
    /// From the device.
    Received,
    /// The server's own note.
    Note,
}
