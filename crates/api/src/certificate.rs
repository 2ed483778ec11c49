//! Certificates of devices, and the authority that issues them.

use crate::endpoint::{Access, Answer, Body, Endpoint, Method};
use crate::operation::Operation;
use crate::{Page, Permission, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// How a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateState {
    /// It opens the door.
    Valid,
    /// Its time is over.
    Expired,
    /// It does not count any more.
    Revoked,
}

/// A certificate of a device. Its private key is nowhere here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// The id.
    pub id: Uuid,
    /// The endpoint that it is for.
    #[schema(example = "os::00256D-S1")]
    pub endpoint_id: String,
    /// The device with this endpoint; null when it was removed.
    pub device_id: Option<Uuid>,
    /// How it stands.
    pub state: CertificateState,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// The SHA-256 of it, in hexadecimal digits.
    pub fingerprint: String,
    /// Who issued it.
    pub issuer: String,
    /// Valid from.
    pub not_before: Time,
    /// Valid until.
    pub not_after: Time,
    /// The certificate that it takes the place of: that one is revoked as soon as a device shows this one.
    pub replaces: Option<Uuid>,
    /// When it was issued.
    pub created_at: Time,
    /// Who issued it, like `user:ada`.
    pub created_by: String,
    /// When a device first came with it; null when none has.
    pub first_used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// Who revoked it.
    pub revoked_by: Option<String>,
    /// Why it was revoked.
    pub reason: Option<String>,
}

/// A certificate with its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CertificateDetail {
    /// What there is to say of it.
    pub certificate: Certificate,
    /// The certificate in PEM form.
    pub pem: String,
}

/// A certificate to be issued.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateIssue {
    /// The endpoint id of the device.
    #[schema(example = "os::00256D-S1")]
    pub endpoint_id: String,
    /// Days for which it is good; absent is `pki.days` of the configuration.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 3650)]
    pub days: Option<u32>,
    /// A signing request (PKCS #10 in PEM form) with the public key of the device, whose names do not count; absent makes
    /// a key and gives it away with the certificate.
    #[serde(default)]
    pub request: Option<String>,
}

/// A certificate that was issued.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct CertificateIssued {
    /// What there is to say of it.
    pub certificate: Certificate,
    /// The certificate in PEM form.
    pub pem: String,
    /// Its private key in PEM form. It is kept nowhere and cannot be shown again. Null when there was a request.
    pub key: Option<String>,
    /// The certificate of the authority, in PEM form.
    pub authority: String,
    /// Where a device that speaks USP over WebSocket comes to with it.
    pub urls: Vec<String>,
}

/// A certificate to be put in the place of the one that a device has.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CertificateRotate {
    /// Days for which it is good; absent is `pki.days` of the configuration.
    #[schema(minimum = 1, maximum = 3650)]
    pub days: Option<u32>,
    /// How long the device may take to be reached, as with any operation.
    pub expires_in_seconds: Option<u32>,
    /// For people.
    pub note: Option<String>,
}

/// A certificate that is on its way to its device.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct CertificateRotated {
    /// The new one.
    pub certificate: Certificate,
    /// The operation that brings it to the device.
    pub operation: Operation,
}

/// Why a certificate is revoked.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CertificateRevoke {
    /// In words, at most 200 characters.
    #[schema(max_length = 200)]
    pub reason: String,
}

/// The authority for devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CertificateAuthority {
    /// Who it is.
    pub subject: String,
    /// Valid from.
    pub not_before: Time,
    /// Valid until.
    pub not_after: Time,
    /// Its certificate in PEM form, and those above it where they are known.
    pub pem: String,
    /// Whether certificates are issued here; otherwise its key is elsewhere.
    pub issues: bool,
}

/// Filters and paging of the list of certificates, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct CertificateQuery {
    /// Only of this endpoint.
    pub endpoint_id: Option<String>,
    /// Only of this device.
    pub device_id: Option<Uuid>,
    /// Only those that are revoked, or only the others.
    pub revoked: Option<bool>,
    /// Only those that end within so many days, or have ended.
    #[param(minimum = 0, maximum = 3650)]
    pub ends_within_days: Option<u32>,
    /// Where to go on: the `next` of the page before.
    pub cursor: Option<String>,
    /// Items on the page (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}

const TAG: &str = "certificates";
const READ: Access = Access::Needs(Permission::CertificateRead);
const WRITE: Access = Access::Needs(Permission::CertificateWrite);

/// The operations on certificates.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(
        "certificate_list",
        Method::Get,
        "/api/v1/certificates",
        READ,
        TAG,
        "List certificates of devices, newest first",
        Answer::Json(Body::of::<Page<Certificate>>()),
    )
    .query::<CertificateQuery>(),
    Endpoint::new(
        "certificate_issue",
        Method::Post,
        "/api/v1/certificates",
        WRITE,
        TAG,
        "Issue a certificate for a device",
        Answer::Created(Body::of::<CertificateIssued>()),
    )
    .body::<CertificateIssue>(r#"{"endpoint_id": "os::00256D-S1", "days": 397}"#)
    .about("A device that is not registered yet is registered, to come with a certificate only. The private key is shown once, so this request is not replayed by an idempotency key."),
    Endpoint::new(
        "certificate_show",
        Method::Get,
        "/api/v1/certificates/{certificate_id}",
        READ,
        TAG,
        "Show a certificate",
        Answer::Json(Body::of::<CertificateDetail>()),
    ),
    Endpoint::new(
        "certificate_revoke",
        Method::Post,
        "/api/v1/certificates/{certificate_id}/revoke",
        WRITE,
        TAG,
        "Revoke a certificate",
        Answer::Json(Body::of::<Certificate>()),
    )
    .body::<CertificateRevoke>(r#"{"reason": "stolen"}"#)
    .about("It opens no door from now on, and links that came in with it end: at once on this node, within 2 seconds on the others. A second time changes nothing."),
    Endpoint::new(
        "device_certificate_rotate",
        Method::Post,
        "/api/v1/devices/{device_id}/certificate/rotate",
        WRITE,
        TAG,
        "Give a device a new certificate in the place of the one it has",
        Answer::Accepted(Body::of::<CertificateRotated>()),
    )
    .body::<CertificateRotate>(r#"{"days": 397}"#)
    .about("The new certificate is for the same key, so that no key travels: it is brought to the device by its command Device.LocalAgent.AddCertificate(). Both open the door until the device comes with the new one; then the old one is revoked."),
    Endpoint::new(
        "certificate_authority",
        Method::Get,
        "/api/v1/certificate-authority",
        READ,
        TAG,
        "Show the authority that issues certificates for devices",
        Answer::Json(Body::of::<CertificateAuthority>()),
    ),
];
