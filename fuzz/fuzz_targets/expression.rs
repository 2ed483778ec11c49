//! Comparisons in brackets, applied to a small device.
#![no_main]

#[path = "../checks/dm.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::expression(data);
});
