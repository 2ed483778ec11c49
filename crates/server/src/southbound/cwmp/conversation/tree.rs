//! What a device was found to have: the names of its objects and parameters, and what it says of
//! writing them. Knows no values.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use cwmp::rpc::ParameterInfoStruct;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::limits::{GAPS_MAX, NAME_BYTES_MAX, NAME_LEVELS_MAX, TREE_BYTES_MAX, TREE_NAMES_MAX};

/// A kept tree expands to no more than this: names at their longest are rare.
const EXPANDED_MAX: u64 = 64 * 1024 * 1024;

/// The first line of a kept tree, so that another form can follow.
const FORM: &str = "tree 1";

/// The names of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    /// By name, objects with their last dot. Nothing is known of writing what only follows from the
    /// name of something below.
    names: BTreeMap<String, Option<bool>>,
    /// How long they are together.
    bytes: usize,
    /// Objects that could not be listed, and why.
    pub gaps: Vec<(String, String)>,
}

impl Tree {
    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Takes a name in, and the objects around it. False when there is no room for more.
    pub fn insert(&mut self, name: &str, writable: Option<bool>) -> bool {
        if !is_name(name) {
            return true;
        }
        let is_full = self.names.len() >= TREE_NAMES_MAX || self.bytes >= TREE_BYTES_MAX;
        if is_full && !self.names.contains_key(name) {
            return false;
        }
        for (dot, _) in name.match_indices('.') {
            let object = &name[..=dot];
            if object.len() == name.len() || self.names.contains_key(object) {
                continue;
            }
            // Some list an object without its dot: what has something below is one.
            let told = self.take(&name[..dot]);
            self.put(object, told);
        }
        if !name.ends_with('.') && self.names.contains_key(&format!("{name}.")) {
            return true;
        }
        let writable = writable.or(self.writable(name));
        self.put(name, writable);
        true
    }

    fn put(&mut self, name: &str, writable: Option<bool>) {
        if self.names.insert(name.to_owned(), writable).is_none() {
            self.bytes += name.len();
        }
    }

    fn take(&mut self, name: &str) -> Option<bool> {
        let told = self.names.remove(name)?;
        self.bytes -= name.len();
        told
    }

    /// Takes an answer in, as far as it is below `path`. False when there is no room for more.
    pub fn extend(&mut self, path: &str, found: &[ParameterInfoStruct]) -> bool {
        found
            .iter()
            .filter(|info| info.name.starts_with(path))
            .all(|info| self.insert(&info.name, Some(info.writable)))
    }

    /// Takes a parameter out, or an object and all below it.
    pub fn remove(&mut self, name: &str) {
        if !name.ends_with('.') {
            self.take(name);
            return;
        }
        let below: Vec<String> = self.below(name).map(str::to_owned).collect();
        for name in below {
            self.take(&name);
        }
    }

    /// An object that could not be listed.
    pub fn gap(&mut self, object: &str, why: String) {
        if self.gaps.len() < GAPS_MAX {
            self.gaps.push((object.to_owned(), why));
        }
    }

    /// Whether there is this object or parameter.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The innermost object around a name that there is; empty where there is none.
    pub fn around(&self, name: &str) -> String {
        let dots = name.trim_end_matches('.').rmatch_indices('.');
        let mut objects = dots.map(|(dot, _)| &name[..=dot]);
        objects
            .find(|object| self.has(object))
            .unwrap_or_default()
            .to_owned()
    }

    /// What the device says of writing it: a parameter's value, a table's rows, a row's removal.
    pub fn writable(&self, name: &str) -> Option<bool> {
        self.names.get(name).copied().flatten()
    }

    /// A device that says of nothing at all that it can be written does not know what the word means:
    /// then nothing is known of it.
    pub fn doubt(&mut self) {
        if !self.names.values().any(|writable| *writable == Some(true)) {
            self.names
                .values_mut()
                .for_each(|writable| *writable = None);
        }
    }

    /// All names, in order, and what is known of writing them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<bool>)> {
        self.names.iter().map(|(name, w)| (name.as_str(), *w))
    }

    /// An object and all below it, in order.
    pub fn below<'a>(&'a self, object: &'a str) -> impl Iterator<Item = &'a str> {
        self.names
            .range(object.to_owned()..)
            .map(|(name, _)| name.as_str())
            .take_while(move |name| name.starts_with(object))
    }

    /// The parameters below an object, in order.
    pub fn params_below<'a>(&'a self, object: &'a str) -> impl Iterator<Item = &'a str> {
        self.below(object).filter(|name| !name.ends_with('.'))
    }

    /// The numbers of the rows of a table, in their order. Numbers that are none of the standard's
    /// are left out.
    pub fn rows(&self, table: &str) -> Vec<u32> {
        let mut rows: Vec<u32> = Vec::new();
        let mut from = table.to_owned();
        while let Some((name, _)) = self.names.range(from.clone()..).next() {
            let Some(rest) = name.strip_prefix(table) else {
                break;
            };
            let part = rest.split('.').next().unwrap_or_default();
            if part.is_empty() {
                // The table itself: on to whatever comes behind this name.
                from = format!("{name}\0");
                continue;
            }
            rows.extend(part.parse::<u32>().ok().filter(|_| rest.contains('.')));
            // '/' is the character behind '.': over all of this part.
            from = format!("{table}{part}/");
        }
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// As text, compressed: each name by how much of the one before it repeats.
    pub fn kept(&self) -> Vec<u8> {
        let mut text = format!("{FORM}\n");
        let mut before = "";
        for (name, writable) in &self.names {
            let same = before
                .bytes()
                .zip(name.bytes())
                .take_while(|(a, b)| a == b)
                .count();
            // Not within a character.
            let same = name.floor_char_boundary(same);
            let flag = match writable {
                Some(true) => '+',
                Some(false) => '-',
                None => ' ',
            };
            text.push_str(&format!("{same}{flag}{}\n", &name[same..]));
            before = name;
        }
        for (object, why) in &self.gaps {
            let why: String = why
                .chars()
                .map(|c| if c == '\n' { ' ' } else { c })
                .collect();
            text.push_str(&format!("!{object} {why}\n"));
        }
        let mut out = DeflateEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory does not fail.
        let _ = out.write_all(text.as_bytes());
        out.finish().unwrap_or_default()
    }

    /// Reads what was kept; `None` when it cannot be read.
    pub fn of_kept(kept: &[u8]) -> Option<Self> {
        let mut text = String::new();
        DeflateDecoder::new(kept)
            .take(EXPANDED_MAX)
            .read_to_string(&mut text)
            .ok()?;
        let mut lines = text.lines();
        if lines.next() != Some(FORM) {
            return None;
        }
        let mut tree = Self::default();
        let mut before = String::new();
        for line in lines {
            if let Some(gap) = line.strip_prefix('!') {
                let (object, why) = gap.split_once(' ')?;
                tree.gaps.push((object.to_owned(), why.to_owned()));
                continue;
            }
            let at = line.find(['+', '-', ' '])?;
            let same: usize = line[..at].parse().ok()?;
            let writable = match &line[at..=at] {
                "+" => Some(true),
                "-" => Some(false),
                _ => None,
            };
            let name = format!("{}{}", before.get(..same)?, &line[at + 1..]);
            if tree.bytes > TREE_BYTES_MAX {
                return None;
            }
            if is_name(&name) {
                tree.put(&name, writable);
            }
            before = name;
        }
        Some(tree)
    }
}

/// Whether a text can be a name: no part of it is empty, it is not too long or deep, and it has
/// neither blanks nor control characters.
fn is_name(name: &str) -> bool {
    let text = name.strip_suffix('.').unwrap_or(name);
    let mut parts = text.split('.');
    name.len() <= NAME_BYTES_MAX
        && text.split('.').count() <= NAME_LEVELS_MAX
        && parts.all(|part| !part.is_empty())
        && !name.bytes().any(|byte| byte <= b' ' || byte == 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_empty_part_is_none_and_no_search_hangs_over_one() {
        let mut tree = Tree::default();
        for name in [
            "Device.T..X",
            "Device.T..",
            ".Device.T.",
            "",
            ".",
            "Device. T.X",
            "Device.T\u{7f}.X",
            "Device.T.\n1.X",
        ] {
            assert!(tree.insert(name, None));
        }
        assert!(tree.is_empty(), "{tree:?}");
        // As an older version may have kept it.
        for name in [
            "Device.T.",
            "Device.T..",
            "Device.T..X",
            "Device.T.2.X",
            "Device.T.-.X",
        ] {
            tree.names.insert(name.to_owned(), None);
        }
        assert_eq!(tree.rows("Device.T."), [2]);
        assert_eq!(tree.rows("Device."), [] as [u32; 0]);
    }

    fn tree(names: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for name in names {
            assert!(tree.insert(name, Some(true)));
        }
        tree
    }

    #[test]
    fn the_objects_around_a_name_are_there_too() {
        let tree = tree(&["Device.WiFi.SSID.1.SSID"]);
        let names: Vec<_> = tree.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "Device.",
                "Device.WiFi.",
                "Device.WiFi.SSID.",
                "Device.WiFi.SSID.1.",
                "Device.WiFi.SSID.1.SSID"
            ]
        );
        assert_eq!(tree.writable("Device.WiFi.SSID."), None);
        assert_eq!(tree.writable("Device.WiFi.SSID.1.SSID"), Some(true));
    }

    #[test]
    fn an_object_that_is_listed_without_its_dot_is_an_object() {
        for names in [
            ["Device.WiFi", "Device.WiFi.A"],
            ["Device.WiFi.A", "Device.WiFi"],
        ] {
            let tree = tree(&names);
            assert!(
                tree.has("Device.WiFi.") && !tree.has("Device.WiFi"),
                "{names:?}"
            );
        }
    }

    #[test]
    fn a_device_to_which_nothing_is_writable_is_not_believed() {
        let mut all = Tree::default();
        all.insert("Device.A", Some(false));
        all.doubt();
        assert_eq!(all.writable("Device.A"), None);
        all.insert("Device.A", Some(false));
        all.insert("Device.B", Some(true));
        all.doubt();
        assert_eq!(all.writable("Device.A"), Some(false));
    }

    #[test]
    fn rows_are_found_in_the_order_of_their_numbers() {
        let tree = tree(&[
            "Device.T.10.A",
            "Device.T.2.A",
            "Device.T.2.B.5.C",
            "Device.T.1.",
            "Device.T.99999999999.A",
            "Device.T.Name",
            "Device.T1.A",
        ]);
        assert_eq!(tree.rows("Device.T."), [1, 2, 10]);
        assert_eq!(tree.rows("Device.None."), [] as [u32; 0]);
    }

    #[test]
    fn a_removed_row_takes_along_what_is_below_it_and_nothing_else() {
        let mut tree = tree(&["Device.T.1.A", "Device.T.1.B.", "Device.T.10.A"]);
        tree.remove("Device.T.1.");
        assert_eq!(tree.rows("Device.T."), [10]);
        assert!(!tree.has("Device.T.1.B."));
    }

    #[test]
    fn a_kept_tree_reads_back_and_a_damaged_one_does_not() {
        let mut all = tree(&["Device.A", "Device.Ä.1.Ö", "Device.Ä.1.Ü", "Device.T."]);
        all.insert("Device.R", Some(false));
        all.gap("Device.X.", "9002 no\nway".to_owned());
        let again = Tree::of_kept(&all.kept()).unwrap();
        assert_eq!(again.names, all.names);
        assert_eq!(
            again.gaps,
            [("Device.X.".to_owned(), "9002 no way".to_owned())]
        );
        assert_eq!(Tree::of_kept(b"nonsense"), None);
        assert_eq!(Tree::of_kept(&[]), None);
    }

    #[test]
    fn there_are_only_so_many_names_and_none_is_longer_than_a_path() {
        let mut tree = Tree::default();
        let all = (0..=TREE_NAMES_MAX).all(|n| tree.insert(&format!("D.{n}"), None));
        assert!(!all && tree.len() <= TREE_NAMES_MAX);
        let mut tree = Tree::default();
        assert!(tree.insert(&format!("Device.{}", "x".repeat(NAME_BYTES_MAX)), None));
        assert!(tree.is_empty());
        // `NAME_LEVELS_MAX`
        assert!(tree.insert(&"a.".repeat(NAME_LEVELS_MAX + 1), None));
        assert!(tree.is_empty());
        assert!(tree.insert(&"a.".repeat(NAME_LEVELS_MAX), None));
        assert_eq!(tree.len(), NAME_LEVELS_MAX);
    }

    /// `TREE_BYTES_MAX`
    #[test]
    fn names_have_room_for_so_many_bytes_also_those_that_were_kept() {
        let mut tree = Tree::default();
        let long = "x".repeat(NAME_BYTES_MAX - 20);
        let all = (0..TREE_NAMES_MAX).all(|n| tree.insert(&format!("Device.{long}{n}"), None));
        assert!(!all && tree.bytes <= TREE_BYTES_MAX + NAME_BYTES_MAX);
        let names: usize = tree.names.keys().map(String::len).sum();
        assert_eq!(names, tree.bytes);
        // Small when it is kept, large when it is read.
        let mut text = format!("{FORM}\n0 Device.{long}\n");
        for n in 0..TREE_NAMES_MAX {
            text.push_str(&format!("{} {n}\n", 7 + long.len()));
        }
        let mut out = DeflateEncoder::new(Vec::new(), Compression::fast());
        out.write_all(text.as_bytes()).unwrap();
        assert_eq!(Tree::of_kept(&out.finish().unwrap()), None);
    }

    #[test]
    fn a_parameter_that_is_gone_takes_none_along_whose_name_begins_the_same() {
        let mut tree = tree(&["Device.W.SSID", "Device.W.SSIDAdvertisementEnabled"]);
        tree.remove("Device.W.SSID");
        assert!(!tree.has("Device.W.SSID"));
        assert!(tree.has("Device.W.SSIDAdvertisementEnabled"));
    }

    #[test]
    fn what_a_device_tells_of_something_else_is_not_taken_in() {
        let info = |name: &str| ParameterInfoStruct {
            name: name.to_owned(),
            writable: false,
        };
        let mut tree = Tree::default();
        tree.extend(
            "Device.A.",
            &[info("Device.A.B"), info("Device.C"), info("")],
        );
        assert!(tree.has("Device.A.B") && !tree.has("Device.C"));
    }
}
