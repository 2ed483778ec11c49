//! What the `mapping` target checks. A file of its own because the ordinary tests of `dm` replay the seeds through the
//! same function.

use std::collections::BTreeMap;

use dm::mapping::{Discovered, Mapping, Numbers};
use dm::{Path, Schema, limits};

/// Takes lines of `path=value` as the tree of a gateway, maps it, reads everything and sets everything to what it is.
/// Says whether anything of it has a counterpart.
pub fn mapping(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let tree: BTreeMap<String, String> = lines
        .map(|(path, value)| (path.to_owned(), value.to_owned()))
        .collect();
    let found = tree
        .iter()
        .map(|(path, value)| Discovered::new(path).value(value));
    let Ok(mapping) = Mapping::new(found.clone(), Numbers::default()) else {
        return false;
    };
    let rows: Vec<&str> = mapping.objects().collect();
    let mut read = tree.clone();
    read.retain(|path, _| !path.ends_with('.'));
    let values = mapping.values(&read);
    for (path, _) in mapping.params() {
        for gateway in mapping.to_gateway(path) {
            assert!(tree.contains_key(gateway));
            assert!(mapping.to_device(gateway).contains(&path));
        }
    }
    for path in tree.keys().chain(values.keys()) {
        if let Ok(path) = Path::parse(path) {
            for name in mapping.reads(&[&path]) {
                assert!(tree.contains_key(name));
            }
        }
    }
    let sets = values
        .iter()
        .map(|(path, value)| (path.as_str(), value.as_str()));
    // Nothing that is set to what it is becomes anything else.
    for write in mapping.writes(sets, &|path| tree.get(path).cloned()).writes {
        let there = &tree[&write.path];
        let ty = Schema::tr098().param(&write.path).map(|param| &param.ty);
        assert!(ty.map_or(*there == write.value, |ty| ty.same(there, &write.value)));
    }
    // The numbers stay, in this tree and in what is left of it.
    if let Ok(kept) = mapping.numbers().to_string().parse::<Numbers>() {
        let again = Mapping::new(found, kept.clone()).ok();
        assert!(again.is_some_and(|again| again.objects().eq(rows.iter().copied())));
        let half = tree.keys().step_by(2).map(|path| Discovered::new(path));
        if let Ok(half) = Mapping::new(half, kept) {
            let few = mapping.numbers().len() <= limits::MAPPING_NUMBERS_MAX;
            assert!(!few || half.numbers().len() >= mapping.numbers().len());
        }
    }
    !rows.is_empty()
}
