//! When to ping, and when silence means that the peer is gone (R-WS.17, R-WS.18).

use std::time::{Duration, Instant};

use super::error::LinkError;
use crate::limits::{KEEP_ALIVE_INTERVAL, PONG_TIME_MAX};

/// How a link looks after its peer. Pings of the peer are answered in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    interval: Duration,
    when_quiet: bool,
    pong_time_max: Duration,
}

impl KeepAlive {
    /// No pings of our own.
    pub const fn off() -> Self {
        Self::every(Duration::ZERO)
    }

    /// A ping each `interval`, whatever else is going on: what R-WS.17 asks of an Agent. Zero is
    /// [`KeepAlive::off`].
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            when_quiet: false,
            pong_time_max: PONG_TIME_MAX,
        }
    }

    /// A ping when nothing was heard for `interval`: enough for a Controller, whose Agents ping.
    pub const fn when_quiet(interval: Duration) -> Self {
        Self {
            interval,
            when_quiet: true,
            pong_time_max: PONG_TIME_MAX,
        }
    }

    /// How long the peer may stay silent after a ping; [`PONG_TIME_MAX`] unless set.
    pub const fn pong_time_max(mut self, time: Duration) -> Self {
        self.pong_time_max = time;
        self
    }
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self::every(KEEP_ALIVE_INTERVAL)
    }
}

/// The state behind it.
#[derive(Debug)]
pub(super) struct Pulse {
    rule: KeepAlive,
    pinged: Instant,
    heard: Instant,
    waiting: bool,
}

impl Pulse {
    pub(super) fn new(rule: KeepAlive, now: Instant) -> Self {
        Self {
            rule,
            pinged: now,
            heard: now,
            waiting: false,
        }
    }

    pub(super) fn heard_at(&self) -> Instant {
        self.heard
    }

    pub(super) fn set_rule(&mut self, rule: KeepAlive) {
        self.rule = rule;
    }

    /// Any byte is a sign of life: a pong may stand in line behind a long Record.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.waiting = false;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        if self.waiting {
            return Some(self.pinged + self.rule.pong_time_max);
        }
        let from = match self.rule.when_quiet {
            true => self.heard.max(self.pinged),
            false => self.pinged,
        };
        (!self.rule.interval.is_zero()).then(|| from + self.rule.interval)
    }

    /// Says whether a ping is due at `now`.
    pub(super) fn due(&mut self, now: Instant) -> Result<bool, LinkError> {
        match self.next() {
            Some(at) if at <= now && self.waiting => Err(LinkError::PeerSilent(
                now.saturating_duration_since(self.pinged),
            )),
            Some(at) if at <= now => {
                self.pinged = now;
                self.waiting = true;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_agent_pings_each_interval_even_when_it_hears_much() {
        // R-WS.17
        let start = Instant::now();
        let mut pulse = Pulse::new(KeepAlive::every(MINUTE), start);
        for n in 1..5 {
            let due = start + MINUTE * n;
            pulse.heard(due - Duration::from_secs(1));
            assert_eq!(pulse.next(), Some(due));
            assert!(!pulse.due(due - Duration::from_millis(1)).unwrap());
            assert!(pulse.due(due).unwrap());
        }
    }

    #[test]
    fn a_controller_pings_only_into_silence_and_gives_up_after_it() {
        let start = Instant::now();
        let mut pulse = Pulse::new(KeepAlive::when_quiet(MINUTE), start);
        pulse.heard(start + MINUTE);
        assert_eq!(pulse.next(), Some(start + 2 * MINUTE));
        assert!(pulse.due(start + 2 * MINUTE).unwrap());
        assert_eq!(pulse.next(), Some(start + 2 * MINUTE + PONG_TIME_MAX));
        let error = pulse.due(start + 2 * MINUTE + PONG_TIME_MAX).unwrap_err();
        assert!(matches!(error, LinkError::PeerSilent(time) if time == PONG_TIME_MAX));
    }

    #[test]
    fn an_interval_of_zero_means_no_pings() {
        assert_eq!(Pulse::new(KeepAlive::off(), Instant::now()).next(), None);
    }
}
