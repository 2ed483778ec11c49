//! An operation: something a person or a rule asked of one device, and what became of it.
//!
//! The types here are what the store keeps. How an operation moves is in `machine`; who runs it,
//! and when, in [`crate::dispatch`].

mod add;
mod asking;
mod change;
mod file;
mod machine;
mod operate;
mod outcome;
mod scrub;
mod verify;

#[cfg(test)]
mod speaking_tests;
#[cfg(test)]
mod stopping_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::auth::Verb;
use crate::id::{DeviceId, OperationId, TenantId};
use crate::southbound::{Fault, PathValue, Protocol};
use crate::time::Timestamp;

pub use file::Went;
pub use machine::{Input, Step, retry_delay};
pub use operate::restarts;
pub use outcome::{Outcome, OutcomeState, PathOutcome};
pub(crate) use verify::is_search;
pub use verify::same_value;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Request {
    /// Read from the device.
    Get {
        /// Parameter, object or search paths.
        paths: Vec<String>,
        /// Levels of objects below each path; 0 means all.
        #[serde(default)]
        max_depth: u32,
    },
    /// Change values.
    Set {
        /// Full parameter paths and the values they shall have.
        values: Vec<PathValue>,
        /// Apply what can be applied; otherwise all or nothing.
        #[serde(default)]
        allow_partial: bool,
    },
    /// Add one row to a table.
    Add {
        /// The table, for example `Device.NAT.PortMapping.`.
        object: String,
        /// Values of the new row, by name relative to it.
        values: BTreeMap<String, String>,
    },
    /// Remove rows.
    Delete {
        /// Rows, end in `.`.
        paths: Vec<String>,
        /// Remove what can be removed; otherwise all or nothing.
        #[serde(default)]
        allow_partial: bool,
    },
    /// Run a command.
    Operate {
        /// Full path, ends in `()`.
        command: String,
        /// Input arguments.
        #[serde(default)]
        args: BTreeMap<String, String>,
    },
    /// Ask for the supported model again.
    Discover {
        /// Where to start, usually `Device.`.
        path: String,
    },
}

impl Request {
    /// The verb whose permission it needs.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Get { .. } | Self::Discover { .. } => Verb::Get,
            Self::Set { .. } => Verb::Set,
            Self::Add { .. } => Verb::Add,
            Self::Delete { .. } => Verb::Delete,
            Self::Operate { .. } => Verb::Operate,
        }
    }

    /// Its kind as a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Get { .. } => "get",
            Self::Set { .. } => "set",
            Self::Add { .. } => "add",
            Self::Delete { .. } => "delete",
            Self::Operate { .. } => "operate",
            Self::Discover { .. } => "discover",
        }
    }

    /// One line for lists and logs: paths, never values.
    pub fn summary(&self) -> String {
        let many = |paths: &mut dyn Iterator<Item = &str>, count: usize| {
            let first = paths.next().unwrap_or_default();
            if count > 1 {
                format!("{first} and {} more", count - 1)
            } else {
                first.to_owned()
            }
        };
        match self {
            Self::Get { paths, .. } | Self::Delete { paths, .. } => {
                many(&mut paths.iter().map(String::as_str), paths.len())
            }
            Self::Set { values, .. } => {
                many(&mut values.iter().map(|v| v.path.as_str()), values.len())
            }
            Self::Add { object, .. } => object.clone(),
            Self::Operate { command, .. } => command.clone(),
            Self::Discover { path } => path.clone(),
        }
    }

    /// Whether sending it twice does the same as sending it once.
    pub fn is_idempotent(&self) -> bool {
        !matches!(self, Self::Add { .. } | Self::Operate { .. })
    }

    /// Whether it only reads.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::Get { .. } | Self::Discover { .. })
    }
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Stored; nothing was sent.
    Queued,
    /// A node works on it, or worked on it and will again.
    Running,
    /// The device answered; the result is being proven.
    Verifying,
    /// Everything asked was done and read back.
    Succeeded,
    /// Some of it was done.
    Partly,
    /// None of it was done.
    Failed,
    /// Its time ran out before anything was sent.
    Expired,
    /// A person stopped it before anything was sent.
    Cancelled,
    /// It was sent and nobody can tell what became of it. A person or a rule decides.
    Unconfirmed,
}

impl OperationState {
    /// All states.
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

    /// Its name in the store and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Succeeded => "succeeded",
            Self::Partly => "partly",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Unconfirmed => "unconfirmed",
        }
    }

    /// Nothing will change any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::Verifying)
    }
}

impl std::str::FromStr for OperationState {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

impl std::fmt::Display for OperationState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the next thing to do is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Read what is there before the change.
    #[default]
    Before,
    /// Ask for the change (or the read).
    Act,
    /// Wait for the end of an asynchronous command, or for a device to start.
    Await,
    /// Read what is there after the change.
    ReadBack,
    /// The answer was lost: find out what happened.
    Reconcile,
}

/// How far an operation came; kept with it, so that another node (or this one after a crash)
/// continues without sending twice what must not be sent twice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// What to do next.
    pub phase: Phase,
    /// Sendings of the current phase without an answer.
    #[serde(default)]
    pub attempts: u32,
    /// How often what is asked for was sent: for people.
    #[serde(default)]
    pub tries: u32,
    /// Those of them that may have been carried out: neither refused as a whole nor held back.
    #[serde(default)]
    pub unresolved: u32,
    /// When the act may have left. For an Add or Operate this is stored before it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Over which protocol an Add or Operate goes: what became of it is asked nowhere else. Of the device's other side it
    /// would be found that nothing is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Protocol>,
    /// Rows the table had before an Add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_rows: Vec<String>,
    /// Rows an Add made or may have made; rows of the Request table of an asynchronous command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// When waiting or reconciling ends without a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Not before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// A person asked to stop it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel: bool,
    /// The device was asked to cancel the running command.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_sent: bool,
    /// It has answered that, one way or the other.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_heard: bool,
    /// Somebody stopped it and the device does not: until when its end is still waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<Timestamp>,
}

/// One operation on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its id; also its command key.
    pub id: OperationId,
    /// Whose it is.
    pub tenant: TenantId,
    /// On which device.
    pub device: DeviceId,
    /// What is asked.
    pub request: Request,
    /// Who asked (an event's actor).
    pub requester: String,
    /// When it was asked.
    pub created: Timestamp,
    /// When it is too late.
    pub expires: Timestamp,
    /// Where it stands.
    pub state: OperationState,
    /// How far it came.
    pub progress: Progress,
    /// What became of it so far.
    pub outcome: Outcome,
    /// When a node first took it up.
    pub started: Option<Timestamp>,
    /// When it came to its end.
    pub finished: Option<Timestamp>,
}

impl Operation {
    /// A new operation, queued.
    pub fn new(
        id: OperationId,
        tenant: TenantId,
        device: DeviceId,
        request: Request,
        requester: impl Into<String>,
        created: Timestamp,
        expires: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant,
            device,
            request,
            requester: requester.into(),
            created,
            expires,
            state: OperationState::Queued,
            progress: Progress::default(),
            outcome: Outcome::default(),
            started: None,
            finished: None,
        }
    }

    /// Whether the device has to come for it to go on: something is to be asked of it. Whoever waits
    /// for a start, or for the end of a command, hears of it by itself.
    pub fn wants_device(&self) -> bool {
        !self.state.is_final() && self.progress.phase != Phase::Await
    }

    /// The same, over this protocol.
    pub fn wants_device_over(&self, over: Protocol) -> bool {
        self.wants_device() && self.progress.over.is_none_or(|went| went == over)
    }

    /// It is taken up while the device is there over this one. What may have been sent stays with the protocol it went
    /// over; what was stored without one goes over any.
    pub(crate) fn take_up_over(&mut self, best: Option<Protocol>) {
        if self.request.is_idempotent() || self.progress.sent_at.is_some() {
            return;
        }
        if self.progress.over != best {
            // Rows are told apart by those that were there before, on the same side.
            self.progress.phase = Phase::Before;
        }
        self.progress.over = best;
    }

    /// When something must be decided even if nothing is heard: its expiry, or an earlier end of
    /// a wait. The store indexes it.
    pub fn due(&self) -> Timestamp {
        let earlier = [self.progress.deadline, self.progress.given_up];
        let earlier = earlier.into_iter().flatten();
        earlier.fold(self.expires, Timestamp::min)
    }

    /// The command key it uses on the device.
    pub fn command_key(&self) -> String {
        self.id.to_string()
    }

    fn fault(&mut self, fault: Fault) {
        self.outcome.fault.get_or_insert(fault);
    }
}
