//! The event log: everything that happened, in one order without gaps, read with a cursor or live
//! as server-sent events. A device's timeline is the same log, newest first.

use crate::device::Order;
use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::operation::Actor;
use crate::{Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its place in the tenant's log; also the `id` of the server-sent event.
    #[schema(example = "1042")]
    pub cursor: String,
    /// When.
    pub at: Time,
    /// What: `device.connected`, `device.disconnected`, `device.created`, `operation.queued`,
    /// `operation.finished`, `device.value_changed`, ...
    #[schema(example = "device.connected")]
    pub kind: String,
    /// What happened, in one sentence.
    pub summary: String,
    /// The device it is about.
    pub device_id: Option<Uuid>,
    /// The device's name at that time.
    pub device_name: Option<String>,
    /// The operation it is about.
    pub operation_id: Option<Uuid>,
    /// Who did it.
    pub actor: Option<Actor>,
    /// The details, different for each kind.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventLog {
    /// The events, in the order asked for.
    pub items: Vec<Event>,
    /// Where to go on. Oldest first: send it as `after`; the same as `head` when everything has
    /// been read. Newest first: send it as `before`; empty at the beginning of the log.
    pub next: String,
    /// The newest place in the log.
    pub head: String,
}

/// Which part of the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct EventQuery {
    /// Oldest first (default) or newest first.
    pub order: Option<Order>,
    /// Oldest first: only what came after this cursor; absent is from the oldest that is kept.
    pub after: Option<String>,
    /// Newest first: only what came before this cursor; absent is from the newest.
    pub before: Option<String>,
    /// Only these kinds; `device.` with the dot means all that begin so.
    pub kind: Vec<String>,
    /// Only about this device.
    pub device_id: Option<Uuid>,
    /// Only about this operation.
    pub operation_id: Option<Uuid>,
    /// Items on the page (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

/// Which events are streamed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct StreamQuery {
    /// Only what came after this cursor; the header `Last-Event-ID` beats it; with neither the
    /// stream begins now.
    pub after: Option<String>,
    /// Only these kinds; `device.` with the dot means all that begin so.
    pub kind: Vec<String>,
    /// Only about this device.
    pub device_id: Option<Uuid>,
    /// Only about this operation.
    pub operation_id: Option<Uuid>,
    /// The same as the header `Headend-Tenant`, which a browser's EventSource cannot send.
    pub tenant: Option<String>,
}

/// Which part of a device's timeline, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct TimelineQuery {
    /// Only these kinds; `operation.` with the dot means all that begin so.
    pub kind: Vec<String>,
    /// Where to go on: the `next` of the page before.
    pub cursor: Option<String>,
    /// Items on the page (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

const TAG: &str = "events";
const READ: Access = Access::Needs(Permission::EventRead);

/// The operations on events.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "event_list",
        Method::Get,
        "/api/v1/events",
        READ,
        TAG,
        "Read the event log",
        Answer::Json(Body::of::<EventLog>()),
    )
    .query::<EventQuery>()
    .query_schemas(&[Body::of::<Order>()]),
    Endpoint::new(
        "event_show",
        Method::Get,
        "/api/v1/events/{cursor}",
        READ,
        TAG,
        "Show an event",
        Answer::Json(Body::of::<Event>()),
    )
    .about("By its place in the tenant's log. One that is no longer kept is not found."),
    Endpoint::new(
        "event_stream",
        Method::Get,
        "/api/v1/events/stream",
        READ,
        TAG,
        "Follow the event log live",
        Answer::Stream(Body::of::<Event>()),
    )
    .query::<StreamQuery>()
    .about("Server-sent events. Each message has the event's cursor as `id` and its JSON as `data`; all are of the default type `message`. Reconnect with `Last-Event-ID` and nothing is missed; a cursor that is older than what is kept, or beyond the end of the log, is answered with 410. A comment is sent every 15 seconds while nothing happens. Event `end` says why the server ends the stream."),
];
