//! Trees of TR-098 gateways as discovery may report them.
#![no_main]

#[path = "../checks/mapping.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::mapping(data);
});
