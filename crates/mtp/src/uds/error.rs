//! What can go wrong with a UNIX domain socket, and whose fault it is.

use std::{io, time::Duration};

use super::frame::Malformed;
use crate::outgoing::Stalled;
use crate::whole::TooSlow;

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer sent what is no frame. It has been told by an Error frame (R-UDS.24).
    #[error("the peer misbehaved: {0}")]
    PeerMisbehaved(#[from] Malformed),
    /// The peer gives up, for this reason (R-UDS.25).
    #[error("the peer gives up: {0}")]
    Refused(String),
    /// The peer did not read for too long while we had something to send.
    #[error("the peer has not read anything for {} s", .0.as_secs())]
    PeerStalled(Duration),
    /// The peer sent a piece of a frame and never the rest: [`RECORD_TIME_MAX`](crate::limits::RECORD_TIME_MAX). It has
    /// been told by an Error frame.
    #[error("what the peer sends was not whole {} s after it began (RECORD_TIME_MAX)", .0.as_secs())]
    PeerTrickles(Duration),
    /// The peer closed the socket.
    #[error("the peer closed the socket")]
    Gone,
    /// The operating system reported an error.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// The link was already closed, or the error was reported before.
    #[error("the link is closed")]
    ApiMisuse,
}

/// Why dialling failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// Nobody listens, or not for us.
    #[error("cannot connect to {path}: {reason}")]
    Connect {
        /// The socket file.
        path: String,
        /// Why not.
        reason: io::Error,
    },
    /// No handshake in time (R-UDS.18).
    #[error("no handshake within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The handshake of the other side names no endpoint, or another than is wanted.
    #[error("the handshake is not usable: {0}")]
    BadHandshake(String),
    /// The connection ended before the handshake was done.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Somebody else listens there.
    #[error("{0}: another process listens on this socket")]
    InUse(String),
    /// A file is there that is no socket; it is left alone.
    #[error("{0}: is there already and is no socket")]
    NotASocket(String),
    /// The operating system reported an error.
    #[error("{path}: {reason}")]
    Io {
        /// The socket file.
        path: String,
        /// What went wrong.
        reason: io::Error,
    },
}

impl From<TooSlow> for LinkError {
    fn from(TooSlow(limit): TooSlow) -> Self {
        Self::PeerTrickles(limit)
    }
}

impl From<Stalled> for LinkError {
    fn from(Stalled(limit): Stalled) -> Self {
        Self::PeerStalled(limit)
    }
}
