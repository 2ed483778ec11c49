//! How CPEs of one kind want to be asked: what their faults have taught, kept for a model with one
//! firmware, and what the quirk packs know before.

use std::collections::BTreeSet;

use cwmp::rpc::Method;
use serde::{Deserialize, Serialize};

use super::limits::{BATCH_BLAMED_MIN, READ_BATCH, WRITE_BATCH};
use super::quirks::Quirks;

/// What was learned. Unknown fields of a later version are left out, missing ones are not learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Habits {
    /// Parameters that it takes in one GetParameterValues.
    pub read_batch: usize,
    /// Parameters that it takes in one SetParameterValues.
    pub write_batch: usize,
    /// It lists its whole tree at once.
    pub lists_all: bool,
    /// It reads all below an object at once.
    pub reads_objects: bool,
    /// It lists one level only when asked for one.
    pub lists_levels: bool,
    /// Methods it does not have, by name.
    pub absent: BTreeSet<String>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            read_batch: READ_BATCH,
            write_batch: WRITE_BATCH,
            lists_all: true,
            reads_objects: true,
            lists_levels: true,
            absent: BTreeSet::new(),
        }
    }
}

impl Habits {
    /// What was learned before, as far as it can be read, within what the pack says.
    pub fn of(kept: Option<&[u8]>, quirks: &Quirks) -> Self {
        let mut habits: Self = kept
            .and_then(|text| serde_json::from_slice(text).ok())
            .unwrap_or_default();
        let bounded = |batch: usize, most: Option<usize>, ours: usize| {
            batch.clamp(1, most.unwrap_or(ours).min(ours).max(1))
        };
        habits.read_batch = bounded(habits.read_batch, quirks.read_batch, READ_BATCH);
        habits.write_batch = bounded(habits.write_batch, quirks.write_batch, WRITE_BATCH);
        habits.lists_all &= !quirks.never_lists_all;
        habits.reads_objects &= !quirks.never_reads_objects;
        habits.lists_levels &= !quirks.never_lists_levels;
        habits
    }

    /// As it is kept.
    pub fn kept(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// So many were too much to read.
    pub fn read_less(&mut self, than: usize) {
        self.read_batch = self.read_batch.min((than / 2).max(1));
    }

    /// So many were too much to write.
    pub fn write_less(&mut self, than: usize) {
        self.write_batch = self.write_batch.min((than / 2).max(1));
    }

    /// A session ended over reading so many.
    pub fn broke_reading(&mut self, count: usize) {
        if count > BATCH_BLAMED_MIN {
            self.read_batch = self.read_batch.min((count / 2).max(BATCH_BLAMED_MIN));
        }
    }

    /// A method that is not there.
    pub fn lacks(&mut self, method: Method) {
        self.absent.insert(method.name().to_owned());
    }

    /// Whether a method is known not to be there.
    pub fn is_absent(&self, method: Method) -> bool {
        self.absent.contains(method.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_reads_back_and_nonsense_is_as_nothing_learned() {
        let mut habits = Habits::default();
        habits.read_less(40);
        habits.lacks(Method::Upload);
        habits.lists_all = false;
        let again = Habits::of(Some(&habits.kept()), &Quirks::default());
        assert_eq!(again, habits);
        assert_eq!(
            (again.read_batch, again.is_absent(Method::Upload)),
            (20, true)
        );
        for text in ["", "{", "[]", "{\"read_batch\":0}"] {
            let habits = Habits::of(Some(text.as_bytes()), &Quirks::default());
            assert!(habits.read_batch >= 1 && habits.lists_all, "{text}");
        }
    }

    #[test]
    fn a_pack_bounds_what_is_asked_at_once() {
        let quirks = Quirks {
            read_batch: Some(10),
            never_lists_all: true,
            ..Quirks::default()
        };
        let habits = Habits::of(None, &quirks);
        assert_eq!((habits.read_batch, habits.lists_all), (10, false));
    }

    #[test]
    fn a_small_request_is_not_blamed_for_a_broken_session() {
        let mut habits = Habits::default();
        habits.broke_reading(BATCH_BLAMED_MIN);
        assert_eq!(habits, Habits::default());
        habits.broke_reading(100);
        assert_eq!(habits.read_batch, 50);
        habits.broke_reading(10);
        assert_eq!(habits.read_batch, BATCH_BLAMED_MIN);
    }
}
