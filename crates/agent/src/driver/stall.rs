//! Peers that do not read: what is meant for them waits, nobody else does, and after a while they are let go.

use std::time::{Duration, Instant};

/// Since when nothing has moved on the way to a peer, and what waits there.
#[derive(Debug, Default)]
pub(super) struct Stall(Option<(Instant, usize)>);

/// What is seen of a connection after it was written to.
pub(super) struct Seen {
    /// What is sent now would not wait.
    pub room: bool,
    /// Something was sent just now.
    pub sent: bool,
    /// Bytes that wait.
    pub waiting: usize,
}

impl Stall {
    /// Takes note. True when nothing has moved for `longest`.
    pub fn look(&mut self, now: Instant, seen: Seen, longest: Duration) -> bool {
        self.0 = match self.0 {
            _ if seen.room => None,
            Some((since, before)) if !seen.sent && seen.waiting >= before => Some((since, before)),
            _ => Some((now, seen.waiting)),
        };
        self.due(longest).is_some_and(|due| due <= now)
    }

    /// When it is to be looked at again.
    pub fn due(&self, longest: Duration) -> Option<Instant> {
        self.0.map(|(since, _)| since + longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_reads_a_little_is_kept_and_one_that_reads_nothing_is_not() {
        let (start, longest) = (Instant::now(), Duration::from_secs(1));
        let at = |ms| start + Duration::from_millis(ms);
        let seen = |waiting| Seen {
            room: false,
            sent: false,
            waiting,
        };
        let mut stall = Stall::default();
        assert!(!stall.look(at(0), seen(9), longest));
        assert_eq!(stall.due(longest), Some(at(1000)));
        assert!(!stall.look(at(999), seen(9), longest));
        assert!(!stall.look(at(1000), seen(8), longest));
        assert!(!stall.look(at(1900), seen(8), longest));
        assert!(stall.look(at(2000), seen(8), longest));
        let more = Seen {
            sent: true,
            ..seen(20)
        };
        assert!(!stall.look(at(2000), more, longest));
        let room = Seen {
            room: true,
            ..seen(1)
        };
        assert!(!stall.look(at(9000), room, longest));
        assert_eq!(stall.due(longest), None);
    }
}
