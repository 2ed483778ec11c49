//! What MQTT has words for: errors that a peer is told, and those that it tells.

use std::fmt;

use super::packet::{Version, code};
pub use crate::broken::{LinkError, Malformed};

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        })
    }
}

impl Malformed {
    /// TLS where plaintext is spoken.
    pub const TLS: Self = Self("TLS on the listener without TLS");
    /// Neither 5.0 nor 3.1.1; the one mistake that has an answer of its own.
    pub const VERSION: Self = Self("a version of MQTT other than 5.0 and 3.1.1");
}

/// The reason code of the DISCONNECT that tells the peer what it did.
pub(super) fn told_as(error: &LinkError) -> Option<u8> {
    match error {
        LinkError::PeerMisbehaved(_) => Some(code::PROTOCOL_ERROR),
        LinkError::LimitExceeded { limit, .. } => Some(code::of_limit(limit)),
        LinkError::PeerTrickles(_) => Some(code::QUOTA_EXCEEDED),
        LinkError::PeerSilent(_) => Some(code::KEEP_ALIVE_TIMEOUT),
        _ => None,
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
