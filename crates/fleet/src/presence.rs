//! Whether a device is there, derived from what was last heard of it; never stored as a truth.
//!
//! A device shows itself in two ways: by a link that stays open (USP), and by coming at intervals
//! (CWMP). One that does both is there when either says so.

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
    /// Of a device that comes at intervals: until when silence is normal.
    pub expected_by: Option<Timestamp>,
    /// It left as it was asked to, as for a restart: until when that is no loss.
    pub back_by: Option<Timestamp>,
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

    /// Of a device that comes at intervals: from when on it counts as gone. One that is late by less
    /// than the time it was given is only silent.
    pub fn lapses_at(&self) -> Option<Timestamp> {
        let by = self.expected_by?;
        let given = by.since(self.heard_at.unwrap_or(by));
        Some(by.plus(given))
    }

    /// Until when it is expected to be heard again, when it has no link: back from where it was sent, or at its interval.
    pub fn awaited_until(&self) -> Option<Timestamp> {
        if self.linked() {
            return None;
        }
        self.back_by.max(self.expected_by)
    }

    /// The newest time that says anything. Of a device that never had a link, the loss of one says nothing: it is
    /// noted when it did not come, which is no sign of life.
    pub fn newest(&self) -> Option<Timestamp> {
        let lost = self.disconnected_at.filter(|_| self.connected_at.is_some());
        self.connected_at.max(lost).max(self.heard_at)
    }
}

/// How presence is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceConfig {
    /// A linked device not heard for this long is silent.
    pub silent_after: Duration,
}

impl PresenceConfig {
    /// A link of whose device nobody has heard for this long is over, whoever held it.
    pub fn lapses_after(&self) -> Duration {
        self.silent_after * limits::SILENCES_MAX
    }
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            silent_after: limits::SILENT_AFTER,
        }
    }
}

/// What the evidence amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Linked and heard lately, or not yet expected again.
    Online,
    /// Linked, but not heard for longer than it should take; or late.
    Silent,
    /// Neither linked nor coming any more.
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

/// Derives presence. `store::device_list` says the same in SQL; a test of it compares the two.
pub fn presence(evidence: &Evidence, now: Timestamp, config: &PresenceConfig) -> Presence {
    if evidence.newest().is_none() {
        return Presence::Never;
    }
    let by_link = evidence.linked().then(|| {
        let heard = evidence.heard_at.max(evidence.connected_at);
        if now.since(heard.unwrap_or_default()) > config.silent_after {
            Presence::Silent
        } else {
            Presence::Online
        }
    });
    let by_interval = evidence.expected_by.map(|by| {
        if now <= by {
            Presence::Online
        } else if Some(now) <= evidence.lapses_at() {
            Presence::Silent
        } else {
            Presence::Offline
        }
    });
    let best = by_link.into_iter().chain(by_interval).min();
    best.unwrap_or(Presence::Offline)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(millis))
    }

    #[test]
    fn that_a_device_did_not_come_is_no_sign_of_life() {
        let at = |ms| Some(Timestamp::from_millis(ms));
        let mut evidence = Evidence {
            disconnected_at: at(900),
            heard_at: at(100),
            ..Evidence::default()
        };
        assert_eq!(evidence.newest(), at(100));
        // The end of a link is one: until then it was there.
        evidence.connected_at = at(50);
        assert_eq!(evidence.newest(), at(900));
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
                    ..Evidence::default()
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
    fn a_device_that_comes_at_intervals_is_online_until_it_is_late_and_gone_when_it_is_twice_as_late()
     {
        let of = |now, heard_at, expected_by| {
            let evidence = Evidence {
                heard_at: at(heard_at),
                expected_by: at(expected_by),
                ..Evidence::default()
            };
            let now = Timestamp::from_millis(now);
            presence(&evidence, now, &PresenceConfig::default())
        };
        assert_eq!(of(100, 100, 400), Presence::Online);
        assert_eq!(of(400, 100, 400), Presence::Online);
        assert_eq!(of(401, 100, 400), Presence::Silent);
        assert_eq!(of(700, 100, 400), Presence::Silent);
        assert_eq!(of(701, 100, 400), Presence::Offline);
        // Heard on a link meanwhile, which is gone.
        assert_eq!(of(400, 500, 400), Presence::Online);
        assert_eq!(of(401, 500, 400), Presence::Offline);
    }

    #[test]
    fn of_two_ways_the_one_that_says_more_counts() {
        let config = PresenceConfig {
            silent_after: Duration::from_millis(100),
        };
        let of = |now, linked: bool, heard_at, expected_by| {
            let evidence = Evidence {
                connected_at: at(10),
                disconnected_at: (!linked).then_some(at(20)).flatten(),
                heard_at: at(heard_at),
                expected_by: at(expected_by),
                ..Evidence::default()
            };
            presence(&evidence, Timestamp::from_millis(now), &config)
        };
        assert_eq!(of(500, false, 300, 600), Presence::Online);
        assert_eq!(of(500, true, 300, 600), Presence::Online);
        assert_eq!(of(700, true, 650, 600), Presence::Online);
        assert_eq!(of(700, true, 300, 600), Presence::Silent);
        assert_eq!(of(7_000, true, 300, 600), Presence::Silent);
        assert_eq!(of(7_000, false, 300, 600), Presence::Offline);
    }

    #[test]
    fn a_device_is_awaited_while_it_has_no_link() {
        let away = Evidence {
            connected_at: at(100),
            disconnected_at: at(200),
            back_by: at(900),
            ..Evidence::default()
        };
        assert_eq!(away.awaited_until(), at(900));
        let back = Evidence {
            connected_at: at(300),
            ..away
        };
        assert_eq!(back.awaited_until(), None);
        let both = Evidence {
            expected_by: at(950),
            ..away
        };
        assert_eq!(both.awaited_until(), at(950));
    }

    #[test]
    fn presence_words_read_back() {
        for p in Presence::ALL {
            assert_eq!(p.as_str().parse::<Presence>(), Ok(p));
        }
        assert!("".parse::<Presence>().is_err());
    }
}
