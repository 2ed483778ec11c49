//! What goes into a dispatcher and what comes out of it.

use std::time::Duration;

use crate::id::{DeviceId, OperationId, TenantId};
use crate::limits;
use crate::operation::{Operation, OperationState};
use crate::southbound::{Fact, Job, Notice, Protocol};
use crate::time::Timestamp;

/// How a dispatcher is set up.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Operations driven at the same time.
    pub in_flight_max: usize,
    /// Operations that only wait at the same time; with more, none is taken up.
    pub waiting_max: usize,
    /// How long a device may take to answer.
    pub answer_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            in_flight_max: limits::OPERATIONS_IN_FLIGHT_MAX,
            waiting_max: limits::OPERATIONS_WAITING_MAX,
            answer_timeout: limits::ANSWER_TIMEOUT,
        }
    }
}

/// How far the event log was read for what a device said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The number of the last event that was looked at.
    pub seq: u64,
    /// Of how many former ids of the device: with another one, what was said under it is new, too.
    pub former: usize,
}

/// What a device said, from the event log. Told twice is the same as told once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// What, and when.
    pub notices: Vec<(Timestamp, Notice)>,
    /// How far it was read: the next look goes on from there.
    pub to: Place,
}

/// An operation this node may work on.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The operation.
    pub operation: Operation,
    /// Every write for this claim carries it.
    pub fence: i64,
    /// What the device said since the operation was sent, from the event log.
    pub evidence: Said,
    /// A person asked to stop it while somebody held it, as the event log has it.
    pub cancelled: bool,
}

/// One write of an operation: its answer carries the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// The fence of the claim.
    pub fence: i64,
    /// No other write of this node has it: a slow answer is not taken for that of a later write.
    pub number: u64,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is durable.
    Durable,
    /// Another claim is newer; this node has lost the operation.
    Fenced,
    /// The store failed; it is not known whether it was written.
    Failed,
}

/// What the dispatcher is told.
#[derive(Debug)]
pub enum Input {
    /// A device can be asked things over this protocol.
    Reachable(TenantId, DeviceId, Protocol),
    /// It cannot any more; why.
    Unreachable(DeviceId, Protocol, String),
    /// There may be work for it.
    Wake(DeviceId),
    /// The answer to [`Command::Claim`]; `None` when there is nothing to claim.
    Claimed(DeviceId, Option<Box<Claimed>>),
    /// The claim could not be made now (the store failed, another node has it).
    ClaimFailed(DeviceId),
    /// The answer to [`Command::Save`].
    Saved(DeviceId, OperationId, Write, Saved),
    /// The answer to [`Command::Look`]: what the device said, from the event log; `None` when it cannot be read now.
    Looked(DeviceId, OperationId, i64, Option<Said>),
    /// The answer to [`Command::Renew`]; never taken for the one of a write that is under way too.
    Renewed(DeviceId, OperationId, i64, Saved),
    /// Something an adapter reported.
    Fact(TenantId, DeviceId, Fact),
    /// A person wants it stopped, and it is held by somebody.
    Cancel(DeviceId, OperationId),
    /// Time passed.
    Tick,
}

/// What the dispatcher wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Claim the oldest unfinished operation of this device.
    Claim {
        /// Whose.
        tenant: TenantId,
        /// Which.
        device: DeviceId,
        /// How long.
        lease_until: Timestamp,
    },
    /// Store this, if the fence still holds; release the lease where asked or final.
    Save {
        /// As it is now.
        operation: Box<Operation>,
        /// The state it was stored with before.
        previous: OperationState,
        /// For which claim, and which of its writes.
        write: Write,
        /// `None` gives the claim back.
        lease_until: Option<Timestamp>,
    },
    /// Read in the event log what the device said since this was sent, as for a claim.
    Look {
        /// As it is now.
        operation: Box<Operation>,
        /// The fence of the claim.
        fence: i64,
        /// From here on; what is before was heard.
        after: Place,
    },
    /// Hold the claim longer.
    Renew {
        /// Whose.
        tenant: TenantId,
        /// Of which device.
        device: DeviceId,
        /// Which operation.
        operation: OperationId,
        /// The fence of the claim.
        fence: i64,
        /// How long.
        lease_until: Timestamp,
    },
    /// Hand a job to the adapter.
    Submit {
        /// Whose.
        tenant: TenantId,
        /// To which device.
        device: DeviceId,
        /// What.
        job: Job,
    },
    /// Tell the adapter that nothing is asked of a device for now.
    Rest {
        /// Whose.
        tenant: TenantId,
        /// Which.
        device: DeviceId,
        /// Over which protocol.
        over: Protocol,
    },
}
