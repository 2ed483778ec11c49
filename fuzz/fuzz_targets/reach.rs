//! Connection requests and their answers: HTTP, STUN, datagrams, XMPP.
#![no_main]

#[expect(dead_code, reason = "the file has the checks of three targets")]
#[path = "../checks/cwmp.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::reach(data);
});
