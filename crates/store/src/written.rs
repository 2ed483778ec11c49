//! Of which devices documents were written lately: what was read of one early may be used later as long as nothing
//! was. Only of this process; another node writes what is kept of a device in a session there, and a device has one at
//! a time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::DeviceId;

use crate::limits::WRITTEN_MAX;

/// The writes of this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Recent>>);

#[derive(Debug, Default)]
struct Recent {
    under_way: HashMap<DeviceId, usize>,
    /// The devices of the last ones that are done.
    last: VecDeque<DeviceId>,
    /// How many are done.
    done: usize,
}

/// When something is read: before the read begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(usize);

impl Written {
    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A read begins.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.recent().done)
    }

    /// Whether no write of this device was under way when the read began, and none has begun since. False also where
    /// there were too many others since to know.
    pub(crate) fn is_unchanged(&self, device: DeviceId, mark: Mark) -> bool {
        let recent = self.recent();
        let since = recent.done.wrapping_sub(mark.0);
        since <= recent.last.len()
            && !recent.under_way.contains_key(&device)
            && !recent
                .last
                .iter()
                .rev()
                .take(since)
                .any(|one| *one == device)
    }

    /// A write begins; it is done when what this gives is dropped.
    pub(crate) fn begin(&self, devices: Vec<DeviceId>) -> Writing {
        let mut recent = self.recent();
        for device in &devices {
            *recent.under_way.entry(*device).or_default() += 1;
        }
        Writing {
            all: self.clone(),
            devices,
        }
    }
}

/// A write.
#[derive(Debug)]
pub(crate) struct Writing {
    all: Written,
    devices: Vec<DeviceId>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut recent = self.all.recent();
        for device in self.devices.drain(..) {
            if let Some(count) = recent.under_way.get_mut(&device) {
                *count -= 1;
                if *count == 0 {
                    recent.under_way.remove(&device);
                }
            }
            recent.last.push_back(device);
            recent.done = recent.done.wrapping_add(1);
        }
        let over = recent.last.len().saturating_sub(WRITTEN_MAX);
        recent.last.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u128) -> DeviceId {
        DeviceId(uuid::Uuid::from_u128(n))
    }

    /// `WRITTEN_MAX`
    #[test]
    fn what_was_read_is_good_until_a_write_of_the_device_begins_and_never_while_one_is_under_way() {
        let written = Written::default();
        let (one, other) = (device(1), device(2));
        let before = written.mark();
        let first = written.begin(vec![one]);
        let second = written.begin(vec![one]);
        assert!(!written.is_unchanged(one, before));
        assert!(written.is_unchanged(other, before));
        drop(first);
        let between = written.mark();
        assert!(!written.is_unchanged(one, between));
        drop(second);
        assert!(!written.is_unchanged(one, between), "it may be the old one");
        assert!(written.is_unchanged(one, written.mark()));
        assert!(written.is_unchanged(other, before));
        for n in 0..WRITTEN_MAX {
            written.begin(vec![device(10 + n as u128)]);
        }
        assert!(!written.is_unchanged(other, before), "too long ago");
        assert!(written.recent().last.len() <= WRITTEN_MAX);
        assert!(written.recent().under_way.is_empty());
    }
}
