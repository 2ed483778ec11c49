//! Session contexts in the data model: what `Controller.{i}.E2ESession.` says about how messages travel.
//! Deliberately no state machine: that is `usp`'s.

use std::sync::Arc;
use std::time::Duration;

use usp::context::{Config, Identity, Mode, Payload, Status};

use super::{CONTROLLERS, Engine};

/// The parameters of `E2ESession.` that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// `SessionMode`.
    pub mode: Mode,
    /// `SessionExpiration`, seconds; 0 is never.
    pub expires: u64,
    /// `SessionRetryMinimumWaitInterval` (seconds) and `SessionRetryIntervalMultiplier`.
    pub retry: (u64, u32),
    /// `MaxUSPRecordSize`, bytes; 0 is no limit.
    pub record_bytes_max: usize,
    /// `MaxRetransmitTries`; -1 is no limit.
    pub retransmits_max: i64,
    /// `PayloadSecurity`.
    pub payload: Payload,
}

impl SessionSettings {
    /// For the protocol's session, signing records or not.
    pub fn config(&self, identity: Option<Arc<dyn Identity>>, sign: bool) -> Config {
        Config {
            mode: self.mode,
            record_bytes_max: self.record_bytes_max,
            retransmits_max: u32::try_from(self.retransmits_max).ok(),
            expires: (self.expires > 0).then(|| Duration::from_secs(self.expires)),
            retry: dm::retry::RetryPolicy {
                min_wait: Duration::from_secs(self.retry.0),
                multiplier: self.retry.1,
            },
            payload: self.payload,
            sign,
            identity,
            ..Config::default()
        }
    }
}

impl Engine {
    pub(super) fn session_settings(&self, controller: u32) -> SessionSettings {
        let value = |name: &str| self.held(&format!("{CONTROLLERS}{controller}.E2ESession.{name}"));
        let number = |name: &str, otherwise: u64| value(name).parse().unwrap_or(otherwise);
        SessionSettings {
            mode: match value("SessionMode").as_str() {
                "Require" => Mode::Require,
                "Forbid" => Mode::Forbid,
                _ => Mode::Allow,
            },
            expires: number("SessionExpiration", 0),
            retry: (
                number("SessionRetryMinimumWaitInterval", 5),
                number("SessionRetryIntervalMultiplier", 2000) as u32,
            ),
            record_bytes_max: number("MaxUSPRecordSize", 0) as usize,
            retransmits_max: value("MaxRetransmitTries").parse().unwrap_or(0),
            payload: match value("PayloadSecurity").as_str() {
                "TLS" => Payload::Tls,
                _ => Payload::Plaintext,
            },
        }
    }

    /// Live values below `E2ESession.`.
    pub(super) fn session_value(&self, controller: u32, name: &str) -> Option<String> {
        let known = self.links.contexts.get(&controller);
        let (status, failures) = known.copied().unwrap_or_default();
        Some(match name {
            "Status" => match status {
                Status::Up => "Up",
                Status::Negotiating => "Negotiating",
                Status::Down => "Down",
            }
            .to_owned(),
            "CurrentRetryCount" => failures.to_string(),
            _ => return None,
        })
    }
}
