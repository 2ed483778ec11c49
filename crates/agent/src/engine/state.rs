//! The values and rows the engine holds, with an undo log: changes are made in place and taken back to a mark when a
//! message fails. Deliberately ignorant of types, permissions and meaning.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::split;
use crate::storage::Entry;

/// Rows of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rows {
    /// The number the next row gets: numbers stay unused after a deletion, so that nobody mistakes a new row for the
    /// old one (R-ARC.8).
    next: u32,
    live: BTreeSet<u32>,
}

/// What to do to take one step back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Undo {
    Value(Box<str>, Option<Box<str>>),
    Inserted(Box<str>, u32, u32),
    Removed(Box<str>, u32),
    Table(Box<str>, Rows),
}

/// A place in the undo log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(usize);

impl Mark {
    /// Before everything in the log.
    pub const START: Mark = Mark(0);
}

/// What a committed message changed, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delta {
    /// Path, value before (`None`: it was at its default).
    Value(String, Option<String>),
    /// Table and instance.
    Inserted(String, u32),
    /// Table and instance.
    Removed(String, u32),
}

/// The values of one object by name, in no order: there are few, and one look-up finds all of them.
pub(crate) type Values = [Named];

/// A name and its value.
type Named = (Box<str>, Box<str>);

/// Engine-held values and rows.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By object. A path is not kept whole: most of it is its object.
    values: BTreeMap<Box<str>, Vec<Named>>,
    tables: BTreeMap<Box<str>, Rows>,
    undo: Vec<Undo>,
    /// What all values and rows take, as far as their texts say.
    bytes: usize,
}

/// The value of `name` among those of its object.
pub(crate) fn named<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
    let found = values.iter().find(|(known, _)| **known == *name);
    found.map(|(_, value)| &**value)
}

impl State {
    pub fn value(&self, path: &str) -> Option<&str> {
        let (object, name) = split(path);
        named(self.object(object), name)
    }

    /// All values of an object, by name.
    pub fn object(&self, object: &str) -> &Values {
        self.values.get(object).map_or(&[], Vec::as_slice)
    }

    /// Bytes of all paths and values, to be held against [`crate::limits::STATE_BYTES_MAX`].
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes one value and says what it was.
    fn replace(&mut self, path: &str, value: Option<Box<str>>) -> Option<Box<str>> {
        let (object, name) = split(path);
        let added = value.as_ref().map_or(0, |value| path.len() + value.len());
        let before = match (self.values.get_mut(object), value) {
            (Some(values), value) => {
                let at = values.iter().position(|(known, _)| **known == *name);
                match (at, value) {
                    (Some(at), Some(value)) => Some(std::mem::replace(&mut values[at].1, value)),
                    (Some(at), None) => {
                        let (_, before) = values.swap_remove(at);
                        if values.is_empty() {
                            self.values.remove(object);
                        }
                        Some(before)
                    }
                    (None, Some(value)) => {
                        values.push((name.into(), value));
                        None
                    }
                    (None, None) => None,
                }
            }
            (None, Some(value)) => {
                self.values
                    .insert(object.into(), vec![(name.into(), value)]);
                None
            }
            (None, None) => None,
        };
        let removed = before.as_ref().map_or(0, |value| path.len() + value.len());
        self.bytes = (self.bytes + added).saturating_sub(removed);
        before
    }

    pub fn exists(&self, table: &str, instance: u32) -> bool {
        self.tables
            .get(table)
            .is_some_and(|rows| rows.live.contains(&instance))
    }

    pub fn instances(&self, table: &str) -> impl Iterator<Item = u32> + '_ {
        self.tables
            .get(table)
            .into_iter()
            .flat_map(|rows| rows.live.iter().copied())
    }

    pub fn count(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, |rows| rows.live.len())
    }

    /// Object, name and value of everything whose object starts with `prefix`.
    pub fn values_below<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        self.values
            .range::<str, _>((
                std::ops::Bound::Included(prefix),
                std::ops::Bound::Unbounded,
            ))
            .take_while(move |(object, _)| object.starts_with(prefix))
            .flat_map(|(object, values)| {
                let each = values.iter();
                each.map(|(name, value)| (&**object, &**name, &**value))
            })
    }

    pub fn set(&mut self, path: &str, value: &str) {
        if self.value(path) == Some(value) {
            return;
        }
        let before = self.replace(path, Some(value.into()));
        self.undo.push(Undo::Value(path.into(), before));
    }

    pub fn unset(&mut self, path: &str) {
        if let Some(before) = self.replace(path, None) {
            self.undo.push(Undo::Value(path.into(), Some(before)));
        }
    }

    /// Makes a row with the next number, or with `wanted` (no effect when that exists). Returns its number.
    pub fn insert(&mut self, table: &str, wanted: Option<u32>) -> u32 {
        let rows = self.tables.entry(table.into()).or_default();
        let before = rows.next;
        let number = wanted.unwrap_or(rows.next.max(1));
        if rows.live.insert(number) {
            rows.next = rows.next.max(number.saturating_add(1));
            self.bytes += table.len();
            self.undo.push(Undo::Inserted(table.into(), number, before));
        }
        number
    }

    /// Removes a row, its values, and the tables below it.
    pub fn remove(&mut self, table: &str, instance: u32) {
        if !self
            .tables
            .get_mut(table)
            .is_some_and(|rows| rows.live.remove(&instance))
        {
            return;
        }
        self.bytes = self.bytes.saturating_sub(table.len());
        self.undo.push(Undo::Removed(table.into(), instance));
        let prefix = format!("{table}{instance}.");
        let below: Vec<Box<str>> = self
            .values_below(&prefix)
            .map(|(object, name, _)| [object, name].concat().into())
            .collect();
        for path in below {
            self.unset(&path);
        }
        let tables: Vec<Box<str>> = self
            .tables
            .range::<str, _>((
                std::ops::Bound::Included(prefix.as_str()),
                std::ops::Bound::Unbounded,
            ))
            .map(|(table, _)| table.clone())
            .take_while(|table| table.starts_with(&prefix))
            .collect();
        for table in tables {
            if let Some(rows) = self.tables.remove(&table) {
                self.bytes = self.bytes.saturating_sub(table.len() * rows.live.len());
                self.undo.push(Undo::Table(table, rows));
            }
        }
    }

    pub fn mark(&self) -> Mark {
        Mark(self.undo.len())
    }

    pub fn rollback(&mut self, mark: Mark) {
        while self.undo.len() > mark.0 {
            match self.undo.pop() {
                Some(Undo::Value(path, value)) => _ = self.replace(&path, value),
                Some(Undo::Inserted(table, number, next)) => {
                    if let Some(rows) = self.tables.get_mut(&table) {
                        rows.live.remove(&number);
                        rows.next = next;
                        self.bytes = self.bytes.saturating_sub(table.len());
                        if rows.live.is_empty() && next == 0 {
                            self.tables.remove(&table);
                        }
                    }
                }
                Some(Undo::Removed(table, number)) => {
                    self.bytes += table.len();
                    self.tables.entry(table).or_default().live.insert(number);
                }
                Some(Undo::Table(table, rows)) => {
                    self.bytes += table.len() * rows.live.len();
                    self.tables.insert(table, rows);
                }
                None => return,
            }
        }
    }

    /// What changed since the log was last cleared; a value that changed twice is listed once, with its first value
    /// before; one that is as it was is left out.
    pub fn deltas(&self) -> Vec<Delta> {
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        for step in &self.undo {
            match step {
                Undo::Value(path, before) => {
                    if seen.insert(path.clone()) && self.value(path) != before.as_deref() {
                        out.push(Delta::Value(
                            path.to_string(),
                            before.as_deref().map(str::to_owned),
                        ));
                    }
                }
                Undo::Inserted(table, number, _) => {
                    out.push(Delta::Inserted(table.to_string(), *number))
                }
                Undo::Removed(table, number) => {
                    out.push(Delta::Removed(table.to_string(), *number))
                }
                Undo::Table(table, rows) => {
                    out.extend(
                        rows.live
                            .iter()
                            .map(|number| Delta::Removed(table.to_string(), *number)),
                    );
                }
            }
        }
        out
    }

    /// The same as journal entries.
    pub fn entries(&self) -> Vec<Entry> {
        self.undo
            .iter()
            .filter_map(|step| match step {
                Undo::Value(path, _) => Some(match self.value(path) {
                    Some(value) => Entry::Set(path.to_string(), value.to_owned()),
                    None => Entry::Unset(path.to_string()),
                }),
                Undo::Inserted(table, number, _) => Some(Entry::Insert(table.to_string(), *number)),
                Undo::Removed(table, number) => Some(Entry::Remove(table.to_string(), *number)),
                // Follows from the removal of the row above it.
                Undo::Table(..) => None,
            })
            .collect()
    }

    /// The changes are final.
    pub fn forget_undo(&mut self) {
        self.undo.clear();
        self.undo.shrink_to(8);
    }

    /// Replays a journal.
    pub fn replay(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            match entry {
                Entry::Set(path, value) => _ = self.replace(&path, Some(value.into())),
                Entry::Unset(path) => _ = self.replace(&path, None),
                Entry::Insert(table, number) => _ = self.insert(&table, Some(number)),
                Entry::Remove(table, number) => self.remove(&table, number),
                Entry::Next(table, next) => {
                    let rows = self.tables.entry(table.into()).or_default();
                    rows.next = rows.next.max(next);
                }
            }
            self.undo.clear();
        }
    }

    /// Everything, as entries that replay to the same state.
    pub fn snapshot(&self) -> Vec<Entry> {
        let mut out = Vec::with_capacity(self.values.len() * 8 + self.tables.len() * 2);
        for (table, rows) in &self.tables {
            out.push(Entry::Next(table.to_string(), rows.next));
            out.extend(
                rows.live
                    .iter()
                    .map(|number| Entry::Insert(table.to_string(), *number)),
            );
        }
        // In order, so that two states that are alike have the same snapshot.
        let mut values: Vec<_> = self.values_below("").collect();
        values.sort_unstable();
        out.extend(
            values
                .into_iter()
                .map(|(object, name, value)| Entry::Set([object, name].concat(), value.to_owned())),
        );
        out
    }

    /// Forgets everything, for a factory reset.
    pub fn clear(&mut self) {
        *self = State::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn image(state: &State) -> Vec<Entry> {
        state.snapshot()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Set(u32, u8),
        Unset(u32),
        Insert,
        InsertBelow(u32),
        Remove(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..6u32, any::<u8>()).prop_map(|(n, v)| Step::Set(n, v)),
            (1..6u32).prop_map(Step::Unset),
            Just(Step::Insert),
            (1..6u32).prop_map(Step::InsertBelow),
            (1..6u32).prop_map(Step::Remove),
        ]
    }

    fn apply(state: &mut State, step: &Step) {
        match step {
            Step::Set(n, v) if state.exists("T.", *n) => {
                state.set(&format!("T.{n}.V"), &v.to_string())
            }
            Step::Unset(n) => state.unset(&format!("T.{n}.V")),
            Step::Insert => _ = state.insert("T.", None),
            Step::InsertBelow(n) if state.exists("T.", *n) => {
                _ = state.insert(&format!("T.{n}.S."), None)
            }
            Step::Remove(n) => state.remove("T.", *n),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn rollback_restores_and_the_journal_replays_to_the_same_state(
            before in prop::collection::vec(step(), 0..30),
            after in prop::collection::vec(step(), 0..30),
        ) {
            let mut state = State::default();
            let mut journal = Vec::new();
            for step in &before {
                apply(&mut state, step);
                journal.extend(state.entries());
                state.forget_undo();
            }
            let image_before = image(&state);
            let mark = state.mark();
            for step in &after {
                apply(&mut state, step);
            }
            journal.extend(state.entries());
            let image_after = image(&state);
            let bytes_after = state.bytes();
            state.rollback(mark);
            prop_assert_eq!(image(&state), image_before);

            // Next numbers of tables inside of deleted rows are not kept, so compare what can be seen.
            let mut replayed = State::default();
            replayed.replay(journal);
            prop_assert_eq!(image(&replayed), image_after.clone());
            let mut from_snapshot = State::default();
            from_snapshot.replay(image_after.clone());
            prop_assert_eq!(image(&from_snapshot), image_after);
            prop_assert_eq!(from_snapshot.bytes(), bytes_after);
            let mut all = state.instances("T.").collect::<Vec<_>>();
            for n in all.drain(..) {
                state.remove("T.", n);
            }
            prop_assert_eq!(state.bytes(), 0);
        }
    }

    /// R-ARC.8
    #[test]
    fn instance_numbers_are_not_given_twice() {
        let mut state = State::default();
        assert_eq!(state.insert("T.", None), 1);
        state.remove("T.", 1);
        assert_eq!(state.insert("T.", None), 2);
    }
}
