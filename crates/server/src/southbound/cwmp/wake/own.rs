//! From which of its addresses this machine sends to whom, remembered for a while: asking the system costs a socket, and
//! STUN is asked thousands of times a second.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Instant;

use super::limits::{OWN_KEPT, OWN_MAX};

/// What was found out.
#[derive(Default)]
pub struct Own {
    since: Option<Instant>,
    to: HashMap<Ipv4Addr, Ipv4Addr>,
}

impl Own {
    /// From where we send there; `look` finds it out.
    pub fn to(
        &mut self,
        peer: Ipv4Addr,
        now: Instant,
        look: impl FnOnce() -> Option<Ipv4Addr>,
    ) -> Option<Ipv4Addr> {
        let is_old = |since| now.saturating_duration_since(since) >= OWN_KEPT;
        if self.to.len() >= OWN_MAX || self.since.is_none_or(is_old) {
            self.to.clear();
            self.since = Some(now);
        }
        if let Some(known) = self.to.get(&peer) {
            return Some(*known);
        }
        let found = look()?;
        self.to.insert(peer, found);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    /// `OWN_KEPT`, `OWN_MAX`
    #[test]
    fn an_address_is_looked_for_once_in_a_while_and_not_each_time() {
        let mut own = Own::default();
        let start = Instant::now();
        let mut looked = 0;
        let mut ask = |own: &mut Own, peer: u32, now| {
            let found = own.to(Ipv4Addr::from_bits(peer), now, || {
                looked += 1;
                Some(OURS)
            });
            assert_eq!(found, Some(OURS));
            looked
        };
        for _ in 0..3 {
            assert_eq!(ask(&mut own, 7, start), 1);
        }
        assert_eq!(ask(&mut own, 8, start), 2);
        // Routes change.
        assert_eq!(ask(&mut own, 7, start + OWN_KEPT), 3);
        for peer in 100..100 + u32::try_from(OWN_MAX).unwrap() {
            ask(&mut own, peer, start + OWN_KEPT);
        }
        assert!(own.to.len() <= OWN_MAX);
        // What is not known is asked again.
        assert_eq!(own.to(Ipv4Addr::from_bits(1), start, || None), None);
    }
}
