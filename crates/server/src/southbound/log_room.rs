//! Room in the event log for what devices say: each has a burst, then a steady rate, so that one that runs away fills no
//! disk and takes no room of the others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fleet::{DeviceId, Event, EventKind};
use store::limits::EVENT_BYTES_MAX;

use super::limits::{
    DEVICE_LOG_BURST, DEVICE_LOG_PER_SECOND, DEVICE_LOG_RESERVE, LOG_ROOM_SWEEP_EVERY,
    LOG_ROW_BYTES,
};

/// What the doctor calls it when there is none.
pub const FILLED: &str = "event-log-filled";

/// What a device is told, and the doctor, when there is none.
pub const NO_ROOM: &str =
    "it has filled the event log faster than a device may, and what it says is not kept for now";

/// The room of all devices.
#[derive(Debug, Default)]
pub struct LogRoom(Mutex<Filled>);

/// When what a device has filled is forgotten; devices that are not in it have filled nothing.
#[derive(Debug, Default)]
struct Filled {
    until: HashMap<DeviceId, Instant>,
    swept: Option<Instant>,
}

/// Room that was taken, to be given back where nothing was written.
#[derive(Debug)]
#[must_use]
pub struct Taken {
    device: DeviceId,
    time: Duration,
}

impl LogRoom {
    /// Takes room for these events of the device; `None` where there is none. The starts of a device, its introduction
    /// and the ends of commands have a reserve: operations wait for them.
    pub fn take(&self, device: DeviceId, events: &[Event]) -> Option<Taken> {
        self.take_at(Instant::now(), device, events)
    }

    fn take_at(&self, now: Instant, device: DeviceId, events: &[Event]) -> Option<Taken> {
        let bytes: usize = events.iter().map(bytes).sum();
        let reserve = match events.iter().any(|event| decides(event.kind)) {
            true => DEVICE_LOG_RESERVE,
            false => 0,
        };
        let time = lasts(bytes);
        let mut filled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        filled.sweep(now);
        let before = filled.until.get(&device).copied().unwrap_or(now).max(now);
        let until = before + time;
        if until - now > lasts(DEVICE_LOG_BURST + reserve) {
            return None;
        }
        filled.until.insert(device, until);
        Some(Taken { device, time })
    }

    /// Nothing was written: it has been before, or could not be.
    pub fn give_back(&self, taken: Taken) {
        let mut filled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = filled.until.get_mut(&taken.device) {
            *until = until.checked_sub(taken.time).unwrap_or(*until);
        }
    }
}

impl Filled {
    fn sweep(&mut self, now: Instant) {
        let swept = *self.swept.get_or_insert(now);
        if now.saturating_duration_since(swept) >= LOG_ROOM_SWEEP_EVERY {
            self.until.retain(|_, until| *until > now);
            self.swept = Some(now);
        }
    }
}

/// What an event takes. Of one that is too large the log keeps that it came.
fn bytes(event: &Event) -> usize {
    event.data.to_string().len().min(EVENT_BYTES_MAX) + LOG_ROW_BYTES
}

/// How long so many bytes count.
fn lasts(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64) / DEVICE_LOG_PER_SECOND
}

fn decides(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::DeviceBooted
            | EventKind::DeviceOnboardRequest
            | EventKind::DeviceCommandCompleted
    )
}

#[cfg(test)]
mod tests {
    use fleet::{TenantId, Timestamp};

    use super::*;

    const DEVICE: DeviceId = DeviceId(uuid::Uuid::nil());

    fn event(kind: EventKind, size: usize) -> Event {
        let tenant = TenantId::parse("acme").unwrap();
        Event::new(tenant, Timestamp::default(), kind).data(serde_json::json!("x".repeat(size)))
    }

    /// How many events of a size there is room for, each for itself.
    fn fit(room: &LogRoom, now: Instant, kind: EventKind, size: usize) -> usize {
        let events = [event(kind, size)];
        (0..100_000)
            .take_while(|_| room.take_at(now, DEVICE, &events).is_some())
            .count()
    }

    #[test]
    fn a_device_has_a_burst_and_then_a_rate() {
        let (room, now) = (LogRoom::default(), Instant::now());
        let size = 100 * 1024;
        assert_eq!(fit(&room, now, EventKind::DeviceEvent, size), 40);
        let later = now + lasts(2 * (size + LOG_ROW_BYTES + 2));
        assert_eq!(fit(&room, later, EventKind::DeviceEvent, size), 2);
        let other = DeviceId(uuid::Uuid::max());
        let events = [event(EventKind::DeviceEvent, size)];
        assert!(room.take_at(later, other, &events).is_some());
    }

    #[test]
    fn what_is_larger_than_the_log_takes_costs_what_the_log_takes() {
        let (room, now) = (LogRoom::default(), Instant::now());
        let large = [event(EventKind::DeviceEvent, 5 * 1024 * 1024)];
        assert!(room.take_at(now, DEVICE, &large).is_some());
        assert!(room.take_at(now, DEVICE, &large).is_some());
    }

    #[test]
    fn what_operations_wait_for_has_a_reserve_that_ends_too() {
        let (room, now) = (LogRoom::default(), Instant::now());
        fit(&room, now, EventKind::DeviceEvent, 1000);
        for kind in [
            EventKind::DeviceBooted,
            EventKind::DeviceOnboardRequest,
            EventKind::DeviceCommandCompleted,
        ] {
            assert!(room.take_at(now, DEVICE, &[event(kind, 1000)]).is_some());
        }
        let starts = fit(&room, now, EventKind::DeviceBooted, 1000);
        assert!(starts > 100 && starts < 10_000, "{starts}");
    }

    #[test]
    fn what_is_given_back_may_be_taken_again_and_what_is_over_is_forgotten() {
        let (room, now) = (LogRoom::default(), Instant::now());
        let events = [event(EventKind::DeviceEvent, 100)];
        for _ in 0..100_000 {
            let taken = room.take_at(now, DEVICE, &events).unwrap();
            room.give_back(taken);
        }
        let _ = room.take_at(now, DEVICE, &events).unwrap();
        let later = now + LOG_ROOM_SWEEP_EVERY;
        let other = DeviceId(uuid::Uuid::max());
        let _ = room.take_at(later, other, &events).unwrap();
        assert_eq!(room.0.lock().unwrap().until.len(), 1);
    }
}
