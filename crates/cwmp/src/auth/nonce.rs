//! Nonces that need no memory: any node with the secret knows one that another node gave, and how
//! old it is; and the window that tells a repeated use of one. Deliberately no clock.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::{mac, same};
use crate::limits;

/// What is known of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Ours, and young enough.
    Fresh,
    /// Ours, and too old: challenge again with `stale=true`, and the client tries again by itself.
    Stale,
    /// Not ours.
    Foreign,
}

/// How the bytes of a nonce are divided: the seconds, what is random, and the signature. All of it
/// is 32 characters as text, since fielded clients (netcwmp) keep no more of a nonce than that.
const BYTES: usize = 24;
const SECONDS: usize = 5;
const HEAD: usize = 10;

/// Makes a nonce of the moment (seconds of any clock that all nodes share), a random number and
/// the secret that all nodes share.
pub fn issue(secret: &[u8], now: u64, random: u64) -> String {
    let mut bytes = [0; BYTES];
    bytes[..SECONDS].copy_from_slice(&now.to_be_bytes()[8 - SECONDS..]);
    bytes[SECONDS..HEAD].copy_from_slice(&random.to_be_bytes()[8 - (HEAD - SECONDS)..]);
    let signature = sign(secret, &bytes[..HEAD]);
    bytes[HEAD..].copy_from_slice(&signature);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn sign(secret: &[u8], head: &[u8]) -> [u8; BYTES - HEAD] {
    let mac = mac(secret, &[b"digest nonce", head]);
    std::array::from_fn(|at| mac[at])
}

/// Judges a nonce. One from up to `life` seconds in the future is good, since clocks differ.
pub fn check(secret: &[u8], nonce: &str, now: u64, life: u64) -> Age {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(nonce).ok();
    let Some(bytes) = bytes.and_then(|bytes| <[u8; BYTES]>::try_from(bytes).ok()) else {
        return Age::Foreign;
    };
    let (head, signature) = bytes.split_at(HEAD);
    if !same(&sign(secret, head), signature) {
        return Age::Foreign;
    }
    let issued = head
        .iter()
        .take(SECONDS)
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    match now.abs_diff(issued) <= life {
        true => Age::Fresh,
        false => Age::Stale,
    }
}

/// Whether a use of a nonce was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// No.
    New,
    /// Yes. Within one session this is a client that does not count; outside of one it is a replay.
    Repeated,
    /// The count is so far behind that nobody remembers.
    Forgotten,
}

/// The counts seen with one nonce: the highest and the `NC_WINDOW` below it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    highest: u32,
    /// Bit n stands for `highest - n`.
    seen: u64,
}

impl Window {
    /// Notes a use. Without a count (RFC 2069) it is the first, and every later one a repetition.
    pub fn note(&mut self, count: Option<u32>) -> Use {
        let count = count.unwrap_or(1);
        if count > self.highest || self.seen == 0 {
            let ahead = count - self.highest.min(count);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return Use::New;
        }
        let behind = self.highest - count;
        if behind >= limits::NC_WINDOW {
            return Use::Forgotten;
        }
        let bit = 1 << behind;
        if self.seen & bit != 0 {
            return Use::Repeated;
        }
        self.seen |= bit;
        Use::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_node_with_the_secret_knows_a_nonce_and_its_age() {
        let nonce = issue(b"secret", 1000, 7);
        assert_eq!(check(b"secret", &nonce, 1000, 300), Age::Fresh);
        assert_eq!(check(b"secret", &nonce, 1300, 300), Age::Fresh);
        assert_eq!(check(b"secret", &nonce, 1301, 300), Age::Stale);
        // The other node's clock is behind.
        assert_eq!(check(b"secret", &nonce, 990, 300), Age::Fresh);
        assert_eq!(check(b"other", &nonce, 1000, 300), Age::Foreign);
        for bad in ["", "x", &nonce[1..], &format!("{nonce}A")] {
            assert_eq!(check(b"secret", bad, 1000, 300), Age::Foreign);
        }
        assert_ne!(nonce, issue(b"secret", 1000, 8));
    }

    #[test]
    fn a_nonce_fits_the_32_characters_that_some_clients_keep_of_it() {
        for (now, random) in [(0, 0), (1_800_000_000, u64::MAX)] {
            let nonce = issue(b"secret", now, random);
            assert_eq!(nonce.len(), 32, "{nonce}");
            assert_eq!(check(b"secret", &nonce, now, 300), Age::Fresh);
        }
    }

    /// `NC_WINDOW`
    #[test]
    fn a_repeated_count_is_seen_within_the_window() {
        let mut window = Window::default();
        let uses = [1, 2, 4, 3, 3, 1, 64, 1, 65, 1, 2, 500, 436, 437, 437];
        let seen: Vec<_> = uses.iter().map(|count| window.note(Some(*count))).collect();
        use Use::{Forgotten, New, Repeated};
        assert_eq!(
            seen,
            [
                New, New, New, New, Repeated, Repeated, New, Repeated, New, Forgotten, Repeated,
                New, Forgotten, New, Repeated
            ]
        );
        let mut uncounted = Window::default();
        assert_eq!(
            (uncounted.note(None), uncounted.note(None)),
            (New, Repeated)
        );
        let mut zero = Window::default();
        assert_eq!(
            (zero.note(Some(0)), zero.note(Some(0)), zero.note(Some(1))),
            (New, Repeated, New)
        );
    }
}
