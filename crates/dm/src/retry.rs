//! When to try again: the table of waits that TR-069 (sessions) and TR-369 (notifications, links) have in common.
//! Deliberately no clock and no entropy: the random number comes in.

use std::time::Duration;

use crate::limits::{RETRY_ATTEMPT_LAST, RETRY_WAIT_MAX};

/// How the wait grows from one failure to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Shortest wait before the first retry (`..RetryMinimumWaitInterval`).
    pub min_wait: Duration,
    /// Growth of the wait in thousandths (`..RetryIntervalMultiplier`), at least 1000.
    pub multiplier: u32,
}

impl Default for RetryPolicy {
    /// The standards' defaults: 5 to 10 s, doubling.
    fn default() -> Self {
        Self {
            min_wait: Duration::from_secs(5),
            multiplier: 2000,
        }
    }
}

impl RetryPolicy {
    /// Shortest and longest wait after failure `n`, counted from 1:
    /// `m * (k/1000)^(n-1)` to `m * (k/1000)^n`, constant from the tenth on.
    pub fn range(&self, failure: u32) -> (Duration, Duration) {
        let failure = failure.clamp(1, RETRY_ATTEMPT_LAST);
        let factor = f64::from(self.multiplier.max(1000)) / 1000.0;
        let longest = RETRY_WAIT_MAX.as_secs_f64();
        let at = |exponent: u32| {
            let seconds = self.min_wait.as_secs_f64() * factor.powi(exponent as i32);
            Duration::from_secs_f64(seconds.min(longest))
        };
        (at(failure - 1), at(failure))
    }

    /// The wait after failure `n`; `random` picks from the range: 0 is its lower end, `u64::MAX` its upper.
    pub fn wait(&self, failure: u32, random: u64) -> Duration {
        let (low, high) = self.range(failure);
        low + (high - low).mul_f64(random as f64 / u64::MAX as f64)
    }
}

/// A stream of random numbers from one seed (SplitMix64), for waits; not for secrets.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next one.
    #[allow(clippy::should_implement_trait)] // It has no end.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-NOT.2, R-WS.19, R-WS.20; `RETRY_ATTEMPT_LAST`
    #[test]
    fn waits_follow_the_standards_table() {
        let policy = RetryPolicy::default();
        let table = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120];
        for failure in 1..=10 {
            let seconds = |at: usize| Duration::from_secs(table[at]);
            let at = failure as usize;
            assert_eq!(
                policy.range(failure),
                (seconds(at - 1), seconds(at)),
                "{failure}"
            );
        }
        assert_eq!(policy.range(11), policy.range(10));
        assert_eq!(policy.range(u32::MAX), policy.range(10));
    }

    #[test]
    fn a_wait_is_random_within_its_range() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait(1, 0), Duration::from_secs(5));
        assert_eq!(policy.wait(1, u64::MAX), Duration::from_secs(10));
        let mut random = Random(7);
        for failure in 0..20 {
            let (low, high) = policy.range(failure);
            assert!((low..=high).contains(&policy.wait(failure, random.next())));
        }
    }

    /// `RETRY_WAIT_MAX`
    #[test]
    fn absurd_policies_are_bounded() {
        let policy = RetryPolicy {
            min_wait: Duration::MAX,
            multiplier: u32::MAX,
        };
        assert_eq!(policy.wait(10, u64::MAX), RETRY_WAIT_MAX);
        let shrinking = RetryPolicy {
            multiplier: 1,
            ..RetryPolicy::default()
        };
        assert_eq!(shrinking.wait(5, 1), Duration::from_secs(5));
    }
}
