//! When a CPE informs by itself: periodically, and when a ScheduleInform is due.
//! Deliberately only arithmetic on moments; what is raised then is the session's.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::limits;

/// The periodic inform (`PeriodicInformEnable`, `-Interval`, `-Time`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periodic {
    /// Seconds between informs, at least 1.
    pub interval: u32,
    /// A moment that some inform falls on, in the past or future; `None` for the Unknown Time,
    /// with which the CPE chooses.
    pub reference: Option<i64>,
}

impl Periodic {
    /// How long until the next inform. Without a reference or a clock it is a part of the
    /// interval by chance, so that a mass of devices spreads.
    pub fn first(&self, clock: Option<i64>, random: u64) -> Duration {
        let interval = i64::from(self.interval.max(1));
        match (self.reference, clock) {
            (Some(reference), Some(clock)) => {
                let passed = clock.saturating_sub(reference).rem_euclid(interval);
                Duration::from_secs((interval - passed).unsigned_abs())
            }
            _ => Duration::from_secs(interval.unsigned_abs())
                .mul_f64(random as f64 / u64::MAX as f64),
        }
    }
}

/// What is due when.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    periodic: Option<(Periodic, Instant)>,
    scheduled: Vec<(Instant, String)>,
}

impl Schedule {
    pub(super) fn set_periodic(
        &mut self,
        now: Instant,
        periodic: Option<Periodic>,
        clock: Option<i64>,
        random: u64,
    ) {
        self.periodic = periodic.map(|periodic| (periodic, now + periodic.first(clock, random)));
    }

    /// The clock was set, so a reference time means something else.
    pub(super) fn clock_set(&mut self, now: Instant, clock: i64) {
        if let Some((periodic, next)) = &mut self.periodic
            && periodic.reference.is_some()
        {
            *next = now + periodic.first(Some(clock), 0);
        }
    }

    pub(super) fn schedule(&mut self, due: Instant, command_key: String) -> Result<(), Error> {
        if self.scheduled.len() >= limits::SCHEDULED_INFORMS_MAX {
            return Err(Error::LimitExceeded {
                limit: "SCHEDULED_INFORMS_MAX",
                max: limits::SCHEDULED_INFORMS_MAX,
            });
        }
        self.scheduled.push((due, command_key));
        Ok(())
    }

    /// Whether a periodic inform is due, after which the next one is.
    pub(super) fn take_periodic(&mut self, now: Instant) -> bool {
        let Some((periodic, next)) = &mut self.periodic else {
            return false;
        };
        if *next > now {
            return false;
        }
        let interval = u64::from(periodic.interval.max(1));
        // Those that were missed are one.
        let missed = now.duration_since(*next).as_secs() / interval + 1;
        *next += Duration::from_secs(missed * interval);
        true
    }

    /// The command key of a scheduled inform that is due.
    pub(super) fn take_scheduled(&mut self, now: Instant) -> Option<String> {
        let at = self.scheduled.iter().position(|(due, _)| *due <= now)?;
        Some(self.scheduled.remove(at).1)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let periodic = self.periodic.map(|(_, next)| next);
        self.scheduled
            .iter()
            .map(|(due, _)| *due)
            .chain(periodic)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periodic_informs_fall_on_the_reference_time() {
        let daily = Periodic {
            interval: 86_400,
            reference: Some(7 * 3600),
        };
        let seconds = |clock| daily.first(Some(clock), 0).as_secs();
        assert_eq!(seconds(6 * 3600), 3600);
        assert_eq!(seconds(8 * 3600), 23 * 3600);
        // Just now: the next one.
        assert_eq!(seconds(7 * 3600), 86_400);
        // Before the reference, and before 1970.
        assert_eq!(seconds(0), 7 * 3600);
        assert_eq!(seconds(-86_400), 7 * 3600);
        assert!(daily.first(Some(i64::MIN), 0).as_secs() > 0);
    }

    #[test]
    fn without_a_reference_or_clock_the_phase_is_chance() {
        let hourly = Periodic {
            interval: 3600,
            reference: None,
        };
        assert_eq!(hourly.first(Some(5), 0), Duration::ZERO);
        assert_eq!(hourly.first(None, u64::MAX).as_secs(), 3600);
    }

    #[test]
    fn informs_that_were_missed_are_one() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut schedule = Schedule::default();
        let minutely = Periodic {
            interval: 60,
            reference: Some(0),
        };
        schedule.set_periodic(now, Some(minutely), Some(30), 0);
        assert_eq!(schedule.poll_timeout(), Some(at(30)));
        assert!(!schedule.take_periodic(at(29)));
        assert!(schedule.take_periodic(at(200)));
        assert!(!schedule.take_periodic(at(200)));
        assert_eq!(schedule.poll_timeout(), Some(at(210)));
        schedule.clock_set(at(200), 59);
        assert_eq!(schedule.poll_timeout(), Some(at(201)));
    }

    /// `SCHEDULED_INFORMS_MAX`
    #[test]
    fn scheduled_informs_are_bounded() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for key in 0..limits::SCHEDULED_INFORMS_MAX {
            assert_eq!(schedule.schedule(now, key.to_string()), Ok(()));
        }
        assert!(schedule.schedule(now, "more".into()).is_err());
        assert_eq!(schedule.take_scheduled(now).as_deref(), Some("0"));
    }
}
