//! Records as a peer may send them, down to what both ends of a conversation make of them.
#![no_main]

#[expect(dead_code, reason = "the file has the checks of three targets")]
#[path = "../checks/usp.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::record(data);
});
