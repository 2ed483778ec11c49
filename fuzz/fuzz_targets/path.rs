//! Paths as a peer or a person may write them.
#![no_main]

#[path = "../checks/dm.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::path(data);
});
