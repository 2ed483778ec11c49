//! HTTP authentication for both directions: a device towards the ACS, and the ACS towards a
//! device's connection request server. Pure functions over header values, secrets and moments.
//! Deliberately no policy: who is offered what, and how often somebody may try, is the caller's.

pub mod basic;
pub mod challenge;
pub mod cookie;
pub mod digest;
pub mod nonce;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// HMAC-SHA-256 of some parts, with their lengths so that they cannot flow into each other.
fn mac(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // Keys of any length are good, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Compares in constant time.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
