//! What goes into and comes out of a controller's session. Deliberately no behaviour.

use std::sync::Arc;

use super::registrations::{Registration, RegistrationToken};
use crate::context;
use crate::error::{Error, ErrorCode, UspError};
use crate::msg::{MsgType, Notify, Response};
use crate::record::RecordType;
use crate::session::{Ignored, Signatures, Transport};
use crate::version::{Version, Versions};
use crate::wire::DecodeError;

/// How a controller talks; shared by all its sessions.
#[derive(Clone, Debug)]
pub struct Config {
    /// The versions we speak.
    pub versions: Versions,
    /// The transport, which decides on the right connect record.
    pub transport: Transport,
    /// Requests sent and not answered, at most `WINDOW_MAX`.
    pub window: usize,
    /// Requests waiting, at most `QUEUE_MAX`.
    pub queue: usize,
    /// What to do with signed records.
    pub signatures: Signatures,
    /// How messages travel in session contexts.
    pub contexts: Arc<context::Config>,
    /// Whether agents may ask for Register and Deregister: this is a USP Broker. Otherwise they are refused.
    pub registrations: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            versions: Versions::default(),
            transport: Transport::WebSocket,
            window: 2,
            queue: 64,
            signatures: Signatures::default(),
            contexts: Arc::default(),
            registrations: false,
        }
    }
}

/// A request of this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// A notification to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotifyToken(pub(super) Option<u64>);

/// Whether a request was handed to the transport, and so may have had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The agent may have it.
    Yes,
    /// The agent cannot have it.
    No,
}

/// Why a request has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The agent answered with an Error message.
    #[error("{0}")]
    Refused(UspError),
    /// The agent answered with something that does not decode.
    #[error("the answer cannot be read: {0}")]
    Malformed(Error),
    /// The agent answered another kind of request.
    #[error("the answer is a {0:?}")]
    WrongResponse(MsgType),
    /// The agent disconnected before it answered.
    #[error("the agent disconnected")]
    Disconnected,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The agent is there and requests flow. Without a record for agents before 1.2, which do not
    /// announce themselves over WebSocket. Comes again when the agent restarts on the same channel.
    Connected {
        /// Its connect record.
        record: Option<RecordType>,
        /// The version it stamps on its records; features are not derived from it.
        version: Version,
    },
    /// The agent takes its leave; the channel may stay open. Everything known about an end-to-end
    /// session is void (R-MTP.7).
    Disconnected {
        /// Why.
        code: ErrorCode,
        /// Why, for people.
        reason: String,
    },
    /// The agent reports something. Store it, then call [`Session::acknowledge`](crate::controller::Session::acknowledge).
    Notified {
        /// To acknowledge it with.
        token: NotifyToken,
        /// Its message id.
        msg_id: String,
        /// What it says.
        notify: Notify,
    },
    /// A USP Service asks its broker. Answer it with
    /// [`Session::answer_registration`](crate::controller::Session::answer_registration).
    Registering {
        /// To answer it with.
        token: RegistrationToken,
        /// What it asks for.
        registration: Registration,
    },
    /// A request is answered. A response is not yet a success: see [`crate::outcome`].
    Answered {
        /// The request.
        id: RequestId,
        /// The answer.
        result: Result<Response, PeerError>,
    },
    /// A request was not answered in time. The usual end of an Operate without `send_resp`.
    TimedOut {
        /// The request.
        id: RequestId,
        /// Whether the agent may have it.
        sent: Sent,
    },
    /// We share no protocol version with the agent.
    Incompatible {
        /// The agent's versions.
        theirs: String,
    },
    /// Something about session contexts: one was opened, one failed.
    Context(context::Event),
    /// An input changed nothing.
    Ignored(Ignored),
}

impl From<DecodeError> for PeerError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.into())
    }
}
