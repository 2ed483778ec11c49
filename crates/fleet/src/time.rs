//! Wall-clock time as the store and the API know it: milliseconds since the Unix epoch; and how it
//! goes together with the clock that timers run by, which is never set.
//!
//! Nothing here reads a clock.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Takes milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This much later (saturating).
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This much earlier (saturating).
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As a date and time in UTC; times outside the calendar's range become its ends.
    pub fn to_datetime(self) -> time::OffsetDateTime {
        let nanos = i128::from(self.0) * 1_000_000;
        time::OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(if self.0 < 0 {
            time::OffsetDateTime::UNIX_EPOCH
        } else {
            time::macros::datetime!(9999-12-31 23:59:59 UTC)
        })
    }

    /// From a date and time, cut to milliseconds.
    pub fn from_datetime(at: time::OffsetDateTime) -> Self {
        Self(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
    }
}

/// A moment by both clocks of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By the clock that only goes forward and evenly: for everything this node waits for.
    pub mono: Instant,
    /// By the calendar, which may be set at any time: for what is stored, shown, and compared
    /// between nodes.
    pub wall: Timestamp,
}

impl Now {
    /// The calendar as it went on evenly from `start`, whatever it was set to since.
    pub fn steady(self, start: Now) -> Timestamp {
        let passed = self.mono.saturating_duration_since(start.mono);
        start.wall.plus(passed)
    }

    /// This much later by the even clock.
    pub fn later(self, by: Duration) -> Instant {
        self.mono.checked_add(by).unwrap_or(self.mono)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.to_datetime();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339_with_milliseconds() {
        assert_eq!(
            Timestamp::from_millis(1_700_000_000_123).to_string(),
            "2023-11-14T22:13:20.123Z"
        );
        assert_eq!(Timestamp::from_millis(i64::MAX).to_datetime().year(), 9999);
    }

    #[test]
    fn a_clock_that_is_set_does_not_change_how_time_passes() {
        let start = Now {
            mono: Instant::now(),
            wall: Timestamp::from_millis(1_000_000),
        };
        let set_back = Now {
            mono: start.mono + Duration::from_secs(5),
            wall: Timestamp::from_millis(0),
        };
        assert_eq!(set_back.steady(start), Timestamp::from_millis(1_005_000));
        assert_eq!(start.steady(set_back), set_back.wall);
        assert_eq!(start.later(Duration::MAX), start.mono);
    }

    #[test]
    fn arithmetic_saturates_and_never_goes_negative() {
        let t = Timestamp::from_millis(1_000);
        assert_eq!(t.plus(Duration::from_secs(1)).as_millis(), 2_000);
        assert_eq!(t.minus(Duration::from_secs(2)).as_millis(), -1_000);
        assert_eq!(t.since(Timestamp::from_millis(5_000)), Duration::ZERO);
        assert_eq!(
            Timestamp::from_millis(i64::MAX).plus(Duration::MAX),
            Timestamp::from_millis(i64::MAX)
        );
        assert_eq!(Timestamp::from_datetime(t.to_datetime()), t);
    }
}
