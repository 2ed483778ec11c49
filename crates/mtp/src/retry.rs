//! Counts failures towards a peer and says how long to wait (R-WS.19 to .21, and the same for other
//! transports): attempt `n` waits a random time in `[m*(k/1000)^(n-1), m*(k/1000)^n]`, and from the
//! tenth attempt on the interval grows no more. The arithmetic is [`usp::RetryPolicy`]'s. STOMP begins
//! one step earlier: its first attempt waits a random time in `[0, m]`.
//!
//! Pure: the randomness comes in, the waiting is the caller's.

use std::time::Duration;

use usp::RetryPolicy;

use crate::limits::{RETRY_INTERVAL_MULTIPLIER, RETRY_MINIMUM_WAIT};

/// Counts failed attempts towards one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    policy: RetryPolicy,
    /// The first attempt waits from zero on, and the table begins with the second.
    from_zero: bool,
    failures: u32,
}

impl Backoff {
    /// `minimum_wait` is `SessionRetryMinimumWaitInterval`; `interval_multiplier` is
    /// `SessionRetryIntervalMultiplier`, in thousandths, at least 1000.
    pub fn new(minimum_wait: Duration, interval_multiplier: u32) -> Self {
        Self {
            policy: RetryPolicy {
                min_wait: minimum_wait,
                multiplier: interval_multiplier.max(1000),
                expires: None,
            },
            from_zero: false,
            failures: 0,
        }
    }

    /// The shape of STOMP: `minimum_wait` is `ServerRetryInitialInterval`, the longest first wait.
    pub fn from_zero(minimum_wait: Duration, interval_multiplier: u32) -> Self {
        Self {
            from_zero: true,
            ..Self::new(minimum_wait, interval_multiplier)
        }
    }

    /// The wait after one more failure. `random` picks from the interval: 0 is its lower end,
    /// `u64::MAX` its upper.
    pub fn next(&mut self, random: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        match (self.from_zero, self.failures) {
            (true, 1) => self
                .policy
                .min_wait
                .mul_f64(random as f64 / u64::MAX as f64),
            (true, failures) => self.policy.wait(failures - 1, random),
            (false, failures) => self.policy.wait(failures, random),
        }
    }

    /// The interval attempt `n` (from 1) picks from.
    pub fn interval(&self, n: u32) -> (Duration, Duration) {
        match (self.from_zero, n) {
            (true, ..=1) => (Duration::ZERO, self.policy.min_wait),
            (true, n) => self.policy.range(n - 1),
            (false, n) => self.policy.range(n),
        }
    }

    /// How many attempts have failed since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A session was established (R-WS.21); a reboot resets by itself.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(RETRY_MINIMUM_WAIT, RETRY_INTERVAL_MULTIPLIER)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Longer than a week no wait is, whatever is multiplied.
    const WEEK: f64 = 7.0 * 24.0 * 3600.0;

    /// TP-469 7.8
    #[test]
    fn the_default_is_the_table_of_the_standard() {
        // R-WS.19, R-WS.20
        let backoff = Backoff::default();
        let lows = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 2560, 2560];
        for (n, low) in (1..).zip(lows) {
            let expected = (Duration::from_secs(low), Duration::from_secs(2 * low));
            assert_eq!(backoff.interval(n), expected, "attempt {n}");
        }
    }

    /// TP-469 6.3
    #[test]
    fn stomp_begins_anywhere_within_its_first_interval() {
        // TR-181 Device.STOMP.Connection.{i}.ServerRetryInitialInterval
        let s = Duration::from_secs;
        let mut backoff = Backoff::from_zero(s(60), 2000);
        let ranges = [(0, 60), (60, 120), (120, 240), (240, 480)];
        for (n, (low, high)) in (1..).zip(ranges) {
            assert_eq!(backoff.interval(n), (s(low), s(high)), "attempt {n}");
            assert_eq!(backoff.clone().next(0), s(low));
            assert_eq!(backoff.next(u64::MAX), s(high));
        }
        backoff.reset();
        assert_eq!(backoff.next(0), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn every_wait_lies_in_the_interval_of_its_attempt(
            minimum in 1_u64..65_536,
            multiplier in 1000_u32..65_536,
            random in prop::collection::vec(any::<u64>(), 1..15),
        ) {
            let mut backoff = Backoff::new(Duration::from_secs(minimum), multiplier);
            for (n, random) in (1_u32..).zip(random) {
                // The naive model: multiply step by step.
                let mut low = minimum as f64;
                for _ in 1..n.min(10) {
                    low *= f64::from(multiplier) / 1000.0;
                }
                let high = (low * f64::from(multiplier) / 1000.0).min(WEEK);
                let low = low.min(WEEK);
                let wait = backoff.next(random).as_secs_f64();
                prop_assert!(low * 0.999_999 <= wait && wait <= high * 1.000_001, "{low} {wait} {high}");
                prop_assert_eq!(backoff.failures(), n);
            }
            backoff.reset();
            prop_assert_eq!(backoff.next(0), Duration::from_secs(minimum));
        }
    }
}
