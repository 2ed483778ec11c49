//! Rows that come and go: by the word of the ACS, or of the device itself.

use cwmp::fault::FaultCode;

use super::{At, Node, Rows, Tree};

/// Rows of one table, so that an ACS that adds without end is refused.
const ROWS_MAX: usize = 64;

impl Tree {
    /// Replaces the rows of a table of results.
    pub(in crate::cwmp) fn fill_table(&mut self, table: &str, rows: Vec<u32>) {
        self.own.values.retain(|path, _| !path.starts_with(table));
        let rows = Rows {
            next: rows.len() as u32 + 1,
            there: rows,
        };
        self.own.rows.insert(table.to_owned(), rows);
    }

    /// The rows of a table, as its paths.
    pub(in crate::cwmp) fn listed(&self, at: At, table: &str) -> Vec<String> {
        let numbers = self.rows(at, table).into_iter();
        numbers.map(|number| format!("{table}{number}.")).collect()
    }

    /// Makes a row for the ACS; its number.
    pub(in crate::cwmp) fn add(&mut self, at: At, table: &str) -> Result<u32, FaultCode> {
        match self.node(at, table) {
            Some(Node::Table(object)) if object.access.can_add() => self.grow(at, table),
            _ => Err(FaultCode::INVALID_PARAMETER_NAME),
        }
    }

    /// Makes a row of the device's own; its number.
    pub(in crate::cwmp) fn grow(&mut self, at: At, table: &str) -> Result<u32, FaultCode> {
        let rows = self.rows_mut(at, table);
        if rows.there.len() >= ROWS_MAX {
            return Err(FaultCode::RESOURCES_EXCEEDED);
        }
        let number = rows.next;
        rows.there.push(number);
        rows.next += 1;
        Ok(number)
    }

    fn rows_mut(&mut self, at: At, table: &str) -> &mut Rows {
        let there = self.rows(at, table);
        let next = there.iter().max().map_or(1, |last| last + 1);
        let fresh = Rows { there, next };
        self.own.rows.entry(table.to_owned()).or_insert(fresh)
    }

    /// Removes a row for the ACS, and all below.
    pub(in crate::cwmp) fn delete(&mut self, at: At, path: &str) -> Result<(), FaultCode> {
        match self.node(at, path) {
            Some(Node::Object(object)) if object.multi && object.access.can_delete() => {
                self.shrink(at, path)
            }
            _ => Err(FaultCode::INVALID_PARAMETER_NAME),
        }
    }

    /// Removes a row, and all below.
    pub(in crate::cwmp) fn shrink(&mut self, at: At, path: &str) -> Result<(), FaultCode> {
        let unknown = FaultCode::INVALID_PARAMETER_NAME;
        let row = path.trim_end_matches('.').rsplit_once('.');
        let (table, number) = row.ok_or(unknown)?;
        let number: u32 = number.parse().map_err(|_| unknown)?;
        let rows = self.rows_mut(at, &format!("{table}."));
        rows.there.retain(|known| *known != number);
        let below = |known: &String| known.starts_with(path);
        self.own.values.retain(|known, _| !below(known));
        self.own.rows.retain(|known, _| !below(known));
        self.own.notify.retain(|known, _| !below(known));
        self.own.told.retain(|known, _| !below(known));
        Ok(())
    }
}
