//! What another process may write into a UNIX domain socket.
#![no_main]

#[path = "../checks/uds.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::frames(data);
});
