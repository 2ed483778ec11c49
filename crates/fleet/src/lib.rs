//! The domain of Headend: devices and who they are, operations and how they run, who may do what,
//! what is worth remembering.
//!
//! Pure on purpose: no sockets, no SQL, no clock, no randomness. Time, ids and chance come in as
//! arguments, so that every decision here can be tested in a loop with a seed. It knows nothing of
//! USP or any other wire protocol: those are adapters behind [`southbound::Southbound`].

pub mod auth;
pub mod device;
pub mod dispatch;
pub mod event;
pub mod id;
pub mod limits;
pub mod matching;
pub mod model;
pub mod onboarding;
pub mod operation;
pub mod plan;
pub mod presence;
pub mod secret;
pub mod southbound;
pub mod time;
pub mod transfer;

pub use device::{Device, Identity, IdentityKind};
pub use event::{Event, EventKind};
pub use id::{
    CertificateId, DeviceId, FileId, MatchId, NodeId, OperationId, SessionId, SetupKeyId, TenantId,
    TokenId, TransferId, UserId,
};
pub use operation::{Operation, OperationState};
pub use presence::Presence;
pub use southbound::{
    Answer, Fact, Failure, Fault, Job, Notice, Op, PathValue, Protocol, Southbound,
};
pub use time::{Now, Timestamp};
pub use transfer::{Direction, FileKind, TransferState};
