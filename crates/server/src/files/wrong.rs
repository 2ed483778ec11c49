//! Which links were wrong, of those that came when their network had been told to wait: they are wrong again, without a
//! look into the database. Two generations of them; what is forgotten is looked up once more.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::SecretHash;

/// Hashes of links that never become good.
#[derive(Debug)]
pub struct Wrong {
    /// In a generation.
    max: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    young: HashSet<SecretHash>,
    old: HashSet<SecretHash>,
}

impl Wrong {
    /// At most so many in a generation.
    pub fn new(max: usize) -> Self {
        let seen = Mutex::default();
        Self { max, seen }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers one.
    pub fn note(&self, link: SecretHash) {
        let mut seen = self.seen();
        if seen.young.len() >= self.max {
            seen.old = std::mem::take(&mut seen.young);
        }
        seen.young.insert(link);
    }

    /// Whether it is one of those.
    pub fn has(&self, link: &SecretHash) -> bool {
        let seen = self.seen();
        seen.young.contains(link) || seen.old.contains(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_wrong_links_are_known_and_no_more_than_two_generations() {
        let wrong = Wrong::new(10);
        let link = |n: u8| [n; 32];
        for n in 0..100 {
            wrong.note(link(n));
            assert!(wrong.has(&link(n)));
            let seen = wrong.seen();
            assert!(seen.young.len() <= 10 && seen.old.len() <= 10);
        }
        assert!(wrong.has(&link(85)) && !wrong.has(&link(0)));
    }
}
