//! What is worth remembering: the kinds of events and what they carry.
//!
//! The log gives each a cursor when it stores it; here they have none.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{DeviceId, OperationId, TenantId};
use crate::time::Timestamp;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What happened. The names are part of the API and never change their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $name,)*
        }

        impl EventKind {
            /// All kinds.
            pub const ALL: &'static [EventKind] = &[$(Self::$name,)*];

            /// Its name in the log and the API.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

kinds! {
    /// A device was registered. Data: `name`, `endpoint`, `how`.
    DeviceCreated = "device.created",
    /// A device was changed by a person. Data: the changed fields.
    DeviceUpdated = "device.updated",
    /// A device was removed. Data: `name`.
    DeviceDeleted = "device.deleted",
    /// Two registrations turned out to be one device. Data: `from`, `identity`; by a person also
    /// `name` of the one that is gone.
    DeviceMerged = "device.merged",
    /// A management path went to a device of its own. Data: `transport`, `from`, `into`.
    DeviceSplit = "device.split",
    /// Another device may be the same one; a person decides. Data: `other`, `identity`, `reason`.
    DeviceMatchFound = "device.match_found",
    /// A person said that another device is not the same one. Data: `other`.
    DeviceMatchRejected = "device.match_rejected",
    /// A device got a name more. Data: `kind`, `value`.
    DeviceIdentified = "device.identified",
    /// A link was made. Data: `transport`, `peer`, `credential`.
    DeviceConnected = "device.connected",
    /// A link was lost. Data: `reason`.
    DeviceDisconnected = "device.disconnected",
    /// It has not been heard for longer than it should take, on an open link. Data: `heard_at`.
    DeviceSilent = "device.silent",
    /// Every way to ask it to come failed. Data: `reason`, `attempts` (`method`, `address`, `words`).
    DeviceWakeFailed = "device.wake_failed",
    /// A link was replaced by another one with the same endpoint id. Data: `peer`, `previous_peer`.
    DeviceTakenOver = "device.taken_over",
    /// A device introduced itself. Data: `oui`, `product_class`, `serial`, `versions`.
    DeviceOnboardRequest = "device.onboard_request",
    /// Onboarding came to its end. Data: `model`, `software_version`, `notes`.
    DeviceOnboarded = "device.onboarded",
    /// Onboarding stopped; it will be tried again. Data: `step`, `reason`.
    DeviceOnboardingFailed = "device.onboarding_failed",
    /// Its per-device credential was set or came into use. Data: `state`.
    DeviceCredential = "device.credential",
    /// A person entered the user name and password with which it is asked to come, or dropped them. Data: `state`
    /// (`entered`, `removed`), `username`.
    DeviceWakeCredential = "device.wake_credential",
    /// An operator let a device with the setup key in again. No data.
    DeviceReadmitted = "device.readmitted",
    /// It started. Data: `cause`, `command_key`, `reason`, `firmware_updated`, `over` (the protocol that told it).
    DeviceBooted = "device.booted",
    /// Its periodic sign of life. No data.
    DevicePeriodic = "device.periodic",
    /// A value changed by itself. Data: `path`, `value`.
    DeviceValueChanged = "device.value_changed",
    /// Its firmware is another one now. Data: `from`, `to`.
    DeviceFirmwareChanged = "device.firmware_changed",
    /// A row appeared. Data: `path`, `keys`.
    DeviceObjectCreated = "device.object_created",
    /// A row went away. Data: `path`.
    DeviceObjectDeleted = "device.object_deleted",
    /// An asynchronous command ended. Data: `command`, `key`, `outputs` or `fault`.
    DeviceCommandCompleted = "device.command_completed",
    /// Any other event of the device. Data: `event`, `params`.
    DeviceEvent = "device.event",
    /// Its supported model is known. Data: `objects`, `cached`.
    DeviceModelDiscovered = "device.model_discovered",
    /// It broke the protocol. Data: `reason`, `peer`, `transport`.
    DeviceMisbehaved = "device.misbehaved",
    /// A connection was refused. Data: `reason`, `detail`, `peer`, `endpoint`, `transport`.
    ConnectionRefused = "connection.refused",
    /// An operation was stored. Data: `kind`, `summary`.
    OperationQueued = "operation.queued",
    /// A node took it up. Data: `attempt`.
    OperationStarted = "operation.started",
    /// The device answered; the result is read back. No data.
    OperationVerifying = "operation.verifying",
    /// It goes back to the queue. Data: `reason`.
    OperationWaiting = "operation.waiting",
    /// It came to its end. Data: `state`, `cause`.
    OperationFinished = "operation.finished",
    /// A person asked to stop it. No data.
    OperationCancelRequested = "operation.cancel_requested",
    /// A file was put into the file service. Data: `file`, `name`, `kind`, `size`, `sha256`.
    FileCreated = "file.created",
    /// A file was described otherwise. Data: `file`, `name` and the changed fields.
    FileUpdated = "file.updated",
    /// A file was removed. Data: `file`, `name`.
    FileDeleted = "file.deleted",
    /// A device began to fetch or send a file. Data: `transfer`, `direction`, `name`, `peer`.
    TransferStarted = "transfer.started",
    /// Every byte of it went over the wire, or it cannot be done. Data: `transfer`, `direction`,
    /// `name`, `bytes`, `state`, `error`.
    TransferFinished = "transfer.finished",
    /// A tenant was made. Data: `name`.
    TenantCreated = "tenant.created",
    /// A tenant was changed. Data: the changed fields.
    TenantUpdated = "tenant.updated",
    /// A tenant was removed. Data: `name`.
    TenantDeleted = "tenant.deleted",
    /// A user was made. Data: `user`, `login`, `role`.
    UserCreated = "user.created",
    /// A user was changed. Data: `user` and the changed fields.
    UserUpdated = "user.updated",
    /// A user was removed. Data: `user`, `login`.
    UserDeleted = "user.deleted",
    /// Somebody signed in. Data: `user`.
    UserSignedIn = "user.signed_in",
    /// A password was changed. Data: `user`.
    UserPasswordChanged = "user.password_changed",
    /// A token was made. Data: `token`, `name`, `scopes`.
    TokenCreated = "token.created",
    /// A token was revoked. Data: `token`, `name`.
    TokenRevoked = "token.revoked",
    /// A setup key was made. Data: `setup_key`, `name`.
    SetupKeyCreated = "setup_key.created",
    /// A setup key was changed. Data: `setup_key` and the changed fields.
    SetupKeyUpdated = "setup_key.updated",
    /// A setup key was revoked. Data: `setup_key`, `name`.
    SetupKeyRevoked = "setup_key.revoked",
    /// A certificate was issued for a device. Data: `certificate`, `endpoint`, `serial`, `until`; of one that takes the
    /// place of another `replaces`.
    CertificateIssued = "certificate.issued",
    /// A device came with a certificate for the first time. Data: `certificate`, `endpoint`, `serial`.
    CertificateUsed = "certificate.used",
    /// A certificate was revoked. Data: `certificate`, `endpoint`, `serial`, `reason`.
    CertificateRevoked = "certificate.revoked",
}

impl std::str::FromStr for EventKind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .iter()
            .copied()
            .find(|k| k.as_str() == text)
            .ok_or(())
    }
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse()
            .map_err(|()| serde::de::Error::custom(format!("no event is called {text:?}")))
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Whose log it belongs to.
    pub tenant: TenantId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// To which device.
    pub device: Option<DeviceId>,
    /// Because of which operation.
    pub operation: Option<OperationId>,
    /// Who did it (`user:<login>`, `token:<name>`, `system`); empty for a device.
    pub actor: String,
    /// What the kind carries, an object.
    pub data: Value,
}

impl Event {
    /// An event without device, operation, actor and data.
    pub fn new(tenant: TenantId, at: Timestamp, kind: EventKind) -> Self {
        Self {
            tenant,
            at,
            kind,
            device: None,
            operation: None,
            actor: String::new(),
            data: Value::Object(serde_json::Map::new()),
        }
    }

    /// Of this device.
    #[must_use]
    pub fn device(mut self, device: DeviceId) -> Self {
        self.device = Some(device);
        self
    }

    /// Because of this operation.
    #[must_use]
    pub fn operation(mut self, operation: OperationId) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Done by.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = actor.into();
        self
    }

    /// Carrying.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_and_none_is_doubled() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in EventKind::ALL {
            assert!(seen.insert(kind.as_str()), "{kind} twice");
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            let json = serde_json::to_string(kind).unwrap();
            assert_eq!(serde_json::from_str::<EventKind>(&json).unwrap(), *kind);
        }
        assert!(serde_json::from_str::<EventKind>("\"device.exploded\"").is_err());
    }
}
