//! How CPEs of one kind want to be asked: what their faults have taught, kept for a model with one
//! firmware, and what the quirk packs know before.

use std::collections::{BTreeMap, BTreeSet};

use cwmp::fault::{FaultCode, Retry};
use cwmp::rpc::Method;
use dm::path::supported_text;
use fleet::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::{
    BATCH_BLAMED_MIN, BREAK_LIFE, OFFENCES_MAX, OFFENDERS_MAX, READ_BATCH, WRITE_BATCH,
};
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
    /// Names, without the numbers of rows, over which sessions broke off, and how often.
    pub offenders: BTreeMap<String, u8>,
    /// When a broken session last taught something, in milliseconds; 0 is never.
    pub broke_at: i64,
    /// What was known before the first of them: faults are not accidents, broken sessions may be.
    pub before: Option<Box<Habits>>,
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
            offenders: BTreeMap::new(),
            broke_at: 0,
            before: None,
        }
    }
}

impl Habits {
    /// What was learned before, as far as it can be read and is not too long ago, within what the
    /// pack says.
    pub fn of(kept: Option<&[u8]>, quirks: &Quirks, now: Timestamp) -> Self {
        let mut habits: Self = kept
            .and_then(|text| serde_json::from_slice(text).ok())
            .unwrap_or_default();
        let broke_at = Timestamp::from_millis(habits.broke_at);
        if let Some(before) = habits.before.take_if(|_| now.since(broke_at) > BREAK_LIFE) {
            habits = *before;
        }
        let bounded = |batch: usize, most: Option<usize>, ours: usize| {
            batch.clamp(1, most.unwrap_or(ours).min(ours).max(1))
        };
        habits.read_batch = bounded(habits.read_batch, quirks.read_batch, READ_BATCH);
        habits.write_batch = bounded(habits.write_batch, quirks.write_batch, WRITE_BATCH);
        habits.lists_all &= quirks.never_lists_all != Some(true);
        habits.reads_objects &= quirks.never_reads_objects != Some(true);
        habits.lists_levels &= quirks.never_lists_levels != Some(true);
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

    /// A session broke off, which teaches something. How it was before is remembered.
    fn broke(&mut self, now: Timestamp, lesson: impl FnOnce(&mut Self)) {
        let was = self.clone();
        lesson(self);
        if *self != was {
            self.broke_at = now.as_millis();
            self.before.get_or_insert_with(|| Box::new(was));
        }
    }

    /// A session broke off over reading these.
    pub fn broke_reading(&mut self, names: &[String], now: Timestamp) {
        self.broke(now, |habits| match names.len() > BATCH_BLAMED_MIN {
            true => {
                let less = (names.len() / 2).max(BATCH_BLAMED_MIN);
                habits.read_batch = habits.read_batch.min(less);
            }
            false => names.iter().for_each(|name| habits.blame(name)),
        });
    }

    /// A session broke off over writing so many.
    pub fn broke_writing(&mut self, count: usize, now: Timestamp) {
        self.broke(now, |habits| {
            if count > BATCH_BLAMED_MIN {
                let less = (count / 2).max(BATCH_BLAMED_MIN);
                habits.write_batch = habits.write_batch.min(less);
            }
        });
    }

    /// A session broke off over reading an object.
    pub fn broke_over_object(&mut self, now: Timestamp) {
        self.broke(now, |habits| habits.reads_objects = false);
    }

    /// A session broke off over listing the whole tree.
    pub fn broke_over_tree(&mut self, now: Timestamp) {
        self.broke(now, |habits| habits.lists_all = false);
    }

    /// A session broke off over listing an object.
    pub fn broke_listing(&mut self, object: &str, now: Timestamp) {
        self.broke(now, |habits| habits.blame(object));
    }

    fn blame(&mut self, name: &str) {
        let name = supported_text(name);
        if self.offenders.len() < OFFENDERS_MAX || self.offenders.contains_key(&name) {
            let offences = self.offenders.entry(name).or_default();
            *offences = offences.saturating_add(1).min(OFFENCES_MAX);
        }
    }

    /// Whether a session broke off over this name, or over few of which it was one: it is asked alone.
    pub fn is_suspect(&self, name: &str) -> bool {
        !self.offenders.is_empty() && self.offenders.contains_key(&supported_text(name))
    }

    /// Whether too many sessions broke off over this name: it is not asked any more.
    pub fn is_offender(&self, name: &str) -> bool {
        let known = self.is_suspect(name);
        known && self.offenders.get(&supported_text(name)) == Some(&OFFENCES_MAX)
    }

    /// It was asked alone, and the session goes on: it was not the reason.
    pub fn acquit(&mut self, name: &str) {
        if !self.offenders.is_empty() {
            self.offenders.remove(&supported_text(name));
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

/// Whether a refusal is about how many there are. An internal error may be about anything; more
/// than some few are worth another try.
pub fn is_too_much(code: FaultCode, count: usize) -> bool {
    match code {
        FaultCode::RESOURCES_EXCEEDED => count > 1,
        code => code.retry() == Retry::Smaller && count > BATCH_BLAMED_MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn what_was_learned_reads_back_and_nonsense_is_as_nothing_learned() {
        let mut habits = Habits::default();
        habits.read_less(40);
        habits.lacks(Method::Upload);
        habits.lists_all = false;
        let again = Habits::of(Some(&habits.kept()), &Quirks::default(), AT);
        assert_eq!(again, habits);
        assert_eq!(
            (again.read_batch, again.is_absent(Method::Upload)),
            (20, true)
        );
        for text in ["", "{", "[]", "{\"read_batch\":0}"] {
            let habits = Habits::of(Some(text.as_bytes()), &Quirks::default(), AT);
            assert!(habits.read_batch >= 1 && habits.lists_all, "{text}");
        }
    }

    #[test]
    fn a_pack_bounds_what_is_asked_at_once() {
        let quirks = Quirks {
            read_batch: Some(10),
            never_lists_all: Some(true),
            ..Quirks::default()
        };
        let habits = Habits::of(None, &quirks, AT);
        assert_eq!((habits.read_batch, habits.lists_all), (10, false));
    }

    fn names(count: usize) -> Vec<String> {
        (1..=count)
            .map(|n| format!("Device.X.{n}.A{n}.B"))
            .collect()
    }

    #[test]
    fn a_session_that_breaks_halves_what_is_asked_down_to_where_a_name_is_the_reason() {
        let mut habits = Habits::default();
        habits.broke_reading(&names(100), AT);
        assert_eq!(habits.read_batch, 50);
        habits.broke_reading(&names(10), AT);
        assert_eq!(habits.read_batch, BATCH_BLAMED_MIN);
        habits.broke_writing(40, AT);
        assert_eq!(habits.write_batch, 20);
        assert!(habits.offenders.is_empty());
        habits.broke_reading(&names(BATCH_BLAMED_MIN), AT);
        assert_eq!(habits.read_batch, BATCH_BLAMED_MIN);
        assert_eq!(habits.offenders.len(), BATCH_BLAMED_MIN);
    }

    /// `OFFENCES_MAX`, `OFFENDERS_MAX`
    #[test]
    fn a_name_that_breaks_sessions_is_asked_alone_and_then_no_more() {
        let mut habits = Habits::default();
        habits.broke_reading(&names(2), AT);
        // Of another row it is the same name.
        let (bad, good) = ("Device.X.9.A1.B", "Device.X.9.A2.B");
        assert!(habits.is_suspect(bad) && habits.is_suspect(good));
        habits.acquit(good);
        for _ in 1..OFFENCES_MAX {
            assert!(!habits.is_offender(bad));
            habits.broke_reading(&[bad.to_owned()], AT);
        }
        assert!(habits.is_offender(bad) && !habits.is_suspect(good));
        for n in 0..OFFENDERS_MAX {
            habits.broke_reading(&[format!("Device.Y.P{n}")], AT);
        }
        assert_eq!(habits.offenders.len(), OFFENDERS_MAX);
        assert!(habits.is_offender(bad));
    }

    /// `BREAK_LIFE`
    #[test]
    fn what_broken_sessions_taught_is_forgotten_after_a_time_and_what_faults_taught_is_not() {
        let mut habits = Habits::default();
        habits.read_less(60);
        let faults = habits.clone();
        habits.broke_reading(&names(30), AT);
        habits.broke_over_object(AT);
        let kept = habits.kept();
        let quirks = Quirks::default();
        let at = |now| Habits::of(Some(&kept), &quirks, now);
        assert_eq!(at(AT.plus(BREAK_LIFE)), habits);
        let later = AT.plus(BREAK_LIFE + std::time::Duration::from_secs(1));
        assert_eq!(at(later), faults);
    }
}
