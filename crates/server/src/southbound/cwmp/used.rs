//! Which uses of our nonces this node has seen since it began, so that nobody who listened to one
//! comes in with it again here. Another node does not know of them.
//! Two generations, each as old as a nonce may be; what is forgotten is too old to be good.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::cwmp::auth::nonce::{Use, Window};

/// The uses of nonces on this node.
pub struct Used {
    life: Duration,
    max: usize,
    hasher: RandomState,
    seen: Mutex<Seen>,
}

struct Seen {
    young: HashMap<u64, Window>,
    old: HashMap<u64, Window>,
    turned: Instant,
}

impl Used {
    /// For nonces that are good for so long, at most so many in a generation.
    pub fn new(life: Duration, max: usize) -> Self {
        let seen = Seen {
            young: HashMap::new(),
            old: HashMap::new(),
            turned: Instant::now(),
        };
        Self {
            life,
            max,
            hasher: RandomState::new(),
            seen: Mutex::new(seen),
        }
    }

    /// Notes the use of a nonce of ours by somebody who knows the password; whether it is a new one.
    pub fn note(&self, nonce: &str, count: Option<u32>, now: Instant) -> bool {
        let key = self.hasher.hash_one(nonce);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.saturating_duration_since(seen.turned);
        if age > self.life || seen.young.len() >= self.max {
            seen.old = std::mem::take(&mut seen.young);
            if age > self.life * 2 {
                seen.old = HashMap::new();
            }
            seen.turned = now;
        }
        let mut window = match seen.young.get(&key) {
            Some(window) => *window,
            None => seen.old.get(&key).copied().unwrap_or_default(),
        };
        let fresh = window.note(count) == Use::New;
        seen.young.insert(key, window);
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_counts_once_while_the_nonce_is_good() {
        let life = Duration::from_secs(300);
        let (used, now) = (Used::new(life, 10), Instant::now());
        assert!(used.note("a", Some(1), now));
        assert!(!used.note("a", Some(1), now));
        assert!(used.note("a", Some(2), now));
        assert!(used.note("b", None, now) && !used.note("b", None, now));
        // After a turn of the generations it is still known.
        let later = now + life + Duration::from_secs(1);
        assert!(used.note("c", None, later));
        assert!(!used.note("a", Some(2), later));
    }

    /// `NONCES_USED_MAX`
    #[test]
    fn endless_nonces_do_not_fill_memory() {
        let (used, now) = (Used::new(Duration::from_secs(300), 10), Instant::now());
        for n in 0..1_000 {
            assert!(used.note(&format!("nonce {n}"), None, now));
        }
        let seen = used.seen.lock().unwrap();
        assert!(seen.young.len() <= 10 && seen.old.len() <= 10);
    }
}
