//! SCRAM from the client's side (RFC 5802 and 7677), without channel binding. Deliberately no
//! preparation of passwords beyond ASCII: others are used as they are written.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::auth::same;
use crate::limits::SCRAM_ITERATIONS_MAX;
use crate::value::Secret;

/// Which hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub(super) const fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    fn hmac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => super::super::hmac_sha1(key, text).to_vec(),
            Self::Sha256 => {
                // Keys of any length are good, so this cannot fail.
                let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
                    return Vec::new();
                };
                mac.update(text);
                mac.finalize().into_bytes().to_vec()
            }
        }
    }

    fn hash(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(text).to_vec(),
            Self::Sha256 => Sha256::digest(text).to_vec(),
        }
    }

    /// PBKDF2 with one block.
    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut last = self.hmac(password, &[salt, &[0, 0, 0, 1]].concat());
        let mut out = last.clone();
        for _ in 1..iterations {
            last = self.hmac(password, &last);
            xor(&mut out, &last);
        }
        out
    }
}

fn xor(into: &mut [u8], other: &[u8]) {
    for (a, b) in into.iter_mut().zip(other) {
        *a ^= b;
    }
}

/// One authentication.
pub(super) struct Scram {
    hash: Hash,
    password: Secret,
    nonce: String,
    first: String,
    server: Option<Vec<u8>>,
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.mechanism())
    }
}

impl Scram {
    /// `nonce` is a random text without commas.
    pub(super) fn new(hash: Hash, username: &str, password: Secret, nonce: String) -> Self {
        let username = username.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={username},r={nonce}");
        Self {
            hash,
            password,
            nonce,
            first,
            server: None,
        }
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first)
    }

    /// The answer to the server's first message; `None` when that is none, or asks for too much.
    pub(super) fn answer(&mut self, challenge: &str) -> Option<String> {
        let nonce = field(challenge, "r=").filter(|nonce| {
            nonce.len() > self.nonce.len() && nonce.starts_with(self.nonce.as_str())
        })?;
        let salt = STANDARD.decode(field(challenge, "s=")?).ok()?;
        let iterations: u32 = field(challenge, "i=")?.parse().ok()?;
        if !(1..=SCRAM_ITERATIONS_MAX).contains(&iterations) || self.server.is_some() {
            return None;
        }
        let salted = self
            .hash
            .salted(self.password.0.as_bytes(), &salt, iterations);
        let key = self.hash.hmac(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let all = format!("{},{challenge},{without_proof}", self.first);
        let mut proof = self.hash.hmac(&self.hash.hash(&key), all.as_bytes());
        xor(&mut proof, &key);
        let server_key = self.hash.hmac(&salted, b"Server Key");
        self.server = Some(self.hash.hmac(&server_key, all.as_bytes()));
        Some(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Whether the server's last message shows that it knows the password too.
    pub(super) fn verified(&self, last: &str) -> bool {
        let shown = field(last, "v=").and_then(|shown| STANDARD.decode(shown).ok());
        match (&self.server, shown) {
            (Some(server), Some(shown)) => same(server, &shown),
            _ => false,
        }
    }
}

fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 5802, 5 and RFC 7677, 3.
    #[test]
    fn the_examples_of_the_standards_come_out() {
        for (hash, nonce, challenge, answer, last) in [
            (
                Hash::Sha1,
                "fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
                "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
            ),
            (
                Hash::Sha256,
                "rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
        ] {
            let mut scram = Scram::new(hash, "user", "pencil".into(), nonce.to_owned());
            assert_eq!(scram.first(), format!("n,,n=user,r={nonce}"));
            assert_eq!(scram.answer(challenge).as_deref(), Some(answer));
            assert!(scram.verified(last) && !scram.verified("v=AAAA") && !scram.verified("e=x"));
            assert_eq!(scram.answer(challenge), None, "only once");
        }
        let odd = Scram::new(Hash::Sha1, "a,b=c", "p".into(), "n".into());
        assert_eq!(odd.first(), "n,,n=a=2Cb=3Dc,r=n");
    }

    /// `SCRAM_ITERATIONS_MAX`
    #[test]
    fn a_server_that_asks_for_too_much_or_for_another_nonce_is_refused() {
        let ask = |challenge: &str| {
            Scram::new(Hash::Sha1, "user", "pencil".into(), "n".into()).answer(challenge)
        };
        assert!(ask("r=nm,s=QSXCR+Q6sek8bf92,i=2").is_some());
        for bad in [
            format!("r=nm,s=QSXCR+Q6sek8bf92,i={}", SCRAM_ITERATIONS_MAX + 1),
            "r=nm,s=QSXCR+Q6sek8bf92,i=0".to_owned(),
            "r=n,s=QSXCR+Q6sek8bf92,i=2".to_owned(),
            "r=xx,s=QSXCR+Q6sek8bf92,i=2".to_owned(),
            "r=nm,s=%,i=2".to_owned(),
            String::new(),
        ] {
            assert_eq!(ask(&bad), None, "{bad}");
        }
    }
}
