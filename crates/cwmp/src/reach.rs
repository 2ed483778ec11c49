//! Connection requests: how an ACS asks a CPE to open a session, over HTTP, UDP through STUN
//! (Annex G) and XMPP (Annex K), from both ends. Deliberately without sockets; a request that is
//! accepted is no session yet, only the Inform is.

pub mod head;
pub mod http;
pub mod server;
pub mod stun;
pub mod udp;
pub mod xmpp;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// HMAC-SHA-1, as STUN and UDP connection requests have it.
fn hmac_sha1(key: &[u8], text: &[u8]) -> [u8; 20] {
    // Keys of any length are good, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else {
        return [0; 20];
    };
    mac.update(text);
    mac.finalize().into_bytes().into()
}
