//! Room in the event log for what devices say: each has a burst, then a steady rate, so that one that runs away fills no
//! disk and takes no room of the others.

use std::time::Instant;

use fleet::{DeviceId, Event};

use super::limits::{DEVICE_LOG_BURST, DEVICE_LOG_PER_SECOND, LOG_ROW_BYTES};
use crate::auth::limiter::{Limiter, Rate};

/// What the doctor calls it when there is none.
pub const FILLED: &str = "event-log-filled";

/// What a device is told, and the doctor, when there is none.
pub const NO_ROOM: &str =
    "it has filled the event log faster than a device may, and what it says is not kept for now";

/// The room of all devices.
#[derive(Debug)]
pub struct LogRoom(Limiter);

impl Default for LogRoom {
    fn default() -> Self {
        Self(Limiter::new(Rate {
            burst: DEVICE_LOG_BURST,
            per_second: DEVICE_LOG_PER_SECOND,
        }))
    }
}

impl LogRoom {
    /// Whether there is room for these events of the device, which is then theirs.
    pub fn take(&self, device: DeviceId, events: &[Event]) -> bool {
        let sizes = events.iter().map(|event| {
            let data = u32::try_from(event.data.to_string().len()).unwrap_or(u32::MAX);
            data.saturating_add(LOG_ROW_BYTES)
        });
        let all = sizes.fold(0, u32::saturating_add);
        let key = device.to_string();
        self.0.take_many(&key, all, Instant::now()).is_ok()
    }
}
