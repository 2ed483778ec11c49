//! Close codes and the named reasons this project closes links with.

use std::fmt;

/// A WebSocket close code (RFC 6455, 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// 1000: the purpose is fulfilled.
    Normal,
    /// 1001: the server goes down or the page is left.
    GoingAway,
    /// 1002: the peer broke the WebSocket protocol.
    Protocol,
    /// 1003: a text frame, or a Record that cannot be parsed (R-WS.14, R-WS.16).
    Unsupported,
    /// 1007: the payload is not what its type says.
    InvalidPayload,
    /// 1008: refused by a policy.
    Policy,
    /// 1009: larger than a limit.
    TooBig,
    /// 1011: our own failure.
    Internal,
    /// 1013: try again later.
    TryAgainLater,
    /// Any other.
    Other(u16),
}

impl CloseCode {
    /// The number on the wire.
    pub const fn as_u16(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::Protocol => 1002,
            Self::Unsupported => 1003,
            Self::InvalidPayload => 1007,
            Self::Policy => 1008,
            Self::TooBig => 1009,
            Self::Internal => 1011,
            Self::TryAgainLater => 1013,
            Self::Other(code) => code,
        }
    }

    /// May this code stand in a Close frame? (RFC 6455, 7.4.2; 1012 and 1014 by the registry.)
    pub(crate) const fn allowed_on_the_wire(self) -> bool {
        matches!(self.as_u16(), 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        match code {
            1000 => Self::Normal,
            1001 => Self::GoingAway,
            1002 => Self::Protocol,
            1003 => Self::Unsupported,
            1007 => Self::InvalidPayload,
            1008 => Self::Policy,
            1009 => Self::TooBig,
            1011 => Self::Internal,
            1013 => Self::TryAgainLater,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_u16().fmt(f)
    }
}

/// Reasons the two ends of this project give in a Close frame, so that they read the same in both
/// logs. Any other text is as good.
pub mod reason {
    /// 1000: the session ended as agreed.
    pub const DONE: &str = "done";
    /// 1001: this end shuts down.
    pub const SHUTTING_DOWN: &str = "shutting down";
    /// 1000: another session of the same pair of endpoints took over (R-WS.4).
    pub const REPLACED: &str = "replaced by another session of this endpoint";
    /// 1008: this session lost against one that already exists (R-WS.4).
    pub const DUPLICATE: &str = "another session of this endpoint exists";
    /// 1008: the Records come from another endpoint than the one admitted.
    pub const WRONG_ENDPOINT: &str = "endpoint id does not match the admitted one";
    /// 1008: the credential this session came in with no longer opens the door.
    pub const CREDENTIAL_WITHDRAWN: &str = "credential withdrawn";
    /// 1003: the payload of a binary message is no Record (R-WS.16).
    pub const UNPARSABLE_RECORD: &str = "unparsable USP record";
    /// 1003: USP is carried in binary messages only (R-WS.14).
    pub const TEXT: &str = "text message: USP records are binary";
    /// 1009: see [`crate::limits::RECORD_BYTES_MAX`].
    pub const RECORD_TOO_BIG: &str = "record larger than the limit";
    /// 1009: see [`crate::limits::FRAGMENTS_MAX`].
    pub const TOO_MANY_FRAGMENTS: &str = "record in more fragments than the limit";
    /// 1008: see [`crate::limits::RECORD_TIME_MAX`].
    pub const TOO_SLOW: &str = "record not whole within the limit";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_the_wire_and_the_forbidden_ones_are_known() {
        for code in 0..=u16::MAX {
            assert_eq!(CloseCode::from(code).as_u16(), code);
        }
        for forbidden in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
            assert!(
                !CloseCode::from(forbidden).allowed_on_the_wire(),
                "{forbidden}"
            );
        }
    }
}
