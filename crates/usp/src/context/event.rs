//! What comes out of session contexts. Deliberately no behaviour.

use super::integrity::Fingerprint;
use super::sar::SarError;

/// A message given to [`super::Context::send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(super) u64);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session context begins; the one before is over.
    Opened {
        /// Its number.
        session_id: u64,
        /// Whether we opened it.
        by_us: bool,
    },
    /// The peer has proved who it is by this certificate, in TLS or by the signature of a record. Whether that counts
    /// for whoever it is said to be, others know.
    Proved(Fingerprint),
    /// A message of the peer, encoded: each once, in order.
    Message(Vec<u8>),
    /// A message of ours has arrived.
    Acknowledged(MessageId),
    /// A message of ours was sent, and nobody knows whether it arrived.
    Unconfirmed(MessageId),
    /// A session context is over.
    Failed(Failure),
}

/// Why a session context ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A number that a session must not have (R-E2E.24).
    #[error("a session id that is not allowed")]
    SessionId,
    /// A MAC or signature is wrong, or missing where one is due (R-E2E.23).
    #[error("a record without integrity")]
    Integrity,
    /// The protection of the payload differs from the context's, or is not ours (R-E2E.19).
    #[error("a payload with another protection")]
    Security,
    /// More than one payload where one belongs.
    #[error("a plain record with several payloads")]
    Payloads,
    /// The peer expects what we never sent.
    #[error("an acknowledgement of what was never sent")]
    Expected,
    /// Pieces that do not make a message.
    #[error("{0}")]
    Segments(SarError),
    /// A record that never came.
    #[error("record {0} is missing")]
    Missing(u64),
    /// The peer wants a record again that we do not have.
    #[error("record {0} is asked for and not there")]
    Unknown(u64),
    /// The peer wants a record again too often.
    #[error("record {0} is asked for too often")]
    Retransmits(u64),
    /// The peer says nothing: while keys are exchanged, or at all.
    #[error("the peer does not answer in it")]
    Silence,
    /// TLS does not work out.
    #[error("TLS: {0}")]
    Tls(String),
    /// The numbers of records come to their end (R-E2E.8).
    #[error("its numbers are used up")]
    Exhausted,
    /// The peer ended it (R-E2E.6b).
    #[error("the peer ended it: {0}")]
    Terminated(String),
    /// The peer goes on in a context that is over.
    #[error("the peer goes on in an ended context")]
    Ended,
    /// More of something than we keep.
    #[error("the limit {0} is reached")]
    Limit(&'static str),
    /// Somebody asked for a new one.
    #[error("reset")]
    Reset,
}

/// How it stands, for operators (`E2ESession.Status`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// There is none.
    #[default]
    Down,
    /// Opened, and not answered yet; or about to be opened again after a failure.
    Negotiating,
    /// Both sides take part.
    Up,
}
