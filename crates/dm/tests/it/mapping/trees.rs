//! Trees of gateways as they are met, in a short form: an object a line, indented below the one around it, parameters
//! with their values. `Host.1-3.` is three rows, and `$` in a value below is the row's number.

use std::collections::BTreeMap;

use dm::Schema;
use dm::mapping::{Discovered, Mapping, Numbers};

pub const ALL: &[(&str, &str)] = &[
    ("adsl-router", include_str!("trees/adsl-router.txt")),
    ("ipoe-ont", include_str!("trees/ipoe-ont.txt")),
    ("dual-band", include_str!("trees/dual-band.txt")),
    ("triple-play", include_str!("trees/triple-play.txt")),
    ("lte-router", include_str!("trees/lte-router.txt")),
    ("bridged", include_str!("trees/bridged.txt")),
];

/// A device's tree: values of parameters, and objects with an empty text.
pub type Tree = BTreeMap<String, String>;

pub fn tree(name: &str) -> Tree {
    let (_, text) = ALL.iter().find(|(there, _)| *there == name).unwrap();
    read(text)
}

pub fn read(text: &str) -> Tree {
    let mut tree = Tree::new();
    // For each depth the objects of that line, with the row's number.
    let mut around: Vec<Vec<(String, String)>> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let depth = (line.len() - line.trim_start().len()) / 2;
        around.truncate(depth);
        let root = [(String::new(), String::new())];
        let above = around.last().map_or(&root[..], Vec::as_slice).to_vec();
        match line.trim_start().split_once(" =") {
            Some((name, value)) => {
                let value = value.strip_prefix(' ').unwrap_or(value);
                for (object, number) in above {
                    tree.insert(format!("{object}{name}"), value.replace('$', &number));
                }
            }
            None => {
                let mut objects = Vec::new();
                for (object, number) in above {
                    for (name, own) in rows(line.trim()) {
                        let number = if own.is_empty() { number.clone() } else { own };
                        objects.push((format!("{object}{name}"), number));
                    }
                }
                for (object, _) in &objects {
                    tree.insert(object.clone(), String::new());
                }
                around.push(objects);
            }
        }
    }
    tree
}

/// `Host.1-3.` as its rows.
fn rows(name: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    match parts.last().and_then(|last| last.split_once('-')) {
        Some((first, last)) => {
            let range = first.parse::<u32>().unwrap()..=last.parse().unwrap();
            let table = parts[..parts.len() - 1].join(".");
            range
                .map(|n| (format!("{table}.{n}."), n.to_string()))
                .collect()
        }
        None => {
            let own = parts.last().filter(|last| last.parse::<u32>().is_ok());
            vec![(name.to_owned(), own.copied().unwrap_or_default().to_owned())]
        }
    }
}

pub fn values(tree: &Tree) -> BTreeMap<String, String> {
    let params = tree.iter().filter(|(path, _)| !path.ends_with('.'));
    params
        .map(|(path, value)| (path.clone(), value.clone()))
        .collect()
}

pub fn mapping(tree: &Tree) -> Mapping {
    with_numbers(tree, Numbers::default())
}

pub fn with_numbers(tree: &Tree, numbers: Numbers) -> Mapping {
    let found = tree.iter().map(|(path, value)| {
        let found = Discovered::new(path).value(value);
        match Schema::tr098().param(path) {
            Some(_) => found,
            None => found.writable(true),
        }
    });
    Mapping::new(found, numbers).unwrap()
}

#[test]
fn the_short_form_says_what_it_should() {
    let tree = read("A.\n  B.1-2.\n    C = x$\n    D.7.\n      E =\n  F = 1");
    let all: Vec<_> = tree
        .iter()
        .map(|(path, value)| format!("{path}={value}"))
        .collect();
    let wanted = "A.= A.B.1.= A.B.1.C=x1 A.B.1.D.7.= A.B.1.D.7.E= A.B.2.= A.B.2.C=x2 A.B.2.D.7.= A.B.2.D.7.E= A.F=1";
    assert_eq!(all.join(" "), wanted);
}
