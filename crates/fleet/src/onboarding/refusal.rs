//! Why a connection is refused, for the device and for the operator.

use serde::{Deserialize, Serialize};

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The key in the path is unknown.
    UnknownCredential,
    /// The setup key was revoked or is used up.
    SetupKeyUnusable,
    /// The setup key was used too often lately.
    SetupKeyLimited,
    /// The token belongs to another device than the endpoint id.
    EndpointMismatch,
    /// The token was replaced by a newer one.
    TokenSuperseded,
    /// This endpoint id has its own token; after a factory reset an operator readmits it.
    ReadmitNeeded,
    /// It was registered with a token of its own and comes with a setup key.
    TokenExpected,
    /// It does not say its endpoint id.
    EndpointMissing,
    /// Only a client certificate with its endpoint id opens it, and it shows none.
    CertificateRequired,
    /// Its certificate is good, and no device of the tenant has its endpoint id.
    NotRegistered,
    /// Its certificate was revoked.
    CertificateRevoked,
    /// Its certificate was issued for a device of another tenant than the one it comes to.
    CertificateOfAnotherTenant,
    /// It shows a certificate and nothing that says whose device it is.
    TenantMissing,
    /// Its tenant is disabled.
    TenantDisabled,
    /// A better authenticated link with this endpoint id is open.
    WeakerThanOpenLink,
    /// Two agents with this endpoint id throw each other out.
    Flapping,
    /// It is reached through another broker now.
    BehindAnotherBroker,
    /// Its broker has had too many devices registered lately.
    RegistrationsLimited,
    /// Its broker has had too many devices registered that were never onboarded.
    TooManyUnfinished,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Refusal; 19] = [
        Self::UnknownCredential,
        Self::SetupKeyUnusable,
        Self::SetupKeyLimited,
        Self::EndpointMismatch,
        Self::TokenSuperseded,
        Self::ReadmitNeeded,
        Self::TokenExpected,
        Self::EndpointMissing,
        Self::CertificateRequired,
        Self::NotRegistered,
        Self::CertificateRevoked,
        Self::CertificateOfAnotherTenant,
        Self::TenantMissing,
        Self::TenantDisabled,
        Self::WeakerThanOpenLink,
        Self::Flapping,
        Self::BehindAnotherBroker,
        Self::RegistrationsLimited,
        Self::TooManyUnfinished,
    ];

    /// Its name in the store and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCredential => "unknown_credential",
            Self::SetupKeyUnusable => "setup_key_unusable",
            Self::SetupKeyLimited => "setup_key_limited",
            Self::EndpointMismatch => "endpoint_mismatch",
            Self::TokenSuperseded => "token_superseded",
            Self::ReadmitNeeded => "readmit_needed",
            Self::TokenExpected => "token_expected",
            Self::EndpointMissing => "endpoint_missing",
            Self::CertificateRequired => "certificate_required",
            Self::NotRegistered => "not_registered",
            Self::CertificateRevoked => "certificate_revoked",
            Self::CertificateOfAnotherTenant => "certificate_of_another_tenant",
            Self::TenantMissing => "tenant_missing",
            Self::TenantDisabled => "tenant_disabled",
            Self::WeakerThanOpenLink => "weaker_than_open_link",
            Self::Flapping => "flapping",
            Self::BehindAnotherBroker => "behind_another_broker",
            Self::RegistrationsLimited => "registrations_limited",
            Self::TooManyUnfinished => "too_many_unfinished",
        }
    }

    /// What an operator should know about it.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::UnknownCredential => {
                "what it shows is neither a setup key nor a credential of a device that we know"
            }
            Self::SetupKeyUnusable => "the setup key was revoked, has expired or is used up",
            Self::SetupKeyLimited => "too many devices came with this setup key in a short time",
            Self::EndpointMismatch => {
                "the credential belongs to another device than the one it says it is"
            }
            Self::TokenSuperseded => "its credential was replaced by a newer one",
            Self::ReadmitNeeded => {
                "this device already has its own credential, and came with a setup key; \
                 if the device was reset, readmit it"
            }
            Self::EndpointMissing => {
                "it does not say who it is: USP by ?eid=, extension or certificate, TR-069 by OUI and serial number"
            }
            Self::TokenExpected => {
                "this device was registered with a credential of its own, and came with a setup key"
            }
            Self::CertificateRequired => {
                "only a client certificate with its name opens this device, and it showed none"
            }
            Self::NotRegistered => {
                "its client certificate or its broker vouches for it, but no device with this name is registered"
            }
            Self::CertificateRevoked => "its client certificate was revoked",
            Self::CertificateOfAnotherTenant => {
                "its client certificate was issued for a device of another tenant"
            }
            Self::TenantMissing => {
                "it shows a client certificate, but nothing that counts says whose device it is"
            }
            Self::TenantDisabled => "the tenant is disabled: its devices are not served",
            Self::WeakerThanOpenLink => "a better authenticated device with this name is connected",
            Self::Flapping => "two devices with this name keep replacing each other",
            Self::BehindAnotherBroker => {
                "a device with this name is reached through another broker"
            }
            Self::RegistrationsLimited => {
                "its broker has had too many devices registered in a short time"
            }
            Self::TooManyUnfinished => {
                "its broker has had too many devices registered that were never onboarded"
            }
        }
    }

    /// The HTTP status a dialling agent gets.
    pub fn http_status(self) -> u16 {
        match self {
            Self::UnknownCredential | Self::SetupKeyUnusable | Self::TokenSuperseded => 401,
            Self::SetupKeyLimited
            | Self::RegistrationsLimited
            | Self::TooManyUnfinished
            | Self::Flapping => 429,
            Self::EndpointMissing => 400,
            Self::EndpointMismatch
            | Self::ReadmitNeeded
            | Self::TokenExpected
            | Self::CertificateRequired
            | Self::NotRegistered
            | Self::CertificateRevoked
            | Self::CertificateOfAnotherTenant
            | Self::TenantDisabled => 403,
            Self::TenantMissing => 404,
            Self::WeakerThanOpenLink | Self::BehindAnotherBroker => 409,
        }
    }
}
