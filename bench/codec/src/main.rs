//! Decoding and encoding a GetResp with 100 parameters, against rusp-lib on the same bytes in the
//! same run. Deliberately plain: the best of several interleaved rounds, no statistics framework.
//! `cargo run --release -p bench-codec` in `bench/`, or `cargo xtask bench codec`.

use std::hint::black_box;
use std::time::Instant;

use rusp_lib::usp_decoder::try_decode_msg;
use usp::codec::{decode_msg, encode_msg};
use usp::msg::{GetResp, Msg, RequestedPathResult, ResolvedPathResult};

/// Many short rounds, so that whatever else runs on the machine disturbs all four alike.
const ROUNDS: usize = 100;
const ITERATIONS: u32 = 500;
/// The aims of the project: decode half as fast again, encode no slower.
const DECODE_AIM: f64 = 1.5;
const ENCODE_AIM: f64 = 1.0;

fn main() {
    let msg = sample();
    let bytes = encode_msg(&msg);
    let theirs = try_decode_msg(&bytes).expect("rusp-lib reads what we write");
    let back = theirs.to_vec().expect("rusp-lib writes it");
    assert_eq!(
        decode_msg(&back).expect("we read what rusp-lib writes"),
        msg
    );
    assert_eq!(back.len(), bytes.len());
    println!(
        "GetResp with 100 parameters, {} bytes, best of {ROUNDS} rounds of {ITERATIONS}",
        bytes.len()
    );

    let mut best = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        let round = [
            measure(|| decode_msg(black_box(&bytes)).is_ok()),
            measure(|| try_decode_msg(black_box(&bytes)).is_ok()),
            measure(|| !encode_msg(black_box(&msg)).is_empty()),
            measure(|| {
                theirs
                    .to_vec()
                    .is_ok_and(|bytes| !black_box(bytes).is_empty())
            }),
        ];
        best.iter_mut()
            .zip(round)
            .for_each(|(best, time)| *best = best.min(time));
    }
    let [decode, their_decode, encode, their_encode] = best;
    report("decode", decode, their_decode, DECODE_AIM);
    report("encode", encode, their_encode, ENCODE_AIM);
}

/// Nanoseconds for one call.
fn measure(mut work: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    for _ in 0..ITERATIONS {
        assert!(black_box(work()));
    }
    start.elapsed().as_nanos() as f64 / f64::from(ITERATIONS)
}

fn report(what: &str, ours: f64, theirs: f64, aim: f64) {
    let ratio = theirs / ours;
    let verdict = if ratio >= aim { "met" } else { "MISSED" };
    println!(
        "{what}: usp {ours:>7.0} ns, rusp-lib {theirs:>7.0} ns, {ratio:.2} times as fast (aim {aim:.1}: {verdict})"
    );
}

/// Ten Wi-Fi radios with ten parameters each.
fn sample() -> Msg {
    let names = [
        "Enable",
        "Status",
        "Alias",
        "Name",
        "LastChange",
        "Upstream",
        "MaxBitRate",
        "Channel",
        "SupportedStandards",
        "OperatingFrequencyBand",
    ];
    let resolved = (1..=10).map(|radio| ResolvedPathResult {
        resolved_path: format!("Device.WiFi.Radio.{radio}."),
        result_params: names
            .iter()
            .map(|name| (*name, format!("value-{radio}")))
            .collect(),
    });
    let requested = RequestedPathResult {
        requested_path: "Device.WiFi.Radio.".into(),
        resolved_path_results: resolved.collect(),
        ..Default::default()
    };
    Msg::response(
        "5f3a-17",
        GetResp {
            req_path_results: vec![requested],
        },
    )
}
