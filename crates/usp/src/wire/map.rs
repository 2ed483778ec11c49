//! The string maps of USP: parameters, keys and arguments by name.
//! Deliberately not a hash map: they are small, mostly iterated, and people like the order in
//! which the device sent them.

use std::fmt;

/// Strings by string, in the order of arrival.
#[derive(Clone, Default)]
pub struct Map(Vec<(String, String)>);

impl Map {
    /// An empty map, without heap.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of a name; of doubled names the last one, as protobuf has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Sets a name, replacing what it had.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Appends an entry as it comes from the wire.
    pub(crate) fn push_entry(&mut self, entry: (String, String)) {
        self.0.push(entry);
    }

    /// Names and values, in order of arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + DoubleEndedIterator {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        self.len() == other.len() && (self.0 == other.0 || self.sorted() == other.sorted())
    }
}

impl Eq for Map {}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self(
            entries
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for Map {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        self.0.extend(
            entries
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Map {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl IntoIterator for Map {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_doubled_names_wins_and_order_does_not_count() {
        let mut map = Map::from([("a", "1"), ("b", "2")]);
        assert_eq!(map, Map::from([("b", "2"), ("a", "1")]));
        map.push_entry(("a".into(), "3".into()));
        assert_eq!(map.get("a"), Some("3"));
        assert_ne!(map, Map::from([("b", "2"), ("a", "1")]));
    }

    #[test]
    fn insert_replaces() {
        let mut map = Map::from([("a", "1")]);
        map.insert("a", "2");
        map.insert("b", "3");
        assert_eq!(map, Map::from([("a", "2"), ("b", "3")]));
    }
}
