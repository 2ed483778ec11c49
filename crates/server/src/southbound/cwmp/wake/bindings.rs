//! The addresses that devices have outside of their NATs, as the STUN server sees them. In memory:
//! each keep-alive of a device says it again.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddrV4;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fleet::DeviceId;

use super::limits::BINDING_LIFE;

/// Bounded; what was not refreshed for longest goes first.
pub struct Bindings {
    max: usize,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    of: HashMap<DeviceId, (SocketAddrV4, Instant)>,
    by_age: BTreeSet<(Instant, DeviceId)>,
}

impl Bindings {
    /// None yet, and never more than `max`.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            all: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A device proved that it is there. Whether that is another address than before.
    pub fn note(&self, device: DeviceId, address: SocketAddrV4, now: Instant) -> bool {
        let mut all = self.lock();
        let before = all.of.insert(device, (address, now));
        if let Some((_, at)) = before {
            all.by_age.remove(&(at, device));
        }
        all.by_age.insert((now, device));
        while all.of.len() > self.max
            && let Some((_, oldest)) = all.by_age.pop_first()
        {
            all.of.remove(&oldest);
        }
        before.is_none_or(|(before, _)| before != address)
    }

    /// Where a device was seen last, and how long ago.
    pub fn get(&self, device: DeviceId, now: Instant) -> Option<(SocketAddrV4, Duration)> {
        let (address, at) = *self.lock().of.get(&device)?;
        let age = now.saturating_duration_since(at);
        (age < BINDING_LIFE).then_some((address, age))
    }

    /// A device is gone.
    pub fn forget(&self, device: DeviceId) {
        let mut all = self.lock();
        if let Some((_, at)) = all.of.remove(&device) {
            all.by_age.remove(&(at, device));
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.lock().of.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::now;

    fn device(n: u8) -> DeviceId {
        DeviceId::new(now(), [n; 10])
    }

    fn address(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new([192, 0, 2, 1].into(), port)
    }

    #[test]
    fn a_device_has_one_address_the_last_one() {
        let bindings = Bindings::new(10);
        let (one, start) = (device(1), Instant::now());
        assert!(bindings.note(one, address(1), start));
        assert!(!bindings.note(one, address(1), start));
        assert!(bindings.note(one, address(2), start));
        let later = start + Duration::from_secs(5);
        assert_eq!(
            bindings.get(one, later),
            Some((address(2), Duration::from_secs(5)))
        );
        // `BINDING_LIFE`
        assert_eq!(bindings.get(one, start + BINDING_LIFE), None);
        bindings.forget(one);
        assert_eq!((bindings.get(one, start), bindings.len()), (None, 0));
    }

    /// `BINDINGS_MAX`
    #[test]
    fn the_one_that_was_not_refreshed_for_longest_goes_first() {
        let bindings = Bindings::new(2);
        let start = Instant::now();
        let at = |n: u64| start + Duration::from_secs(n);
        let all = [device(1), device(2), device(3)];
        bindings.note(all[0], address(1), at(0));
        bindings.note(all[1], address(2), at(1));
        bindings.note(all[0], address(1), at(2));
        bindings.note(all[2], address(3), at(3));
        assert_eq!(bindings.len(), 2);
        assert!(bindings.get(all[1], at(4)).is_none() && bindings.get(all[0], at(4)).is_some());
    }
}
