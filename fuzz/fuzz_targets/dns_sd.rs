//! A packet of multicast DNS as anybody on the network may send it.
#![no_main]

#[path = "../checks/dns_sd.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::packet(data);
});
