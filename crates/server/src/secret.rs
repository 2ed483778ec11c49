//! Secrets we hand out: a prefix that says what it is, and 190 random bits. Only their hashes are
//! kept. Passwords of people are another matter: `auth::password`.

pub use fleet::secret::{DEVICE, FILE, SETUP_KEY};
use rand::Rng;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A person's token for the API.
pub const TOKEN: &str = "het_";
/// A console sign-in.
pub const SESSION: &str = "hec_";

const LENGTH: usize = fleet::secret::CREDENTIAL_CHARS;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new secret with a prefix.
pub fn new(prefix: &str) -> String {
    let mut text = String::with_capacity(prefix.len() + LENGTH);
    text.push_str(prefix);
    let mut random = rand::rngs::StdRng::from_os();
    for _ in 0..LENGTH {
        text.push(char::from(ALPHABET[random.random_range(0..ALPHABET.len())]));
    }
    text
}

trait FromOs {
    fn from_os() -> Self;
}

impl FromOs for rand::rngs::StdRng {
    fn from_os() -> Self {
        use rand::SeedableRng;
        rand::rngs::StdRng::from_os_rng()
    }
}

/// The hash under which a secret is stored. The secret is random, so a fast hash is enough.
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Whether a text has the form of a secret with this prefix; others need no look-up.
pub fn looks_like(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// How a secret begins, to recognise it: prefix and four characters.
pub fn hint(secret: &str) -> String {
    secret.chars().take(8).collect()
}

/// Whether two hashes are the same, in constant time.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// 80 random bits for an id.
pub fn id_bits() -> [u8; 10] {
    let mut bits = [0; 10];
    use rand::TryRngCore;
    if OsRng.try_fill_bytes(&mut bits).is_err() {
        rand::rng().fill(&mut bits);
    }
    bits
}

/// A password for one sign-in, easy to type: four groups of five from letters and digits that are
/// not mistaken for one another, 98 bits.
pub fn one_time_password() -> String {
    const CLEAR: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut random = rand::rngs::StdRng::from_os();
    let groups: Vec<String> = (0..4)
        .map(|_| {
            (0..5)
                .map(|_| char::from(CLEAR[random.random_range(0..CLEAR.len())]))
                .collect()
        })
        .collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_its_prefix_and_is_never_the_same() {
        let (one, other) = (new(TOKEN), new(TOKEN));
        assert_ne!(one, other);
        assert!(looks_like(&one, TOKEN) && !looks_like(&one, DEVICE));
        assert!(!looks_like("het_short", TOKEN));
        assert_eq!(hint(&one).len(), 8);
        assert!(same(&hash(&one), &hash(&one)) && !same(&hash(&one), &hash(&other)));
    }

    #[test]
    fn a_one_time_password_is_long_enough_for_the_rule() {
        assert!(one_time_password().len() >= api::limits::PASSWORD_CHARS_MIN);
    }
}
