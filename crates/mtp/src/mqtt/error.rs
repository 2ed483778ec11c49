//! What can go wrong with an MQTT connection, and whose fault it is.

use std::{io, time::Duration};

use super::packet::code;
use crate::{outgoing::Stalled, stream, ws::Violation};

/// Bytes that are no packet, or none that may be; says what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

impl Malformed {
    /// TLS where plaintext is spoken.
    pub const TLS: Self = Self("TLS on the listener without TLS");
    /// Neither 5.0 nor 3.1.1; the one mistake that has an answer of its own.
    pub const VERSION: Self = Self("a version of MQTT other than 5.0 and 3.1.1");
}

/// Why a link ended otherwise than by the peer's DISCONNECT.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer broke MQTT. It has been told, where there is a packet for it.
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
    /// The server ended it, for this reason (MQTT 5).
    #[error("the server closed the connection: {0}")]
    Closed(String),
    /// The connection ended without a DISCONNECT.
    #[error("the connection ended without a DISCONNECT")]
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
            None if stream::is_end(&error) => Self::Gone,
            None => Self::Io(error),
        }
    }

    /// The reason code of the DISCONNECT that tells the peer what it did.
    pub(super) fn told_as(&self) -> Option<u8> {
        match self {
            Self::PeerMisbehaved(_) => Some(code::PROTOCOL_ERROR),
            Self::LimitExceeded { limit, .. } => Some(code::of_limit(limit)),
            Self::PeerSilent(_) => Some(code::KEEP_ALIVE_TIMEOUT),
            _ => None,
        }
    }
}

impl From<Stalled> for LinkError {
    fn from(Stalled(limit): Stalled) -> Self {
        Self::PeerStalled(limit)
    }
}

impl From<Malformed> for LinkError {
    fn from(malformed: Malformed) -> Self {
        Self::PeerMisbehaved(malformed.0)
    }
}

/// The reason code of MQTT 5 in words.
pub fn code_words(code: u8) -> String {
    let words = match code {
        0x00 => "done",
        0x80 => "unspecified error",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x84 => "unsupported protocol version",
        0x85 => "client identifier not valid",
        0x86 => "bad user name or password",
        0x87 => "not authorized",
        0x88 => "server unavailable",
        0x89 => "server busy",
        0x8a => "banned",
        0x8b => "server shutting down",
        0x8c => "bad authentication method",
        0x8d => "keep alive timeout",
        0x8e => "session taken over",
        0x8f => "topic filter invalid",
        0x90 => "topic name invalid",
        0x95 => "packet too large",
        0x97 => "quota exceeded",
        0x98 => "administrative action",
        0x99 => "payload format invalid",
        0x9b => "QoS not supported",
        0x9f => "connection rate exceeded",
        _ => return format!("reason code {code}"),
    };
    words.to_owned()
}
