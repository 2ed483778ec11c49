//! Whether a device is there, derived from what was last heard of it; never stored as a truth.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::time::Timestamp;

/// What is known about a device's link: facts with their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// When the latest link was made.
    pub connected_at: Option<Timestamp>,
    /// When the latest link was lost. A link is open when this is not at or after `connected_at`.
    pub disconnected_at: Option<Timestamp>,
    /// When the device was last heard (message, pong, connect).
    pub heard_at: Option<Timestamp>,
}

impl Evidence {
    /// A link is open, as far as is known.
    pub fn linked(&self) -> bool {
        match (self.connected_at, self.disconnected_at) {
            (Some(up), Some(down)) => up > down,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// The newest time that says anything.
    pub fn newest(&self) -> Option<Timestamp> {
        self.connected_at
            .max(self.disconnected_at)
            .max(self.heard_at)
    }
}

/// How presence is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceConfig {
    /// A linked device not heard for this long is silent.
    pub silent_after: Duration,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            silent_after: limits::SILENT_AFTER,
        }
    }
}

/// What the evidence amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Linked and heard lately.
    Online,
    /// Linked, but not heard for longer than it should take.
    Silent,
    /// Not linked.
    Offline,
    /// Never seen.
    Never,
}

impl Presence {
    /// All of them, in the order an operator lists them.
    pub const ALL: [Presence; 4] = [Self::Online, Self::Silent, Self::Offline, Self::Never];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Silent => "silent",
            Self::Offline => "offline",
            Self::Never => "never",
        }
    }
}

impl std::str::FromStr for Presence {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|p| p.as_str() == text).ok_or(())
    }
}

/// Derives presence. Equivalent SQL: linked is `connected_at > coalesce(disconnected_at, -1)`,
/// heard lately is `heard_at >= now - silent_after`.
pub fn presence(evidence: &Evidence, now: Timestamp, config: &PresenceConfig) -> Presence {
    if evidence.newest().is_none() {
        return Presence::Never;
    }
    if !evidence.linked() {
        return Presence::Offline;
    }
    let heard = evidence
        .heard_at
        .max(evidence.connected_at)
        .unwrap_or_default();
    if now.since(heard) > config.silent_after {
        Presence::Silent
    } else {
        Presence::Online
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(millis))
    }

    #[test]
    fn presence_follows_the_evidence() {
        let config = PresenceConfig {
            silent_after: Duration::from_millis(100),
        };
        let now = Timestamp::from_millis(1_000);
        let of = |connected_at, disconnected_at, heard_at| {
            presence(
                &Evidence {
                    connected_at,
                    disconnected_at,
                    heard_at,
                },
                now,
                &config,
            )
        };
        assert_eq!(of(None, None, None), Presence::Never);
        assert_eq!(of(at(950), None, None), Presence::Online);
        assert_eq!(of(at(10), None, at(900)), Presence::Online);
        assert_eq!(of(at(10), None, at(899)), Presence::Silent);
        assert_eq!(of(at(10), at(990), at(990)), Presence::Offline);
        assert_eq!(of(at(999), at(990), at(990)), Presence::Online);
        assert_eq!(of(at(990), at(990), None), Presence::Offline);
    }

    #[test]
    fn presence_words_read_back() {
        for p in Presence::ALL {
            assert_eq!(p.as_str().parse::<Presence>(), Ok(p));
        }
        assert!("".parse::<Presence>().is_err());
    }
}
