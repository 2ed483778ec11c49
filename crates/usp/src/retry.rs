//! When to try again: the arithmetic that TR-369 uses for notifications and sessions alike
//! (R-NOT.1 to .4). Deliberately no clock and no entropy: the random number comes in.

use std::time::Duration;

use crate::limits;

/// How a notification is sent again until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Shortest wait before the first retry (`USPNotifRetryMinimumWaitInterval`).
    pub min_wait: Duration,
    /// Growth of the wait in thousandths (`USPNotifRetryIntervalMultiplier`).
    pub multiplier: u32,
    /// How long to go on (`NotifExpiration`); `None` until delivered.
    pub expires: Option<Duration>,
}

impl Default for RetryPolicy {
    /// The standard's defaults: 5 to 10 s, doubling, for ever.
    fn default() -> Self {
        Self {
            min_wait: Duration::from_secs(5),
            multiplier: 2000,
            expires: None,
        }
    }
}

impl RetryPolicy {
    /// Shortest and longest wait after attempt `n`, counted from 1:
    /// `m * (k/1000)^(n-1)` to `m * (k/1000)^n`, constant from the tenth on.
    pub fn range(&self, attempt: u32) -> (Duration, Duration) {
        let attempt = attempt.clamp(1, limits::RETRY_ATTEMPT_LAST);
        let factor = f64::from(self.multiplier.max(1000)) / 1000.0;
        let at = |exponent: u32| {
            let seconds = self.min_wait.as_secs_f64() * factor.powi(exponent as i32);
            Duration::from_secs_f64(seconds.min(limits::RETRY_WAIT_MAX.as_secs_f64()))
        };
        (at(attempt - 1), at(attempt))
    }

    /// The wait after attempt `n`, by a random number of any size.
    pub fn wait(&self, attempt: u32, random: u64) -> Duration {
        let (low, high) = self.range(attempt);
        low + (high - low).mul_f64(random as f64 / u64::MAX as f64)
    }
}

/// A stream of random numbers from one seed (SplitMix64); not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-NOT.2; `RETRY_ATTEMPT_LAST`
    #[test]
    fn waits_follow_the_standards_table() {
        let policy = RetryPolicy::default();
        let table = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120];
        for attempt in 1..=10 {
            let seconds = |at: usize| Duration::from_secs(table[at]);
            let at = attempt as usize;
            assert_eq!(
                policy.range(attempt),
                (seconds(at - 1), seconds(at)),
                "attempt {attempt}"
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
        for attempt in 1..20 {
            let (low, high) = policy.range(attempt);
            assert!((low..=high).contains(&policy.wait(attempt, random.next())));
        }
    }

    /// `RETRY_WAIT_MAX`
    #[test]
    fn absurd_policies_are_bounded() {
        let policy = RetryPolicy {
            min_wait: Duration::MAX,
            multiplier: u32::MAX,
            expires: None,
        };
        assert_eq!(policy.wait(10, u64::MAX), limits::RETRY_WAIT_MAX);
        let shrinking = RetryPolicy {
            multiplier: 1,
            ..RetryPolicy::default()
        };
        assert_eq!(shrinking.wait(5, 1), Duration::from_secs(5));
    }
}
