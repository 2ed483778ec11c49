//! Which TR-181 row number each TR-098 instance has, remembered so that it never moves while the instance lives.
//!
//! The rule: a row keeps the number its TR-098 instance has (the last one in its path) when nobody has it, else it gets
//! the lowest number that is free; instances are looked at in the order of the table's sources and then of their
//! numbers. What was given stays given: also to an instance that is gone, until [`limits::MAPPING_NUMBERS_MAX`] makes
//! the mapping forget those. Whoever keeps the text of a `Numbers` with the device and hands it in again gets the same
//! numbers after a restart, on any node, whatever came and went meanwhile. Without it the numbers follow from the tree
//! alone, so a device with one instance of everything needs no memory.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

use crate::limits;

/// The numbers given so far, by table and TR-098 instance. Prints as one line an entry and reads it again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbers {
    tables: BTreeMap<String, BTreeMap<String, u32>>,
}

/// A text that is not of numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not `table instance number`")]
pub struct NumbersError {
    /// From 1.
    pub line: usize,
}

impl Numbers {
    /// The number of an instance, if it has one. The instance is the TR-098 path without its root.
    pub fn of(&self, table: &str, instance: &str) -> Option<u32> {
        self.tables.get(table)?.get(instance).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tables.values().map(BTreeMap::len).sum()
    }

    /// Nobody has a number.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub(super) fn give(&mut self, table: &str, instance: &str, number: u32) {
        let rows = self.tables.entry(table.to_owned()).or_default();
        rows.insert(instance.to_owned(), number);
    }

    /// Forgets instances that `is_alive` does not know, oldest path first, until there are no more than the limit.
    pub(super) fn prune(&mut self, is_alive: impl Fn(&str, &str) -> bool) {
        let mut excess = self.len().saturating_sub(limits::MAPPING_NUMBERS_MAX);
        for (table, rows) in &mut self.tables {
            rows.retain(|instance, _| {
                let goes = excess > 0 && !is_alive(table, instance);
                excess -= usize::from(goes);
                !goes
            });
        }
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (table, rows) in &self.tables {
            for (instance, number) in rows {
                writeln!(f, "{table} {instance} {number}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Numbers {
    type Err = NumbersError;

    fn from_str(text: &str) -> Result<Numbers, NumbersError> {
        let mut numbers = Numbers::default();
        for (n, line) in text.lines().enumerate() {
            let mut words = line.split(' ');
            let entry = (words.next(), words.next(), words.next(), words.next());
            let number = match entry {
                (Some(_), Some(_), Some(number), None) => number.parse().ok().filter(|n| *n > 0),
                _ => None,
            };
            match (entry, number) {
                ((Some(table), Some(instance), ..), Some(number)) => {
                    numbers.give(table, instance, number);
                }
                _ => return Err(NumbersError { line: n + 1 }),
            }
        }
        Ok(numbers)
    }
}

/// Gives numbers of one table.
pub(super) struct Giver<'a> {
    table: &'a str,
    taken: HashSet<u32>,
    lowest: u32,
}

impl<'a> Giver<'a> {
    pub(super) fn new(table: &'a str, numbers: &Numbers) -> Giver<'a> {
        let rows = numbers.tables.get(table);
        Giver {
            table,
            taken: rows
                .into_iter()
                .flat_map(|rows| rows.values().copied())
                .collect(),
            lowest: 1,
        }
    }

    /// The number of `instance`: the one it has, the `own` one, or the lowest free one.
    pub(super) fn number(
        &mut self,
        numbers: &mut Numbers,
        instance: &str,
        own: Option<u32>,
    ) -> u32 {
        match numbers.of(self.table, instance) {
            Some(number) => number,
            None => self.fresh(numbers, instance, own),
        }
    }

    /// A number that nobody has, whatever `instance` has now.
    pub(super) fn fresh(&mut self, numbers: &mut Numbers, instance: &str, own: Option<u32>) -> u32 {
        let own = own.filter(|own| *own > 0 && !self.taken.contains(own));
        let number = own.unwrap_or_else(|| {
            while self.taken.contains(&self.lowest) {
                self.lowest += 1;
            }
            self.lowest
        });
        self.taken.insert(number);
        numbers.give(self.table, instance, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(numbers: &mut Numbers, instances: &[(&str, u32)]) -> Vec<u32> {
        let mut giver = Giver::new("t", &numbers.clone());
        let number = |(instance, own): &(&str, u32)| giver.number(numbers, instance, Some(*own));
        instances.iter().map(number).collect()
    }

    #[test]
    fn a_row_keeps_its_own_number_or_gets_the_lowest_that_nobody_has() {
        let mut numbers = Numbers::default();
        let all = [("A.1.", 1), ("A.3.", 3), ("B.1.", 1), ("B.3.", 3)];
        assert_eq!(give(&mut numbers, &all), [1, 3, 2, 4]);
    }

    #[test]
    fn what_was_given_stays_whatever_comes_and_goes_and_is_not_given_again() {
        let mut numbers = Numbers::default();
        give(&mut numbers, &[("A.1.", 1), ("B.1.", 1), ("C.1.", 1)]);
        let again: Numbers = numbers.to_string().parse().unwrap();
        assert_eq!(again, numbers);
        let mut numbers = again;
        assert_eq!(
            give(&mut numbers, &[("B.1.", 1), ("C.1.", 1), ("D.1.", 1)]),
            [2, 3, 4]
        );
    }

    #[test]
    fn only_the_gone_are_forgotten_and_only_when_there_are_too_many() {
        let mut numbers = Numbers::default();
        let max = u32::try_from(limits::MAPPING_NUMBERS_MAX).unwrap();
        for n in 1..=max {
            numbers.give("t", &format!("A.{n}."), n);
        }
        numbers.prune(|_, _| false);
        assert_eq!(numbers.len(), limits::MAPPING_NUMBERS_MAX);
        numbers.give("t", "B.", max + 1);
        numbers.prune(|_, instance| instance == "B." || instance == "A.1.");
        assert_eq!(numbers.len(), limits::MAPPING_NUMBERS_MAX);
        assert!(numbers.of("t", "A.1.").is_some() && numbers.of("t", "B.").is_some());
    }

    #[test]
    fn a_damaged_text_is_refused_with_its_line() {
        assert_eq!(
            "t A. 1\nt A.".parse::<Numbers>(),
            Err(NumbersError { line: 2 })
        );
        assert_eq!("t A. 0".parse::<Numbers>(), Err(NumbersError { line: 1 }));
    }
}
