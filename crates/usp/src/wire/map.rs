//! The string maps of USP: parameters, keys and arguments by name.
//! Deliberately not a hash map: they are small, mostly iterated, and people like the order in
//! which the device sent them.

use std::fmt;

/// Strings by string, in the order of arrival. One buffer holds the texts of all entries: a large answer has thousands,
/// and to allocate each of them apart is most of the work of decoding one.
#[derive(Clone, Default)]
pub struct Map {
    text: String,
    /// Where the name and the value of each entry end; each starts where the one before ends.
    ends: Vec<(usize, usize)>,
}

impl Map {
    /// An empty map, without heap.
    pub const fn new() -> Self {
        Self {
            text: String::new(),
            ends: Vec::new(),
        }
    }

    /// An empty map with room.
    pub fn with_capacity(entries: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(entries),
        }
    }

    /// The value of a name; of doubled names the last one, as protobuf has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut backwards = self.iter().rev();
        backwards
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Sets a name, replacing what it had.
    pub fn insert(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        if self.get(name).is_none() {
            return self.push(name, value);
        }
        let others = self.iter().filter(|(known, _)| *known != name);
        *self = others.chain([(name, value)]).collect();
    }

    /// Appends an entry whose name is known to be new.
    pub fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name_end = self.text.len();
        self.text.push_str(value);
        self.ends.push((name_end, self.text.len()));
    }

    /// Appends an entry as it comes from the wire.
    pub(crate) fn push_entry(&mut self, (name, value): (&str, &str)) {
        self.push(name, value);
    }

    /// Names and values, in order of arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + DoubleEndedIterator {
        (0..self.ends.len()).map(|at| {
            let start = at.checked_sub(1).map_or(0, |before| self.ends[before].1);
            let (name_end, end) = self.ends[at];
            (&self.text[start..name_end], &self.text[name_end..end])
        })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn sorted(&self) -> Vec<(&str, &str)> {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_unstable();
        entries
    }
}

/// Order does not count.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        let alike = self.ends == other.ends && self.text == other.text;
        alike || self.len() == other.len() && self.sorted() == other.sorted()
    }
}

impl Eq for Map {}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Extend<(K, V)> for Map {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (name, value) in entries {
            self.push(name.as_ref(), value.as_ref());
        }
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> From<[(K, V); N]> for Map {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl IntoIterator for Map {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.iter().map(owned).collect::<Vec<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_doubled_names_wins_and_order_does_not_count() {
        let mut map = Map::from([("a", "1"), ("b", "2")]);
        assert_eq!(map, Map::from([("b", "2"), ("a", "1")]));
        map.push_entry(("a", "3"));
        assert_eq!(map.get("a"), Some("3"));
        assert_ne!(map, Map::from([("b", "2"), ("a", "1")]));
    }

    #[test]
    fn insert_replaces() {
        let mut map = Map::from([("a", "1")]);
        map.insert("a", "2");
        map.insert("b", "3");
        assert_eq!(map, Map::from([("a", "2"), ("b", "3")]));
        map.insert("a", "");
        assert_eq!(
            (map.len(), map.get("a"), map.get("b")),
            (2, Some(""), Some("3"))
        );
    }
}
