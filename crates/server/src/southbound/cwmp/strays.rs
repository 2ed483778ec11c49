//! Messages behind proxies of ours that could not be told whose they are: where they came from, for a while. With that a
//! device that loses its session there is told apart from one that fell silent.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::limits::{STRAY_LIFE, STRAYS_MAX};

/// Where they came from, and when the last one of each did.
#[derive(Default)]
pub struct Strays(Mutex<HashMap<IpAddr, Instant>>);

impl Strays {
    /// One came.
    pub fn came(&self, from: IpAddr, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= STRAYS_MAX && !all.contains_key(&from) {
            all.retain(|_, at| now.saturating_duration_since(*at) <= STRAY_LIFE);
        }
        if all.len() < STRAYS_MAX || all.contains_key(&from) {
            all.insert(from, now);
        }
    }

    /// Whether one came from there since.
    pub fn since(&self, from: IpAddr, then: Instant) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&from).is_some_and(|at| *at >= then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// `STRAYS_MAX`
    #[test]
    fn of_so_many_addresses_it_is_remembered_and_of_more_once_those_are_old() {
        let (strays, now) = (Strays::default(), Instant::now());
        let at = |n: usize| IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(n).unwrap()));
        for n in 0..=STRAYS_MAX {
            strays.came(at(n), now);
        }
        assert!(strays.since(at(0), now) && !strays.since(at(STRAYS_MAX), now));
        let later = now + STRAY_LIFE * 2;
        strays.came(at(STRAYS_MAX), later);
        assert!(strays.since(at(STRAYS_MAX), later) && !strays.since(at(0), now));
    }
}
