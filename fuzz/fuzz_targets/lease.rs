//! What a DHCP client keeps of its lease, and the options of DHCP in it.
#![no_main]

#[path = "../checks/lease.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::lease(data);
});
