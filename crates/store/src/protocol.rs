//! The column that says by which protocols a device is managed: their names in alphabetical order, separated by a
//! blank. Most devices have one.

use std::collections::{BTreeMap, BTreeSet};

use crate::device_list::Facet;

/// The protocols there are, each with the texts that contain it.
const TEXTS: [(&str, &[&str]); 2] = [
    ("cwmp", &["cwmp", "cwmp usp"]),
    ("usp", &["usp", "cwmp usp"]),
];

/// The protocol that a path speaks.
pub(crate) fn of(transport: &str) -> &'static str {
    match transport {
        "cwmp" => "cwmp",
        _ => "usp",
    }
}

/// Both together, each name once.
pub(crate) fn union(a: &str, b: &str) -> String {
    let names: BTreeSet<&str> = a.split(' ').chain(b.split(' ')).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    names.join(" ")
}

/// The texts of the devices that are managed by one of these.
pub(crate) fn having(protocols: &[String]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for name in protocols {
        match TEXTS.iter().find(|(known, _)| known == name) {
            Some((_, of)) => texts.extend(of.iter().map(|text| (*text).to_owned())),
            None => texts.push(name.clone()),
        }
    }
    texts
}

/// Counts by text as counts by protocol: a device with two counts for both.
pub(crate) fn each(facets: Vec<Facet>, prefix: &str) -> Vec<Facet> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for facet in facets {
        for name in facet.value.split(' ') {
            if name.starts_with(prefix) {
                *counts.entry(name.to_owned()).or_default() += facet.count;
            }
        }
    }
    let facet = |(value, count)| Facet { value, count };
    let mut facets: Vec<Facet> = counts.into_iter().map(facet).collect();
    facets.sort_by_key(|facet| std::cmp::Reverse(facet.count));
    facets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_two_protocols_is_found_and_counted_by_both() {
        assert_eq!(union("usp", "cwmp"), "cwmp usp");
        assert_eq!(union("cwmp usp", "usp"), "cwmp usp");
        assert_eq!(union("", "usp"), "usp");
        assert_eq!(having(&["usp".to_owned()]), ["usp", "cwmp usp"]);
        assert_eq!(having(&["snmp".to_owned()]), ["snmp"]);
        let facet = |value: &str, count| Facet {
            value: value.to_owned(),
            count,
        };
        let counted = vec![facet("cwmp usp", 2), facet("usp", 5), facet("cwmp", 1)];
        let all = [facet("usp", 7), facet("cwmp", 3)];
        assert_eq!(each(counted.clone(), ""), all);
        assert_eq!(each(counted, "c"), [facet("cwmp", 3)]);
    }
}
