//! When to send again what nobody answered (R-NOT.1 to .4). The arithmetic is [`dm::retry`]'s, which TR-069 has too.

use std::time::Duration;

pub(crate) use dm::retry::Random;

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
        let dm::retry::RetryPolicy {
            min_wait,
            multiplier,
        } = dm::retry::RetryPolicy::default();
        Self {
            min_wait,
            multiplier,
            expires: None,
        }
    }
}

impl RetryPolicy {
    fn waits(&self) -> dm::retry::RetryPolicy {
        dm::retry::RetryPolicy {
            min_wait: self.min_wait,
            multiplier: self.multiplier,
        }
    }

    /// Shortest and longest wait after attempt `n`, counted from 1.
    pub fn range(&self, attempt: u32) -> (Duration, Duration) {
        self.waits().range(attempt)
    }

    /// The wait after attempt `n`, by a random number of any size.
    pub fn wait(&self, attempt: u32, random: u64) -> Duration {
        self.waits().wait(attempt, random)
    }
}
