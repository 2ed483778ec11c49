//! Comparisons in brackets, applied to a small device.
#![no_main]

#[expect(dead_code, reason = "the file has the checks of two targets")]
#[path = "../checks/dm.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::expression(data);
});
