//! What devices say by themselves, whatever they speak.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Fault, PathValue, Protocol};

/// Why a device started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Boot {
    /// Command key of the command that made it start; empty when none did.
    pub command_key: String,
    /// `LocalReboot`, `RemoteReboot`, `LocalFactoryReset`, `RemoteFactoryReset`, ...
    pub cause: String,
    /// Free text of the device.
    pub reason: String,
    /// It runs another firmware than before.
    pub firmware_updated: bool,
    /// Parameters it brought along.
    pub parameters: Vec<PathValue>,
    /// Over which protocol it was told, where that is known. Of what was asked over another one, who tells it knows
    /// nothing: it starts, and why is a guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Protocol>,
}

/// What a device says by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// It started.
    Boot(Boot),
    /// A value is another one now.
    ValueChange {
        /// Full path.
        path: String,
        /// New value.
        value: String,
    },
    /// A row appeared.
    ObjectCreated {
        /// Instance path.
        path: String,
        /// Unique keys.
        keys: BTreeMap<String, String>,
    },
    /// A row went away.
    ObjectDeleted {
        /// Instance path.
        path: String,
    },
    /// An asynchronous command came to its end.
    CommandCompleted {
        /// Object of the command.
        object: String,
        /// Name, ends in `()`.
        command: String,
        /// The command key it was started with.
        key: String,
        /// Output arguments, or why it failed.
        result: Result<BTreeMap<String, String>, Fault>,
    },
    /// An asynchronous command came to its end, and the device did not say how (CWMP, a TransferComplete without a
    /// FaultCode).
    CommandOver {
        /// Object of the command.
        object: String,
        /// Name, ends in `()`.
        command: String,
        /// The command key it was started with.
        key: String,
        /// What it says of that.
        outputs: BTreeMap<String, String>,
    },
    /// It introduces itself.
    OnBoard {
        /// OUI of the maker, six upper-case hexadecimal digits.
        oui: String,
        /// Product class.
        product_class: String,
        /// Serial number.
        serial: String,
        /// Protocol versions it speaks.
        versions: String,
    },
    /// The periodic sign of life.
    Periodic,
    /// Any other event.
    Event {
        /// Object of the event.
        object: String,
        /// Name, ends in `!`.
        name: String,
        /// Arguments.
        params: BTreeMap<String, String>,
    },
}
