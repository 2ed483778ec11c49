//! Messages as a peer may put them into a record.
#![no_main]

#[expect(dead_code, reason = "the file has the checks of three targets")]
#[path = "../checks/usp.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::message(data);
});
