//! The connection doctor: why a device is not seen, in plain words.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// What to look into.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct DoctorQuery {
    /// An endpoint id, serial or address that is missed; absent looks at the whole.
    #[param(max_length = 200)]
    pub device: Option<String>,
}

/// What the doctor found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Diagnosis {
    /// When it looked.
    pub checked_at: Time,
    /// The worst of the findings.
    pub verdict: Severity,
    /// The findings, worst first.
    pub findings: Vec<Finding>,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Good to know.
    Info,
    /// May become a problem.
    Warning,
    /// A device cannot be managed because of it.
    Problem,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// A stable slug, like `listener-loopback-only`.
    pub code: String,
    /// What was found, in one line.
    pub title: String,
    /// More about it.
    pub detail: String,
    /// What to do; null when nothing needs doing.
    pub remedy: Option<String>,
}

/// A connection that was turned away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// Its place in the list.
    pub id: String,
    /// When it last happened.
    pub at: Time,
    /// Where it came from: an address, or the broker that it is behind, where that does not tell it.
    pub peer: String,
    /// How it came: `websocket`, `mqtt`, `cwmp`.
    pub transport: String,
    /// A stable slug, like `unknown_credential` or `endpoint_mismatch`.
    pub reason: String,
    /// The reason in words, with what to do.
    pub words: String,
    /// What else is known, like the TLS library's message.
    pub detail: Option<String>,
    /// The endpoint id it gave.
    pub endpoint_id: Option<String>,
    /// The device it would have been.
    pub device_id: Option<Uuid>,
    /// When the same happened first.
    pub first_at: Time,
    /// How often the same happened since.
    pub count: u32,
}

/// Which refusals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct RefusalQuery {
    /// Only with this endpoint id.
    pub endpoint_id: Option<String>,
    /// Only after this moment.
    pub since: Option<Time>,
    /// Where to go on: the `next` of the page before.
    pub cursor: Option<String>,
    /// Items on the page (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

const TAG: &str = "doctor";
const READ: Access = Access::Needs(Permission::DoctorRead);

/// The operations of the doctor.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "doctor_show",
        Method::Get,
        "/api/v1/doctor",
        READ,
        TAG,
        "Why is my device not seen",
        Answer::Json(Body::of::<Diagnosis>()),
    )
    .query::<DoctorQuery>(),
    Endpoint::new(
        "refusal_list",
        Method::Get,
        "/api/v1/doctor/refusals",
        READ,
        TAG,
        "Connections that were turned away, newest first",
        Answer::Json(Body::of::<Page<Refusal>>()),
    )
    .query::<RefusalQuery>()
    .about("Those whose key belongs to the tenant or whose endpoint id is one of its devices; a platform administrator also sees those that belong to nobody."),
];
