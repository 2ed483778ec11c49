//! What can go wrong with a link or with dialling, and whose fault it is.

use std::{io, time::Duration};

use super::close::CloseCode;
use crate::outgoing::Stalled;

/// Why a link ended otherwise than by an orderly close of the peer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer broke RFC 6455 or sent a text message. It has been told by a Close frame.
    #[error("the peer misbehaved: {what} (closed with {code})")]
    PeerMisbehaved {
        /// What it did.
        what: &'static str,
        /// The code it was closed with.
        code: CloseCode,
    },
    /// The peer hit a limit of ours. It has been told by a Close frame.
    #[error("limit {limit} exceeded: more than {max} (closed with {code})")]
    LimitExceeded {
        /// The name of the limit, see [`crate::limits`].
        limit: &'static str,
        /// Its value.
        max: u64,
        /// The code the peer was closed with.
        code: CloseCode,
    },
    /// The peer did not read for too long while we had something to send.
    #[error("the peer has not read anything for {}", about(.0))]
    PeerStalled(Duration),
    /// The peer answered no ping.
    #[error("the peer has been silent for {} after a ping", about(.0))]
    PeerSilent(Duration),
    /// The peer sent a piece of a Record and never the rest: [`RECORD_TIME_MAX`](crate::limits::RECORD_TIME_MAX). It has
    /// been told by a Close frame.
    #[error("what the peer sends was not whole {} after it began (RECORD_TIME_MAX)", about(.0))]
    PeerTrickles(Duration),
    /// The connection ended without a closing handshake.
    #[error("the connection ended without a closing handshake")]
    Gone,
    /// The operating system or TLS reported an error.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// The link was already closed, by us or by an error reported before.
    #[error("the link is closed")]
    ApiMisuse,
}

/// A time in words: whole seconds, and below one second milliseconds.
fn about(time: &Duration) -> String {
    match time.as_millis() {
        short @ ..1_000 => format!("{short} ms"),
        long => format!("{} s", (long + 500) / 1_000),
    }
}

/// Why dialling failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The URL cannot be used.
    #[error("not a usable WebSocket URL: {0}")]
    BadUrl(String),
    /// The TLS part of the configuration cannot be used.
    #[error("TLS configuration: {0}")]
    BadTls(#[from] crate::tls::TlsError),
    /// The name has no address.
    #[error("cannot resolve {host}: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// Why not.
        reason: String,
    },
    /// No address of the name accepted the connection.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// The last address tried.
        address: String,
        /// Why not.
        reason: io::Error,
    },
    /// The TLS handshake failed.
    #[error("TLS handshake: {0}")]
    Tls(io::Error),
    /// Not done in time.
    #[error("not connected within {limit:?}: stopped while {stage}")]
    Timeout {
        /// What was being waited for.
        stage: &'static str,
        /// The time there was.
        limit: Duration,
    },
    /// The server answered with another status than 101.
    #[error("the server refuses with HTTP status {status}: {body}")]
    Refused {
        /// The status.
        status: u16,
        /// The beginning of the body, as text.
        body: String,
    },
    /// The server's answer is not a WebSocket upgrade, or not one for USP.
    #[error("the server is incompatible: {0}")]
    PeerIncompatible(&'static str),
    /// The server's answer is larger than a limit.
    #[error("limit {limit} exceeded by the server's answer")]
    LimitExceeded {
        /// The name of the limit.
        limit: &'static str,
    },
    /// The connection broke during the upgrade.
    #[error("connection lost during the upgrade: {0}")]
    Io(#[from] io::Error),
}

impl From<Stalled> for LinkError {
    fn from(Stalled(limit): Stalled) -> Self {
        Self::PeerStalled(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_in_whole_seconds() {
        let told = |micros| LinkError::PeerSilent(Duration::from_micros(micros)).to_string();
        let words = "the peer has been silent for 5 s after a ping";
        assert_eq!(told(5_000_565), words);
        assert_eq!(told(4_999_999), words);
        assert!(told(250_100).contains(" 250 ms "), "{}", told(250_100));
    }
}
