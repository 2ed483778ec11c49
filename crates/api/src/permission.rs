//! What a caller may do. A role is a set of these, a token's scopes are a subset of its owner's.
//! It does not decide anything: the domain's `fleet::auth` does, and the server maps one to one.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $name:ident = $slug:tt,)+) => {
        /// One permission, named `resource:verb`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        pub enum Permission {
            $($(#[doc = $doc])+ #[serde(rename = $slug)] $name,)+
        }

        impl Permission {
            /// Every permission, in the order in which they are shown.
            pub const ALL: &'static [Permission] = &[$(Permission::$name,)+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Permission::$name => $slug,)+ }
            }

            /// What it allows, in one sentence.
            pub const fn words(self) -> &'static str {
                match self { $(Permission::$name => concat!($($doc),+),)+ }
            }
        }
    };
}

permissions! {
    /// See devices, their values, model and timeline.
    DeviceRead = "device:read",
    /// Register, edit, re-admit and remove devices.
    DeviceWrite = "device:write",
    /// See operations and their transcripts.
    OperationRead = "operation:read",
    /// Preview, run and cancel operations of every verb.
    OperationRun = "operation:run",
    /// Run operations that read from a device (get, discover).
    OperationGet = "operation:get",
    /// Run operations that change values.
    OperationSet = "operation:set",
    /// Run operations that add rows.
    OperationAdd = "operation:add",
    /// Run operations that delete rows.
    OperationDelete = "operation:delete",
    /// Run commands on devices.
    OperationOperate = "operation:operate",
    /// See files and their descriptions.
    FileRead = "file:read",
    /// Get what is in files; backups of devices hold passwords.
    FileDownload = "file:download",
    /// Upload, describe and remove files.
    FileWrite = "file:write",
    /// Read the event log and the live stream.
    EventRead = "event:read",
    /// See setup keys (never their secrets).
    SetupKeyRead = "setup-key:read",
    /// Create, edit and revoke setup keys.
    SetupKeyWrite = "setup-key:write",
    /// See certificates of devices, and the authority that issues them.
    CertificateRead = "certificate:read",
    /// Issue, rotate and revoke certificates of devices.
    CertificateWrite = "certificate:write",
    /// Create, list and revoke one's own API tokens.
    TokenWrite = "token:write",
    /// See the users of the tenant and all of its tokens.
    UserRead = "user:read",
    /// Create, edit and remove users; revoke their tokens.
    UserWrite = "user:write",
    /// See the tenant.
    TenantRead = "tenant:read",
    /// Edit the tenant.
    TenantWrite = "tenant:write",
    /// Create tenants and act in every one of them.
    PlatformWrite = "platform:write",
    /// See why a device is not seen: findings and refused connections.
    DoctorRead = "doctor:read",
    /// See version, listeners, limits and metrics.
    SystemRead = "system:read",
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| format!("there is no permission `{text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_reads_back_from_its_name() {
        for one in Permission::ALL {
            assert_eq!(one.as_str().parse::<Permission>().unwrap(), *one);
            assert_eq!(serde_json::to_value(one).unwrap(), one.as_str());
            assert!(!one.words().trim().is_empty());
        }
        assert!("device:shell".parse::<Permission>().is_err());
    }
}
