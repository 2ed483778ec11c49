//! A stream of MQTT as a client or a broker may send it, in pieces of any size.
#![no_main]

#[path = "../checks/mqtt.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    checks::stream(data);
});
