//! Searching the data model of a device: which paths and values have the words, best first, and
//! whether what was found is there. Pure.

use super::model_tree::{self, Known, Values};
use super::value;
use api::model::{ModelHit, NodeKind};
use fleet::model::supported;
use std::collections::HashSet;

/// How well one word fits a path; smaller is better. The sum over the words is the rank.
mod fit {
    /// The word is the end of the path: its last name, or several whole names.
    pub const END: u32 = 0;
    /// The word is the whole value, or whole names within the path.
    pub const WHOLE: u32 = 1;
    /// The last name begins with it.
    pub const START: u32 = 2;
    /// It is within the last name.
    pub const WITHIN: u32 = 3;
    /// It is somewhere in the path.
    pub const PATH: u32 = 4;
    /// It is only in the value.
    pub const VALUE: u32 = 5;
}

/// The best `limit` hits for the words (lower case), and how many there are. `all_known` says that
/// the values are all there are, so that what has none may be called missing.
pub fn search(
    known: &Known,
    values: &Values,
    all_known: bool,
    words: &[String],
    limit: usize,
) -> (Vec<ModelHit>, usize) {
    let there = There::of(values, all_known);
    let mut found = Vec::new();
    for one in values.values() {
        if let Some(rank) = rank(words, &one.path, Some(&one.value)) {
            found.push((rank, 1u8, one.path.clone(), NodeKind::Parameter));
        }
    }
    let seen: HashSet<String> = values.keys().map(|path| supported(path)).collect();
    for (path, kind) in model_tree::paths(known) {
        if seen.contains(&path) {
            continue;
        }
        let path = match path.strip_suffix("{i}.") {
            Some(table) => table.to_owned(),
            None => path,
        };
        if let Some(rank) = rank(words, &path, None) {
            // An object that something is known of, known values, then what is only supported.
            let order = if there.objects.contains(&path) { 0 } else { 2 };
            found.push((rank, order, path, kind));
        }
    }
    let count = found.len();
    found.sort_by(|a, b| {
        let key = |hit: &(u32, u8, String, NodeKind)| (hit.0, hit.1, hit.2.len());
        key(a).cmp(&key(b)).then_with(|| a.2.cmp(&b.2))
    });
    found.truncate(limit);
    let hits = found.into_iter().map(|(_, _, path, kind)| ModelHit {
        present: there.has(&path),
        value: values
            .get(&path)
            .map(|one| value::view(one.clone(), known.model.as_ref())),
        path,
        kind,
    });
    (hits.collect(), count)
}

/// The sum of how well each word fits; `None` when one does not.
fn rank(words: &[String], path: &str, value: Option<&str>) -> Option<u32> {
    let path = path.to_lowercase();
    let value = value.map(str::to_lowercase);
    words.iter().try_fold(0, |sum, word| {
        Some(sum + fit(word, path.trim_end_matches('.'), value.as_deref())?)
    })
}

fn fit(word: &str, path: &str, value: Option<&str>) -> Option<u32> {
    let word = match word.trim_end_matches('.') {
        "" => word,
        word => word,
    };
    let starts_name = |at: usize| at == 0 || path.as_bytes()[at - 1] == b'.';
    if let Some(head) = path.strip_suffix(word)
        && (head.is_empty() || head.ends_with('.'))
    {
        return Some(fit::END);
    }
    let ends_name = |at: usize| matches!(path.as_bytes().get(at), None | Some(b'.'));
    let whole = |(at, text): (usize, &str)| starts_name(at) && ends_name(at + text.len());
    if value == Some(word) || path.match_indices(word).any(whole) {
        return Some(fit::WHOLE);
    }
    let last = path.rsplit('.').next().unwrap_or_default();
    if last.starts_with(word) {
        Some(fit::START)
    } else if last.contains(word) {
        Some(fit::WITHIN)
    } else if path.contains(word) {
        Some(fit::PATH)
    } else {
        value?.contains(word).then_some(fit::VALUE)
    }
}

/// What the values show to be there.
struct There<'a> {
    /// Objects that have a value somewhere below them, with `{i}`.
    objects: HashSet<String>,
    /// Parts of the model (`Device.ATM.`) that report more than empty tables.
    parts: HashSet<&'a str>,
    all_known: bool,
}

impl<'a> There<'a> {
    fn of(values: &'a Values, all_known: bool) -> Self {
        let mut objects = HashSet::new();
        let mut parts = HashSet::new();
        for one in values.values() {
            let shape = supported(&one.path);
            let mut end = shape.len();
            while let Some(dot) = shape[..end].rfind('.') {
                if !objects.insert(shape[..=dot].to_owned()) {
                    break;
                }
                end = dot;
            }
            let counts_nothing = one.path.ends_with("NumberOfEntries") && one.value == "0";
            if !counts_nothing && let Some(part) = part(&one.path) {
                parts.insert(part);
            }
        }
        Self {
            objects,
            parts,
            all_known: all_known && !values.is_empty(),
        }
    }

    fn has(&self, path: &str) -> bool {
        let shape = supported(path);
        let rows = shape.rfind("{i}.").map(|at| &shape[..at + 4]);
        match (rows, part(path)) {
            (Some(rows), _) if !self.objects.contains(rows) => false,
            (_, Some(part)) if self.all_known => self.parts.contains(part),
            _ => true,
        }
    }
}

/// The part of the model a path is in: its first two names. What is directly in `Device.` is in none.
fn part(path: &str) -> Option<&str> {
    let first = path.find('.')?;
    let second = path[first + 1..].find('.')?;
    Some(&path[..first + second + 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::Timestamp;
    use store::{KnownValue, ValueSource};

    fn values(pairs: &[(&str, &str)]) -> Values {
        let value = |(path, value): &(&str, &str)| {
            let one = KnownValue {
                path: (*path).to_owned(),
                value: (*value).to_owned(),
                source: ValueSource::Read,
                at: Timestamp::from_millis(1),
            };
            ((*path).to_owned(), one)
        };
        pairs.iter().map(value).collect()
    }

    /// A device that supports the whole standard.
    fn standard() -> Known {
        Known {
            model: None,
            discovered_at: None,
        }
    }

    fn device() -> Values {
        values(&[
            ("Device.ATM.LinkNumberOfEntries", "0"),
            ("Device.DHCPv4.Server.Pool.1.VendorClassID", ""),
            ("Device.DeviceInfo.SerialNumber", "ssid"),
            ("Device.Hosts.Host.1.Layer1Interface", "Device.WiFi.SSID.1"),
            ("Device.WiFi.SSID.1.Name", "wl0"),
            ("Device.WiFi.SSID.1.SSID", "home"),
        ])
    }

    fn found(text: &str, limit: usize) -> (Vec<ModelHit>, usize) {
        search(&standard(), &device(), true, &value::words(text), limit)
    }

    fn paths(text: &str, limit: usize) -> Vec<String> {
        found(text, limit)
            .0
            .into_iter()
            .map(|hit| hit.path)
            .collect()
    }

    #[test]
    fn the_object_of_that_name_comes_first_then_the_known_parameter() {
        let hits = paths("ssid", 5);
        assert_eq!(hits[..2], ["Device.WiFi.SSID.", "Device.WiFi.SSID.1.SSID"]);
        assert_eq!(paths("SSID.1.SSID", 1), ["Device.WiFi.SSID.1.SSID"]);
        assert_eq!(paths("Device.WiFi.SSID.", 1), ["Device.WiFi.SSID."]);
        assert_eq!(paths("wifi ssid name", 1), ["Device.WiFi.SSID.1.Name"]);
    }

    #[test]
    fn a_whole_value_comes_before_a_part_of_a_name() {
        let hits = paths("ssid", 1000);
        let at = |path: &str| hits.iter().position(|hit| hit == path).unwrap();
        let serial = at("Device.DeviceInfo.SerialNumber");
        assert!(serial < at("Device.DHCPv4.Server.Pool.1.VendorClassID"));
    }

    #[test]
    fn all_hits_are_counted_whatever_the_limit() {
        let (hits, count) = found("ssid", 3);
        assert_eq!(hits.len(), 3);
        assert_eq!(count, found("ssid", 10_000).0.len());
        assert!(found("no-such-thing", 3).0.is_empty());
    }

    #[test]
    fn a_command_is_there_when_its_object_is() {
        let (hits, _) = found("()", 10_000);
        let present = |path: &str| hits.iter().find(|hit| hit.path == path).unwrap().present;
        assert!(present("Device.Reboot()"));
        assert!(present("Device.WiFi.NeighboringWiFiDiagnostic()"));
        assert!(
            !present("Device.ATM.Diagnostics.F5Loopback()"),
            "only empty tables"
        );
        assert!(!present("Device.DHCPv4.Client.{i}.Renew()"), "no row");
    }

    #[test]
    fn nothing_is_called_missing_while_not_all_is_known() {
        let words = value::words("()");
        let (hits, _) = search(&standard(), &Values::new(), true, &words, 10_000);
        let present = |path: &str| hits.iter().find(|hit| hit.path == path).unwrap().present;
        assert!(present("Device.ATM.Diagnostics.F5Loopback()"));
        assert!(!present("Device.DHCPv4.Client.{i}.Renew()"));
    }
}
