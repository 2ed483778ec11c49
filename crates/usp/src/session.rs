//! What both ends of a conversation share in words and small functions; the record layer itself is in `link.rs`.
//! Deliberately without any state of requests or notifications: those are the ends' own.

use std::collections::VecDeque;

use crate::error::{Error, ErrorCode, UspError};
use crate::limits;
use crate::record::{PayloadSecurity, RecordType};
use crate::wire::{DecodeError, DecodeErrorKind};

/// Which transport a session runs over: it decides which connect record is the right one (R-MTP.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// WebSocket.
    #[default]
    WebSocket,
    /// MQTT.
    Mqtt,
    /// STOMP.
    Stomp,
    /// UNIX domain socket.
    Uds,
}

impl Transport {
    /// Whether a record announces an agent on this transport.
    pub fn is_connect(self, record: &RecordType) -> bool {
        matches!(
            (self, record),
            (Self::WebSocket, RecordType::WebsocketConnect(_))
                | (Self::Mqtt, RecordType::MqttConnect(_))
                | (Self::Stomp, RecordType::StompConnect(_))
                | (Self::Uds, RecordType::UdsConnect(_))
        )
    }
}

/// What to do with signed records, and with others (R-E2E.30). Verifying takes an identity: see
/// [`crate::context::Config::identity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signatures {
    /// Drop signed records: nobody can tell whether they are right.
    #[default]
    Refuse,
    /// Treat them as unsigned.
    Disregard,
    /// Verify those there are.
    Verify,
    /// Drop what is neither signed nor has a MAC: the transport does not protect it (R-E2E.28).
    Demand,
}

/// Why an input changed nothing. To be counted, and shown with the peer's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// Addressed to somebody else (R-E2E.1).
    #[error("a record for {to}")]
    NotForUs {
        /// Whom it is for.
        to: String,
    },
    /// Says that we sent it (R-ARC.2).
    #[error("a record that claims to be from ourselves")]
    FromOurselves,
    /// Sent by somebody else than this channel's peer (R-SEC.10a).
    #[error("a record from {from}")]
    WrongSender {
        /// Who sent it.
        from: String,
    },
    /// Its record type is missing, doubled or unknown (R-ENC.4).
    #[error("a broken record: {0}")]
    BrokenRecord(DecodeError),
    /// Its version is not of our kind.
    #[error("a record of version `{0}`")]
    Version(String),
    /// It is signed, and we do not verify signatures (R-E2E.30).
    #[error("a signed record")]
    Signed,
    /// It is not signed, and nothing else protects it (R-E2E.29).
    #[error("a record without a signature")]
    Unsigned,
    /// Its signature is not good (R-E2E.30).
    #[error("a bad signature: {0}")]
    BadSignature(String),
    /// It is outside of a session context, and was answered with 7101.
    #[error("a record outside of a session context")]
    NoSessionContext,
    /// It is part of a session context, and was answered with 7106 (R-E2E.6a).
    #[error("a record of a session context")]
    SessionContext,
    /// Its payload is encrypted, or in an unknown way (R-E2E.41).
    #[error("a payload with the protection {0:?}")]
    PayloadSecurity(PayloadSecurity),
    /// It has no payload (R-E2E.26).
    #[error("an empty payload")]
    EmptyPayload,
    /// Its message cannot be read.
    #[error("a broken message: {0}")]
    BrokenMessage(Error),
    /// A message before the connect record, or after a disconnect (R-MTP.8).
    #[error("a message before the connect record")]
    BeforeConnect,
    /// A connect record of another transport, or sent by a controller.
    #[error("a connect record that does not belong here")]
    WrongConnect,
    /// An answer to nothing we wait for (R-MSG.9).
    #[error("an answer to `{msg_id}`, which nobody waits for")]
    Unmatched {
        /// Its id.
        msg_id: String,
    },
    /// A request that is being worked on (R-MSG.4).
    #[error("a repetition of `{msg_id}`")]
    Duplicate {
        /// Its id.
        msg_id: String,
    },
    /// A request that is not for our role; it was answered (R-MSG.1).
    #[error("a request that is not for us")]
    Unsupported {
        /// Its id.
        msg_id: String,
    },
    /// A request without an id, or with one too long to keep.
    #[error("a message without a usable id")]
    MsgId,
    /// More of something than we keep.
    #[error("the limit {0} is reached")]
    Limit(&'static str),
}

/// What to tell a requester whose message does not decode.
pub(crate) fn complaint(error: &Error) -> UspError {
    let code = match error {
        // R-MSG.1: a request of the future
        Error::InvalidMessage(DecodeError {
            kind: DecodeErrorKind::Unknown {
                field: "req_type", ..
            },
            ..
        }) => ErrorCode::MESSAGE_NOT_SUPPORTED,
        Error::LimitExceeded { .. } => ErrorCode::RESOURCES_EXCEEDED,
        // R-ENC.5
        _ => ErrorCode::INVALID_ARGUMENTS,
    };
    UspError::new(code, error.to_string())
}

pub(crate) fn usable(msg_id: &str) -> bool {
    !msg_id.is_empty() && msg_id.len() <= limits::MSG_ID_CHARS_MAX
}

/// The start of what a peer sent, for people.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Takes the first of a queue, and gives the heap of an empty one back: most sessions are idle.
pub(crate) fn pop<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if queue.is_empty() && queue.capacity() > 0 {
        *queue = VecDeque::new();
    }
    first
}

/// The earlier of two moments, where each may be absent.
pub(crate) fn earlier<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
