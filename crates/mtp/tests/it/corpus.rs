//! The seeds of the fuzz targets, through what those targets check.

use std::path::PathBuf;

#[path = "../../../../fuzz/checks/dns_sd.rs"]
mod dns_sd;
#[path = "../../../../fuzz/checks/lease.rs"]
mod lease;
#[path = "../../../../fuzz/checks/mqtt.rs"]
mod mqtt;
#[path = "../../../../fuzz/checks/stomp.rs"]
mod stomp;

/// Names and contents of the seeds of a target.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../fuzz/corpus", target]
        .iter()
        .collect();
    let files = std::fs::read_dir(folder).unwrap();
    let seeds: Vec<_> = files
        .map(|file| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            (name, std::fs::read(file.path()).unwrap())
        })
        .collect();
    assert!(!seeds.is_empty());
    seeds
}

#[test]
fn stomp_streams_that_were_found_or_made_are_read_or_refused() {
    for (name, seed) in seeds("stomp") {
        let (frames, good) = stomp::stream(&seed);
        let refused = name.starts_with("bad-") || name.starts_with("huge-");
        assert_eq!(good, !refused, "{name}");
        assert_eq!(frames > 0, good && name != "half-a-frame", "{name}");
    }
}

#[test]
fn mqtt_streams_that_were_found_or_made_are_read_or_refused() {
    for (name, seed) in seeds("mqtt") {
        let (packets, good) = mqtt::stream(&seed);
        let refused = name.starts_with("bad-") || name.starts_with("huge-");
        assert_eq!(good, !refused, "{name}");
        assert_eq!(packets > 0, good && name != "half-a-packet", "{name}");
    }
}

#[test]
fn leases_that_were_found_or_made_are_read_or_refused() {
    for (name, seed) in seeds("lease") {
        let (found, good) = lease::lease(&seed);
        assert_eq!(good, !name.starts_with("bad-"), "{name}");
        assert_eq!(found, good && !name.starts_with("none-"), "{name}");
    }
}

#[test]
fn packets_of_multicast_dns_that_were_found_or_made_are_looked_into() {
    for (name, seed) in seeds("dns_sd") {
        let (found, answered) = dns_sd::packet(&seed);
        assert_eq!(found > 0, name.starts_with("found-"), "{name}");
        assert_eq!(answered, name.starts_with("asked-"), "{name}");
    }
}
