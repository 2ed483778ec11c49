//! Reading and writing an Inform and a GetParameterValuesResponse with 40 parameters, against a bare
//! walk over the XML events of the same bytes in the same run: what our knowledge of CWMP costs on
//! top of the parser. Deliberately plain: the best of several interleaved rounds, no statistics
//! framework. `cargo run --release -p bench-cwmp` in `bench/`, or `cargo xtask bench cwmp`.

use std::hint::black_box;
use std::time::Instant;

use cwmp::event::EventCode;
use cwmp::rpc::{
    DeviceId, EventStruct, GetParameterValuesResponse, Inform, ParameterValue, Response,
};
use cwmp::soap::{self, Body, Booleans, Envelope};
use cwmp::value::{Timestamp, Value};
use quick_xml::Reader;
use quick_xml::events::Event;

/// Many short rounds, so that whatever else runs on the machine disturbs all alike.
const ROUNDS: usize = 200;
const ITERATIONS: u32 = 200;
/// The aims: reading takes at most three walks, writing at most one.
const DECODE_AIM: f64 = 1.0 / 3.0;
const ENCODE_AIM: f64 = 1.0;

fn main() {
    compare("Inform", inform().into());
    compare(
        "GetParameterValuesResponse with 40 parameters",
        values().into(),
    );
}

fn compare(what: &str, body: Body) {
    let envelope = Envelope::new(cwmp::Version::V1_2.namespace(), "5f3a-17", body);
    let text = soap::encode(&envelope, Booleans::Digits);
    let bytes = text.as_bytes();
    assert_eq!(soap::decode(bytes, None).as_ref(), Ok(&envelope));
    println!(
        "{what}, {} bytes, best of {ROUNDS} rounds of {ITERATIONS}",
        bytes.len()
    );

    let mut best = [f64::INFINITY; 3];
    for _ in 0..ROUNDS {
        let round = [
            measure(|| walk(black_box(&text)) > 0),
            measure(|| soap::decode(black_box(bytes), None).is_ok()),
            measure(|| !soap::encode(black_box(&envelope), Booleans::Digits).is_empty()),
        ];
        best.iter_mut()
            .zip(round)
            .for_each(|(best, time)| *best = best.min(time));
    }
    let [walk, decode, encode] = best;
    report("decode", walk, decode, DECODE_AIM);
    report("encode", walk, encode, ENCODE_AIM);
    report("both", walk, decode + encode, 0.0);
}

/// All events of a text, and nothing done with them.
fn walk(text: &str) -> usize {
    let mut reader = Reader::from_str(text);
    let mut events = 0;
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => return events,
            Ok(event) => {
                black_box(event);
                events += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Nanoseconds for one call.
fn measure(mut work: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    for _ in 0..ITERATIONS {
        assert!(black_box(work()));
    }
    start.elapsed().as_nanos() as f64 / f64::from(ITERATIONS)
}

fn report(what: &str, walk: f64, ours: f64, aim: f64) {
    let ratio = walk / ours;
    let verdict = match aim {
        0.0 => String::new(),
        aim if ratio >= aim => format!(" (aim {aim:.2}: met)"),
        aim => format!(" (aim {aim:.2}: MISSED)"),
    };
    println!("{what}: cwmp {ours:>7.0} ns, bare walk {walk:>7.0} ns, ratio {ratio:.2}{verdict}");
}

/// What a gateway sends every day.
fn inform() -> Inform {
    let parameters = [
        ("RootDataModelVersion", "2.19"),
        ("DeviceInfo.HardwareVersion", "A1"),
        ("DeviceInfo.SoftwareVersion", "2.4.1-r7"),
        ("DeviceInfo.ProvisioningCode", "TLCO.GRP2"),
        ("ManagementServer.ParameterKey", "profile-7"),
        (
            "ManagementServer.ConnectionRequestURL",
            "http://198.51.100.7:7547/a1b2c3d4",
        ),
        ("ManagementServer.AliasBasedAddressing", "false"),
    ];
    Inform {
        device_id: DeviceId {
            manufacturer: "Example Networks".into(),
            oui: "00256D".into(),
            product_class: "Gateway".into(),
            serial_number: "GW0000000001".into(),
        },
        events: vec![EventStruct::new(EventCode::Periodic)],
        max_envelopes: 1,
        current_time: Timestamp::from_unix(1_767_225_600),
        retry_count: 0,
        parameters: parameters
            .map(|(name, value)| {
                ParameterValue::new(format!("Device.{name}"), Value::string(value))
            })
            .to_vec(),
    }
}

fn values() -> Response {
    let parameters = (1..=40).map(|radio| {
        let name = format!("Device.WiFi.Radio.{radio}.Stats.BytesReceived");
        ParameterValue::new(name, Value::unsigned(radio * 1_000_003))
    });
    GetParameterValuesResponse {
        parameters: parameters.collect(),
    }
    .into()
}
