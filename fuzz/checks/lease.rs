//! Leases of DHCP clients and contents of options are read or refused; what was read is written and read again alike.

use mtp::discovery::dhcp::{Offer, Version};
use mtp::discovery::lease;

/// Whether it says where a controller is, and whether it was not refused.
pub fn lease(data: &[u8]) -> (bool, bool) {
    for version in [Version::V4, Version::V6] {
        if let Ok(Some(offer)) = Offer::decode(version, data) {
            again(&offer);
        }
    }
    match lease::read(&String::from_utf8_lossy(data)) {
        Ok(Some(offer)) => {
            again(&offer);
            (true, true)
        }
        Ok(None) => (false, true),
        Err(_) => (false, false),
    }
}

fn again(offer: &Offer) {
    let content = offer.encode(Version::V6).expect("what was read fits");
    let read = Offer::decode(Version::V6, &content).expect("what was written is good");
    assert_eq!(read.as_ref(), Some(offer));
}
