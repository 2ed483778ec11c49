//! How a peer is spoken with in session contexts. Deliberately no behaviour.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Identity;
use crate::record::PayloadSecurity;

/// Whether messages travel in session contexts (`E2ESession.SessionMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Never; a peer that tries is told 7106 (R-E2E.6a).
    #[default]
    Forbid,
    /// When the peer opens one.
    Allow,
    /// Always; a message outside of one is refused.
    Require,
}

/// Whether what a context carries is encrypted (`E2ESession.PayloadSecurity`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// Never.
    #[default]
    Plaintext,
    /// Always.
    Tls,
    /// As the peer has it; ours are in plain text. Once the peer has proved who it is in an encrypted one, always.
    Either,
}

impl Payload {
    pub(super) fn allows(self, security: PayloadSecurity) -> bool {
        match security {
            PayloadSecurity::PLAINTEXT => self != Self::Tls,
            PayloadSecurity::TLS12 => self != Self::Plaintext,
            _ => false,
        }
    }

    /// Of the contexts that we open, to a peer that was encrypted with before or was not.
    pub(super) fn ours(self, secured: bool) -> PayloadSecurity {
        match self {
            Self::Tls => PayloadSecurity::TLS12,
            Self::Either if secured => PayloadSecurity::TLS12,
            Self::Plaintext | Self::Either => PayloadSecurity::PLAINTEXT,
        }
    }
}

/// How a peer is spoken with in session contexts.
#[derive(Clone)]
pub struct Config {
    /// Whether at all.
    pub mode: Mode,
    /// Largest record to send, in bytes with everything in it (`MaxUSPRecordSize`); 0 sets no limit but our own.
    pub record_bytes_max: usize,
    /// How often one record is sent again (`MaxRetransmitTries`); `None` as often as it is asked for.
    pub retransmits_max: Option<u32>,
    /// Whether the transport may lose records, so that what nobody acknowledges is sent again unasked. Over WebSocket a
    /// record is lost only together with the connection, and a repetition could do nothing but harm.
    pub lossy: bool,
    /// How long a context may lie still before the next message opens another (`SessionExpiration`).
    pub expires: Option<Duration>,
    /// When the next context is opened after failures in a row (`SessionRetry..`, R-E2E.10).
    pub retry: dm::retry::RetryPolicy,
    /// Whether contexts are encrypted (`PayloadSecurity`).
    pub payload: Payload,
    /// Whether our records are signed, which they need not be where the transport protects them (R-E2E.28, .29).
    pub sign: bool,
    /// Key and certificate, for all of this.
    pub identity: Option<Arc<dyn Identity>>,
}

impl Default for Config {
    /// The data model's defaults, without identity and therefore in plain text.
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            record_bytes_max: 0,
            retransmits_max: Some(0),
            lossy: false,
            expires: None,
            retry: dm::retry::RetryPolicy::default(),
            payload: Payload::Plaintext,
            sign: false,
            identity: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("mode", &self.mode)
            .field("record_bytes_max", &self.record_bytes_max)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

/// What the configuration allows.
pub(super) struct Limit {
    /// How often one record may be sent again.
    pub(super) resends: u32,
    /// Bytes of payload in a record.
    pub(super) room: usize,
}
