//! Gateways that nobody built, grown from TR-098 itself, and texts that no device should send.

use std::collections::{BTreeMap, BTreeSet};

use dm::mapping::{How, Mapping, Numbers, ParamRule, Refusal, Rules};
use dm::path::supported_text;
use dm::{BaseType, ObjectDef, ParamDef, Path, Schema};
use proptest::prelude::*;

use super::trees::{self, ALL, Tree};

/// Choices that follow from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// Grows a tree of what rules look at: up to two rows a table, most of the parameters, values of their types.
fn grow(chance: &mut Chance) -> Tree {
    let wanted = |object: &ObjectDef| {
        let rules = Rules::builtin().objects.iter();
        rules
            .clone()
            .any(|rule| rule.gateway.starts_with(object.path.as_ref()))
    };
    let mut tree = Tree::new();
    let mut grown: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for object in Schema::tr098().objects().filter(|object| wanted(object)) {
        let parents = match object.parent_path() {
            None => vec![String::new()],
            Some(parent) => grown.get(parent).cloned().unwrap_or_default(),
        };
        let mut rows = Vec::new();
        for parent in parents {
            let path = format!("{parent}{}.", object.name());
            if !object.multi {
                if parent.is_empty() || chance.below(8) < 7 {
                    rows.push(path);
                }
                continue;
            }
            tree.insert(path.clone(), String::new());
            let first = 1 + chance.below(3);
            let least = usize::from(object.name().contains("Device"));
            let count = least + chance.below(3 - least);
            rows.extend((0..count).map(|n| format!("{path}{}.", first + 2 * n)));
        }
        for row in &rows {
            for param in &object.params {
                if chance.below(4) > 0 {
                    tree.insert(format!("{row}{}", param.name), value(param, chance));
                }
            }
        }
        grown.insert(&object.path, rows);
    }
    tree
}

fn value(param: &ParamDef, chance: &mut Chance) -> String {
    if param.ty.is_list() {
        let items: Vec<_> = (0..chance.below(3)).map(|_| item(param, chance)).collect();
        return dm::value::list::join(items);
    }
    item(param, chance)
}

fn item(param: &ParamDef, chance: &mut Chance) -> String {
    let ty = &param.ty;
    if !ty.enumeration.is_empty() {
        return chance.pick(&ty.enumeration).to_string();
    }
    if ty.reference.is_some() {
        let wan = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1";
        return (*chance.pick(&["", wan])).to_owned();
    }
    if param.name == "LocalTimeZone" {
        return (*chance.pick(&["+01:00", "-03:30"])).to_owned();
    }
    let text = match (ty.base, ty.datatype.as_deref()) {
        (BaseType::Boolean, _) => *chance.pick(&["1", "0", "true", "false"]),
        (BaseType::String, Some("IPAddress")) => *chance.pick(&["10.0.0.1", "192.0.2.7"]),
        (BaseType::String, Some("MACAddress")) => "00:11:22:33:44:55",
        (BaseType::String, _) => *chance.pick(&["", "text", "two words", "a,b", "100%"]),
        (BaseType::DateTime, _) => "2024-02-29T23:59:59Z",
        (BaseType::Base64 | BaseType::HexBinary, _) => *chance.pick(&["", "ABCD"]),
        _ => *chance.pick(&["1", "7", "64", "0"]),
    };
    text.to_owned()
}

/// The rules that can make a TR-181 parameter.
fn rules_of(device: &str) -> impl Iterator<Item = &'static ParamRule> {
    let supported = supported_text(device);
    let objects = Rules::builtin().objects.iter();
    objects.flat_map(move |rule| {
        let name = supported
            .strip_prefix(rule.device.supported.as_str())
            .map(str::to_owned);
        let params = rule.params.iter();
        params.filter(move |param| name.as_deref() == Some(param.name))
    })
}

/// Where several TR-098 values mean one of TR-181, so that only what is there can say which.
fn is_lossy(device: &str, gateway_value: &str) -> bool {
    rules_of(device).any(|rule| match &rule.how {
        How::SecurityMode | How::Cipher | How::Item(_) | How::List => true,
        How::Enum { pairs, .. } => pairs
            .iter()
            .any(|pair| pair.read_only && (pair.gateway == gateway_value || pair.gateway == "*")),
        _ => false,
    })
}

fn all_sets(mapping: &Mapping, tree: &Tree) -> BTreeMap<String, String> {
    let mut values = mapping.values(&trees::values(tree));
    let writable = mapping.params().filter(|(_, writable)| *writable);
    let writable: BTreeSet<_> = writable.map(|(path, _)| path).collect();
    values.retain(|path, _| writable.contains(path.as_str()));
    values
}

fn pairs(sets: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    sets.iter()
        .map(|(path, value)| (path.as_str(), value.as_str()))
}

fn same(path: &str, a: &str, b: &str) -> bool {
    Schema::tr098()
        .param(path)
        .map_or(a == b, |param| param.ty.same(a, b))
}

/// To TR-181 and back, knowing only what the mapping asks to know.
fn there_and_back(tree: &Tree) {
    let mapping = trees::mapping(tree);
    let sets = all_sets(&mapping, tree);
    let context = mapping.context(sets.keys().map(String::as_str));
    let current = |path: &str| context.contains(&path).then(|| tree[path].clone());
    for (path, value) in pairs(&sets) {
        let done = mapping.writes([(path, value)], &current);
        for refused in &done.refused {
            let source = mapping.to_gateway(path)[0];
            let needs = matches!(refused.reason, Refusal::Needs { .. });
            assert!(needs || is_lossy(path, &tree[source]), "{refused}");
        }
        let sources = mapping.to_gateway(path);
        let own = |path: &&str| ((*path).to_owned(), tree[*path].clone());
        let mut after: BTreeMap<_, _> = sources.iter().map(own).collect();
        for write in &done.writes {
            let there = &tree[&write.path];
            let exact = same(&write.path, there, &write.value);
            assert!(
                exact || is_lossy(path, there),
                "{path}={value} made {write:?} of {there:?}"
            );
            after.insert(write.path.clone(), write.value.clone());
        }
        // Whatever was written, it means the same. WEP key lengths are the key's.
        let read = mapping.value(path, &after).unwrap();
        assert_eq!(read, value, "{path}");
    }
    // Knowing the device, setting everything to what it is changes nothing at all.
    let done = mapping.writes(pairs(&sets), &|path| tree.get(path).cloned());
    assert_eq!(done.refused, []);
    for write in &done.writes {
        assert!(
            same(&write.path, &tree[&write.path], &write.value),
            "{write:?}"
        );
    }
}

#[test]
fn real_gateways_come_back_as_they_were() {
    for (name, _) in ALL {
        let tree = trees::tree(name);
        let mapping = trees::mapping(&tree);
        let sets = all_sets(&mapping, &tree);
        let context = mapping.context(sets.keys().map(String::as_str));
        let current = |path: &str| context.contains(&path).then(|| tree[path].clone());
        let done = mapping.writes(pairs(&sets), &current);
        assert_eq!(done.refused, [], "{name}");
        assert!(done.writes.len() > 25, "{name}");
        for write in &done.writes {
            assert!(
                same(&write.path, &tree[&write.path], &write.value),
                "{name} {write:?}"
            );
        }
        there_and_back(&tree);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn grown_gateways_come_back_as_they_were(seed in any::<u64>()) {
        let tree = grow(&mut Chance(seed));
        there_and_back(&tree);
        let mapping = trees::mapping(&tree);
        prop_assert!(mapping.params().count() > 300);
        prop_assert!(mapping.schema().is_ok());
        // Every number is one row of one instance.
        for object in mapping.objects() {
            prop_assert_eq!(mapping.to_gateway(object).len(), 1);
        }
        let kept: Numbers = mapping.numbers().to_string().parse().unwrap();
        let again = trees::with_numbers(&tree, kept);
        prop_assert!(again.objects().eq(mapping.objects()));
    }

    #[test]
    fn strange_texts_do_no_harm(
        paths in prop::collection::vec("InternetGatewayDevice\\.(LANDevice\\.|WANDevice\\.|[0-9]{1,12}\\.|WLANConfiguration\\.|\\.|é|[A-Za-z{}*#]{1,6}\\.?){0,8}", 0..12),
        values in prop::collection::vec(any::<String>(), 12),
        numbers in any::<String>(),
    ) {
        let tree: Tree = paths.iter().cloned().zip(values.iter().cloned()).collect();
        let mapping = trees::with_numbers(&tree, numbers.parse().unwrap_or_default());
        let read = trees::values(&tree);
        mapping.values(&read);
        mapping.writes(pairs(&read), &|_| None);
        let _ = mapping.schema();
        for path in paths.iter().chain(&values) {
            mapping.to_device(path);
            mapping.to_gateway(path);
            let _ = mapping.addition(path, &[]);
            let _ = mapping.deletion(path);
            if let Ok(path) = Path::parse(path) {
                mapping.reads(&[&path]);
                let _ = mapping.answer(&[&path], &read);
            }
        }
    }

    #[test]
    fn strange_values_do_no_harm(values in prop::collection::vec(any::<String>(), 8), pick in 0..ALL.len()) {
        let mut tree = trees::tree(ALL[pick].0);
        let mapping = trees::mapping(&tree);
        for (n, value) in tree.values_mut().enumerate() {
            value.clone_from(&values[n % values.len()]);
        }
        let read = trees::values(&tree);
        let told = mapping.values(&read);
        let sets = mapping.params().zip(values.iter().cycle());
        mapping.writes(sets.map(|((path, _), value)| (path, value.as_str())), &|path| read.get(path).cloned());
        prop_assert!(!told.is_empty());
        trees::mapping(&tree);
    }
}
