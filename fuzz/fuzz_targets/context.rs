//! Records of session contexts in any order, down to what an end keeps of them.
#![no_main]

#[expect(dead_code, reason = "the file has the checks of three targets")]
#[path = "../checks/usp.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::context(data);
});
