//! A STOMP stream as a peer may send it, in pieces of any size.
#![no_main]

#[path = "../checks/stomp.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::stream(data);
});
