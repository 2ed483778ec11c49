//! The seeds of the fuzz targets, replayed; and how they are made: `UPDATE_CORPUS=1 cargo test -p
//! usp` writes them anew. What the targets assert is asserted here too.

use std::path::PathBuf;

use usp::codec::{encode_msg, encode_record};
use usp::msg::{self, Msg};

use crate::roundtrip::{sample_msgs, sample_records};
use crate::support::*;

#[path = "../../../../fuzz/checks/usp.rs"]
mod checks;

fn folder(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../fuzz/corpus", target]
        .iter()
        .collect()
}

fn replay(target: &str, seeds: Vec<(String, Vec<u8>)>, check: impl Fn(&[u8]) -> bool) {
    let folder = folder(target);
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in &seeds {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(
        files.len() >= seeds.len(),
        "{} has lost seeds",
        folder.display()
    );
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        check(&bytes);
        // Neighbours of a seed, which is what a fuzzer tries first.
        for at in 0..bytes.len().min(200) {
            check(&bytes[..at]);
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x41;
            check(&flipped);
        }
    }
}

#[test]
fn every_record_of_the_corpus_is_survived() {
    let mut seeds: Vec<_> = sample_records()
        .into_iter()
        .map(|(n, r)| (n.to_owned(), encode_record(&r)))
        .collect();
    let mut doubled = encode_record(&from_cpe(connect()));
    doubled.extend_from_slice(&[0x4a, 0x00]);
    seeds.push(("doubled".into(), doubled));
    seeds.push(("deep-groups".into(), b"\xa3\x06".repeat(64)));
    for (name, msg) in sample_msgs() {
        let record = if matches!(msg.body, msg::Body::Request(_)) {
            from_acs(carry(&msg))
        } else {
            from_cpe(carry(&msg))
        };
        seeds.push((format!("with-{name}"), encode_record(&record)));
    }
    replay("record", seeds, checks::record);
}

#[test]
fn every_message_of_the_corpus_is_survived() {
    let mut seeds: Vec<_> = sample_msgs()
        .into_iter()
        .map(|(n, m)| (n.to_owned(), encode_msg(&m)))
        .collect();
    seeds.push((
        "doubled-body".into(),
        b"\x0a\x03\x0a\x01x\x12\x06\x0a\x04\x0a\x00\x0a\x00".to_vec(),
    ));
    seeds.push((
        "unknown-request".into(),
        b"\x0a\x03\x0a\x01x\x12\x05\x0a\x03\xf2\x01\x00".to_vec(),
    ));
    seeds.push((
        "varint-error-code".into(),
        b"\x0a\x03\x0a\x01x\x12\x05\x1a\x03\x08\xdc\x36".to_vec(),
    ));
    replay("message", seeds, checks::message);
}

#[test]
fn every_history_of_session_contexts_is_survived() {
    // In order, early, twice, in pieces, in another context, asking for what is not there.
    let seeds: Vec<(String, Vec<u8>)> = vec![
        ("in-order".into(), [0, 0, 0, 0, 0, 1].repeat(4)),
        (
            "early".into(),
            [0, 2, 0, 0, 0, 9, 0, 250, 0, 0, 0, 9].repeat(5),
        ),
        (
            "twice".into(),
            [0, 0, 0, 0, 0, 1, 0, 254, 0, 0, 0, 1].repeat(3),
        ),
        (
            "pieces".into(),
            vec![0, 0, 0, 0, 9, 40, 0, 0, 0, 0, 18, 40, 0, 0, 0, 0, 27, 40],
        ),
        (
            "contexts".into(),
            [2, 0, 0, 0, 0, 1, 252, 0, 0, 0, 0, 1].repeat(20),
        ),
        ("asking".into(), [0, 0, 0, 1, 0, 0].repeat(9)),
        (
            "far".into(),
            vec![255, 127, 127, 255, 255, 255, 129, 129, 129, 1, 7, 2],
        ),
    ];
    let records = std::cell::Cell::new(0);
    replay("context", seeds, |data| {
        records.set(records.get() + checks::context(data));
        true
    });
    assert!(records.get() > 1000);
    let mut random = crate::random::Random::new(9);
    for _ in 0..2000 {
        let steps = 6 * random.below(60);
        let mostly_small = |random: &mut crate::random::Random| match random.percent(70) {
            true => 0,
            false => random.next() as u8,
        };
        let data: Vec<u8> = (0..steps).map(|_| mostly_small(&mut random)).collect();
        checks::context(&data);
    }
}

/// Random bytes with a valid start get deeper than random bytes.
#[test]
fn hostile_tails_are_survived() {
    let mut random = crate::random::Random::new(5);
    let start = encode_msg(&Msg::request("x", msg::get(["Device."])));
    for _ in 0..20_000 {
        let mut bytes = start.clone();
        let cut = random.below(bytes.len() as u64) as usize;
        bytes.truncate(cut);
        bytes.extend((0..random.below(40)).map(|_| random.next() as u8));
        _ = checks::message(&bytes);
    }
}
