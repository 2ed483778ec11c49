//! The seeds of the fuzz targets, through the same functions the targets call.

use std::path::PathBuf;

use dm::{Schema, resolve::Snapshot};

use crate::{fuzz_checks, fuzz_mapping};

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../fuzz/corpus", target]
        .iter()
        .collect();
    let files = std::fs::read_dir(folder).unwrap();
    let seeds: Vec<Vec<u8>> = files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(seeds.len() >= 10, "{target} has {} seeds", seeds.len());
    seeds
}

#[test]
fn seeds_of_the_path_target_hold_its_properties() {
    let mut read = 0;
    for seed in seeds("path") {
        read += usize::from(fuzz_checks::path(&seed));
    }
    assert!(read >= 5, "only {read} seeds are paths");
}

#[test]
fn seeds_of_the_expression_target_hold_its_properties() {
    let mut read = 0;
    for seed in seeds("expression") {
        read += usize::from(fuzz_checks::expression(&seed));
    }
    assert!(read >= 5, "only {read} seeds are expressions");
}

#[test]
fn seeds_of_the_mapping_target_hold_its_properties() {
    let mut mapped = 0;
    for seed in seeds("mapping") {
        mapped += usize::from(fuzz_mapping::mapping(&seed));
    }
    assert!(mapped >= 5, "only {mapped} seeds have counterparts");
}

#[test]
fn the_tree_of_the_expression_target_is_one() {
    let values = fuzz_checks::values();
    let tree = Snapshot::new(Schema::tr181(), &values);
    assert_eq!(dm::Tree::instances(&tree, "Device.WiFi.SSID."), [1, 2]);
}
