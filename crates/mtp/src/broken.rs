//! What can go wrong with a connection of MQTT or STOMP, and whose fault it is.

use std::{io, time::Duration};

use crate::{outgoing::Stalled, stream, whole::TooSlow, ws::Violation};

/// Bytes that are no packet or frame, or none that may be; says what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Why a link ended otherwise than in good order.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer broke the protocol. It has been told, where there is a packet for it.
    #[error("the peer misbehaved: {0}")]
    PeerMisbehaved(&'static str),
    /// The peer hit a limit of ours.
    #[error("limit {limit} exceeded: more than {max}")]
    LimitExceeded {
        /// The name of the limit, see [`crate::limits`].
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// The peer did not read for too long while we had something to send.
    #[error("the peer has not read anything for {} s", .0.as_secs())]
    PeerStalled(Duration),
    /// Nothing was heard within the keep-alive time, or no answer to a ping came.
    #[error("the peer has been silent for {} s", .0.as_secs())]
    PeerSilent(Duration),
    /// The peer sent a piece of something and never the rest: [`RECORD_TIME_MAX`](crate::limits::RECORD_TIME_MAX).
    #[error("what the peer sends was not whole {} s after it began (RECORD_TIME_MAX)", .0.as_secs())]
    PeerTrickles(Duration),
    /// The server ended it, for this reason.
    #[error("the server closed the connection: {0}")]
    Closed(String),
    /// The connection ended without a word.
    #[error("the connection ended without a goodbye")]
    Gone,
    /// The operating system or TLS reported an error.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// The link was already closed.
    #[error("the link is closed")]
    ApiMisuse,
}

impl LinkError {
    /// What reading or writing has met.
    pub(crate) fn lost(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(Violation(what)) => Self::PeerMisbehaved(what),
            // No end that anybody meant.
            None if error.kind() == io::ErrorKind::ConnectionReset => Self::Io(error),
            None if stream::is_end(&error) => Self::Gone,
            None => Self::Io(error),
        }
    }
}

impl From<Stalled> for LinkError {
    fn from(Stalled(limit): Stalled) -> Self {
        Self::PeerStalled(limit)
    }
}

impl From<TooSlow> for LinkError {
    fn from(TooSlow(limit): TooSlow) -> Self {
        Self::PeerTrickles(limit)
    }
}

impl From<Malformed> for LinkError {
    fn from(malformed: Malformed) -> Self {
        Self::PeerMisbehaved(malformed.0)
    }
}
