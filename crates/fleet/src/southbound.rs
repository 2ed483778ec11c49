//! The seam to the devices: [`Op`]s go down, [`Fact`]s come up, in TR-181 terms.
//!
//! One vocabulary for every management protocol; an adapter translates. Paths are instantiated
//! TR-181 names (objects end in `.`, commands in `()`, events in `!`), values are text in TR-106 form.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, TenantId};
use crate::model::Model;
use crate::time::Timestamp;

mod notice;
mod protocol;

pub use notice::{Boot, Notice};
pub use protocol::{Links, Protocol};

/// A full parameter path and its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PathValue {
    /// Full path of the parameter.
    pub path: String,
    /// Value in TR-106 lexical form.
    pub value: String,
}

impl PathValue {
    /// A path and its value.
    pub fn new(path: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            value: value.into(),
        }
    }
}

/// A parameter by its name inside an object, and the value it shall have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Name relative to the object; nested single objects as `Sub.Param`.
    pub name: String,
    /// Value in TR-106 lexical form.
    pub value: String,
    /// When this one fails, the whole object fails.
    pub required: bool,
}

impl Setting {
    /// A required setting.
    pub fn required(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            required: true,
        }
    }
}

/// Settings of one object: the object to change, or the table to add a row to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSettings {
    /// Object path (ends in `.`), possibly a search path.
    pub object: String,
    /// What to set.
    pub settings: Vec<Setting>,
}

/// What a subscription on the device reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionKind {
    /// Changes of parameter values.
    ValueChange,
    /// New rows.
    ObjectCreation,
    /// Removed rows.
    ObjectDeletion,
    /// Ends of asynchronous commands.
    OperationComplete,
    /// Events such as `Device.Boot!`.
    Event,
}

/// A subscription the platform wants to exist on the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Our name for it on the device (unique per recipient).
    pub id: String,
    /// What it reports.
    pub kind: SubscriptionKind,
    /// Paths it watches.
    pub paths: Vec<String>,
    /// Survives a restart of the agent.
    pub persistent: bool,
    /// The agent repeats a notification until it is answered.
    pub retry: bool,
}

/// One thing to ask of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// Read values. Parameter, object or search paths.
    Get {
        /// What to read.
        paths: Vec<String>,
        /// Levels of objects below each path; 0 means all.
        max_depth: u32,
    },
    /// List the rows below tables, with their unique keys.
    Instances {
        /// Tables.
        paths: Vec<String>,
        /// Not the rows of tables inside the rows.
        first_level_only: bool,
    },
    /// Change values.
    Set {
        /// What to change, by object.
        objects: Vec<ObjectSettings>,
        /// Apply what can be applied; otherwise all or nothing.
        allow_partial: bool,
    },
    /// Add rows.
    Add {
        /// Tables and the settings of the new rows.
        objects: Vec<ObjectSettings>,
        /// Apply what can be applied; otherwise all or nothing.
        allow_partial: bool,
    },
    /// Remove rows.
    Delete {
        /// Rows to remove.
        paths: Vec<String>,
        /// Remove what can be removed; otherwise all or nothing.
        allow_partial: bool,
    },
    /// Run a command.
    Operate {
        /// Full path of the command, ends in `()`.
        command: String,
        /// Command key: fresh for every operation.
        key: String,
        /// Input arguments.
        args: BTreeMap<String, String>,
    },
    /// Ask which objects, parameters, commands and events the device supports.
    Discover {
        /// Where to start, for example `Device.`.
        path: String,
        /// Only this object and the names of its children.
        first_level_only: bool,
    },
    /// Make sure that a subscription exists.
    Subscribe {
        /// The subscription.
        subscription: Subscription,
    },
}

impl Op {
    /// Whether it may leave the device other than it was.
    pub fn changes(&self) -> bool {
        matches!(
            self,
            Op::Set { .. } | Op::Add { .. } | Op::Delete { .. } | Op::Operate { .. }
        )
    }

    /// A short name for logs and transcripts.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Get { .. } => "Get",
            Op::Instances { .. } => "GetInstances",
            Op::Set { .. } => "Set",
            Op::Add { .. } => "Add",
            Op::Delete { .. } => "Delete",
            Op::Operate { .. } => "Operate",
            Op::Discover { .. } => "Discover",
            Op::Subscribe { .. } => "Subscribe",
        }
    }
}

/// Why something was refused, in the device's own words or in ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}{message}", self.said_code().map(|code| format!("{code} ")).unwrap_or_default())]
pub struct Fault {
    /// The protocol's code (7000 to 7999 for USP); 0 where the device gave none. Of one of ours it is what the same from a
    /// device would be, and is told to nobody.
    pub code: u32,
    /// What is wrong.
    pub message: String,
    /// The device did not say so: nothing was sent, or this is what we make of what it answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ours: bool,
}

impl Fault {
    /// A code and a message of a device.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            ours: false,
        }
    }

    /// A refusal of our own, which counts as one of a device with this code.
    pub fn ours(code: u32, message: impl Into<String>) -> Self {
        Self {
            ours: true,
            ..Self::new(code, message)
        }
    }

    /// The code that the device said, if it said one.
    pub fn said_code(&self) -> Option<u32> {
        (!self.ours && self.code != 0).then_some(self.code)
    }
}

/// Why there is no [`Answer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "snake_case")]
pub enum Failure {
    /// The device refused the whole request; nothing changed.
    Refused {
        /// Why.
        fault: Fault,
        /// The paths it blames, where it says so.
        paths: Vec<(String, Fault)>,
    },
    /// It was handed to the transport and no answer came: it may or may not have happened.
    Lost {
        /// What was noticed (the link broke, the time ran out).
        reason: String,
    },
    /// It never left: nothing happened.
    Unsent {
        /// Why.
        reason: String,
    },
    /// It cannot be sent, now or later: nothing happened.
    Impossible {
        /// Why.
        reason: String,
    },
    /// The answer could not be understood: it may or may not have happened.
    Garbled {
        /// What was wrong with it.
        reason: String,
    },
}

/// The rows and keys below one requested path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Instance path, ends in `.`.
    pub path: String,
    /// Unique keys and their values, where readable.
    pub keys: BTreeMap<String, String>,
}

/// What became of one requested path of a read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadResult<T> {
    /// The path as it was requested.
    pub requested: String,
    /// What was found; an empty list is a success.
    pub result: Result<Vec<T>, Fault>,
}

/// What became of one parameter of a Set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteResult {
    /// Full path of the parameter, or the object when the whole object failed.
    pub path: String,
    /// The value after the change where the device tells, or why not.
    pub result: Result<Option<String>, Fault>,
    /// The device has taken it, and puts it in force when it starts again (CWMP, Status 1).
    pub after_restart: bool,
}

/// A row that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Instance path, ends in `.`.
    pub path: String,
    /// Its unique keys.
    pub keys: BTreeMap<String, String>,
    /// Settings that did not take, by name relative to the row.
    pub faults: Vec<(String, Fault)>,
    /// The device has taken it, or some of it, and puts that in force when it starts again (CWMP, Status 1).
    #[serde(default)]
    pub after_restart: bool,
}

/// What became of one object of an Add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddResult {
    /// The table as it was requested.
    pub requested: String,
    /// The new row, or why there is none.
    pub result: Result<Created, Fault>,
}

/// What became of one path of a Delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteResult {
    /// The path as it was requested.
    pub requested: String,
    /// What was removed (nothing is a success), or why not.
    pub result: Result<Vec<String>, Fault>,
    /// Matches that stayed.
    pub faults: Vec<(String, Fault)>,
    /// Of what was removed, what the device takes away when it starts again (CWMP, Status 1).
    #[serde(default)]
    pub after_restart: Vec<String>,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CommandOutcome {
    /// It ran; these are its output arguments.
    Done {
        /// Output arguments.
        outputs: BTreeMap<String, String>,
    },
    /// It runs; the end is announced by a notification.
    Accepted {
        /// The row of the Request table that stands for it.
        request: String,
    },
    /// It failed or was refused.
    Failed {
        /// Why.
        fault: Fault,
    },
}

/// One command that a (search) command path led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// Full path of the command that ran.
    pub command: String,
    /// What became of it.
    pub outcome: CommandOutcome,
}

/// What a device answered. An answer is not success: look inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", content = "of", rename_all = "snake_case")]
pub enum Answer {
    /// To [`Op::Get`].
    Values(Vec<ReadResult<PathValue>>),
    /// To [`Op::Instances`].
    Instances(Vec<ReadResult<Row>>),
    /// To [`Op::Set`].
    Set(Vec<WriteResult>),
    /// To [`Op::Add`].
    Added(Vec<AddResult>),
    /// To [`Op::Delete`].
    Deleted(Vec<DeleteResult>),
    /// To [`Op::Operate`].
    Operated(Vec<CommandResult>),
    /// To [`Op::Discover`].
    Model(Box<Model>),
    /// To [`Op::Subscribe`]: the row that stands for it.
    Subscribed(String),
}

/// Number of a job within one adapter; answers carry it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// One [`Op`] on its way down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Carried back by [`Fact::Done`].
    pub id: JobId,
    /// What to ask.
    pub op: Op,
    /// How long the device may take to answer.
    pub timeout: Duration,
    /// Remember what goes over the wire under this operation.
    pub transcript: Option<crate::id::OperationId>,
    /// Whose link it goes to. Another one that the device has is not asked instead.
    pub over: Protocol,
}

/// What an adapter reports about one device.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// The device can be asked things over this protocol now.
    Connected {
        /// Which.
        over: Protocol,
        /// When the link was made.
        at: Timestamp,
    },
    /// The device was heard (any message, a pong).
    Evidence {
        /// When.
        at: Timestamp,
    },
    /// The device cannot be asked over this protocol any more; every job that went there has its
    /// [`Fact::Done`].
    Disconnected {
        /// Which.
        over: Protocol,
        /// When the link was lost.
        at: Timestamp,
        /// Why, for people.
        reason: String,
    },
    /// The device said something, and it is stored.
    Notified {
        /// When it arrived.
        at: Timestamp,
        /// What.
        notice: Notice,
    },
    /// The device has said all that it had to say by itself; only where devices speak first.
    SaidAll {
        /// Over which protocol.
        over: Protocol,
        /// When.
        at: Timestamp,
    },
    /// Values the device told outside of an answer to a job.
    Values {
        /// When.
        at: Timestamp,
        /// Which.
        values: Vec<PathValue>,
    },
    /// The device's supported model is known (again).
    Model {
        /// When.
        at: Timestamp,
        /// The model.
        model: Box<Model>,
    },
    /// A job came to its end.
    Done {
        /// Which.
        job: JobId,
        /// How.
        result: Result<Answer, Failure>,
    },
}

/// An adapter to the devices of one protocol. Neither call waits; what happens comes back as [`Fact`]s.
pub trait Southbound: Send + Sync {
    /// Hands a job to the device's link; without one, [`Failure::Unsent`] follows.
    fn submit(&self, tenant: &TenantId, device: DeviceId, job: Job);

    /// [`Fact::Connected`] with this time is heard, and so is all that was reported before it: what is submitted from now
    /// on is meant for that link. A link that takes something before may be asked what counts as lost with an older one.
    fn known(&self, _: DeviceId, _over: Protocol, _at: Timestamp) {}

    /// Asks the device to come (a connection request, a dial), where the protocol can.
    fn wake(&self, tenant: &TenantId, device: DeviceId);

    /// Nothing is asked of the device over this protocol for now: a link that exists for questions only may end.
    fn rest(&self, _: &TenantId, _: DeviceId, _over: Protocol) {}
}
