//! Finding the instances of a device's TR-098 tree that rules start from, and giving them their TR-181 numbers.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::numbers::{Giver, Numbers};
use super::rules::{Rules, Table};
use super::{Known, wifi};

/// The instances of a device's TR-098 tree that any rule looks at, by supported path, each in the order of its numbers.
pub(super) struct Instances {
    by_object: HashMap<String, Vec<Instance>>,
    /// All objects, whatever they are.
    pub(super) objects: HashSet<String>,
}

#[derive(Clone)]
pub(super) struct Instance {
    pub(super) path: String,
    pub(super) indices: Vec<u32>,
}

impl Instances {
    pub(super) fn find(rules: &Rules, tree: &BTreeMap<String, Known>) -> Instances {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut found = Instances {
            by_object: HashMap::new(),
            objects: HashSet::new(),
        };
        for path in tree.keys() {
            // From the longest object of the path up, until one that was seen before.
            let mut rest = path.as_str();
            while let Some(dot) = rest.rfind('.') {
                let object = &path[..=dot];
                if !seen.insert(object) {
                    break;
                }
                found.add(rules, object);
                rest = &path[..dot];
            }
        }
        for instances in found.by_object.values_mut() {
            instances.sort_by(|a, b| a.indices.cmp(&b.indices));
        }
        found
    }

    fn add(&mut self, rules: &Rules, path: &str) {
        let supported = crate::path::supported_text(path);
        let indices = indices(path);
        // A number that is too large for one leaves a hole.
        let is_whole = indices.len() == supported.matches("{i}").count();
        if is_whole && rules.known.contains(supported.as_str()) {
            let instance = Instance {
                path: path.to_owned(),
                indices,
            };
            self.by_object.entry(supported).or_default().push(instance);
        }
        self.objects.insert(path.to_owned());
    }

    /// The numbers in the paths of the instances of a supported object.
    pub(super) fn numbers(&self, supported: &str) -> impl Iterator<Item = &[u32]> {
        let instances = self.of(supported).iter();
        instances.map(|instance| instance.indices.as_slice())
    }

    /// The first instance of a supported object whose numbers start with these.
    pub(super) fn first_in(&self, supported: &str, indices: &[u32]) -> Option<&Instance> {
        let all = self.of(supported);
        let at = all.partition_point(|instance| instance.indices.as_slice() < indices);
        all.get(at)
            .filter(|first| first.indices.starts_with(indices))
    }

    pub(super) fn of(&self, supported: &str) -> &[Instance] {
        self.by_object.get(supported).map_or(&[], Vec::as_slice)
    }
}

fn indices(path: &str) -> Vec<u32> {
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    path.split('.')
        .filter(is_number)
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// A supported path with its first holes filled; `None` if there are more holes than numbers.
pub(super) fn fill(supported: &str, indices: &[u32]) -> Option<String> {
    let mut out = String::with_capacity(supported.len());
    let mut indices = indices.iter();
    let mut pieces = supported.split("{i}");
    out.push_str(pieces.next()?);
    for piece in pieces {
        out.push_str(&indices.next()?.to_string());
        out.push_str(piece);
    }
    Some(out)
}

/// Gives every instance its number.
pub(super) fn number(
    rules: &Rules,
    instances: &Instances,
    tree: &BTreeMap<String, Known>,
    numbers: &mut Numbers,
) {
    let mut alive = HashSet::new();
    for table in &rules.tables {
        let mut giver = Giver::new(table.name, numbers);
        if table.by_band {
            number_radios(table, instances, tree, numbers, &mut giver);
        }
        // The slots of one instance get their numbers together.
        for slots in table.sources.chunk_by(|(a, _), (b, _)| a == b) {
            let supported = slots.first().map_or("", |(supported, _)| supported);
            for instance in instances.of(supported) {
                for (_, slot) in slots {
                    let key = key(&instance.path, *slot);
                    let is_row = supported.ends_with("{i}.") && *slot == 0;
                    let own = instance.indices.last().copied().filter(|_| is_row);
                    giver.number(numbers, &key, own);
                    alive.insert(format!("{} {key}", table.name));
                }
            }
        }
    }
    numbers.prune(|table, instance| alive.contains(&format!("{table} {instance}")));
}

/// Networks of one LAN device on one band share a number. It stays, too, but for a network that turns out to be on
/// another band than the others of its radio: it was numbered before its band was known. A network whose band is not
/// known belongs to the first radio of its LAN device.
fn number_radios(
    table: &Table,
    instances: &Instances,
    tree: &BTreeMap<String, Known>,
    numbers: &mut Numbers,
    giver: &mut Giver<'_>,
) {
    let mut radios: HashMap<(u32, Option<wifi::Band>), u32> = HashMap::new();
    let mut bands: HashMap<u32, wifi::Band> = HashMap::new();
    let mut rest = Vec::new();
    for instance in table
        .sources
        .iter()
        .flat_map(|(source, _)| instances.of(source))
    {
        let lan = instance.indices.first().copied().unwrap_or_default();
        let band = wifi::band(&instance.path, tree);
        match (numbers.of(table.name, &key(&instance.path, 0)), band) {
            (Some(number), Some(band)) if *bands.entry(number).or_insert(band) == band => {
                radios.entry((lan, Some(band))).or_insert(number);
            }
            (Some(number), None) => {
                radios.entry((lan, None)).or_insert(number);
            }
            _ => rest.push((instance, lan, band)),
        }
    }
    // The first radio of each LAN device.
    let mut lowest: HashMap<u32, u32> = HashMap::new();
    for ((lan, _), number) in &radios {
        let first = lowest.entry(*lan).or_insert(*number);
        *first = (*first).min(*number);
    }
    // Those that know their band first: the others join them.
    rest.sort_by_key(|(_, _, band)| band.is_none());
    for (instance, lan, band) in rest {
        let key = key(&instance.path, 0);
        let number = match radios.get(&(lan, band)) {
            Some(number) => *number,
            None => {
                let first = lowest.get(&lan).copied().filter(|_| band.is_none());
                first.unwrap_or_else(|| giver.fresh(numbers, &key, None))
            }
        };
        radios.insert((lan, band), number);
        let first = lowest.entry(lan).or_insert(number);
        *first = (*first).min(number);
        numbers.give(table.name, &key, number);
    }
}

/// What a TR-098 instance is called in [`Numbers`].
pub(super) fn key(path: &str, slot: u32) -> String {
    let path = path.strip_prefix(super::GATEWAY_ROOT).unwrap_or(path);
    if slot == 0 {
        path.to_owned()
    } else {
        format!("{path}#{slot}")
    }
}
