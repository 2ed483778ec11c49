//! Headers of authentication, cookies, and the datagrams and stanzas of connection requests.
#![no_main]

#[expect(dead_code, reason = "the file has the checks of two targets")]
#[path = "../checks/cwmp.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::digest(data);
});
