//! Adding a row: remember the rows there are, add once, find the new one if the answer is lost.

use super::{Operation, OperationState, OutcomeState, Phase, Request, verify::same_at};
use crate::limits;
use crate::southbound::{AddResult, PathValue, Protocol, ReadResult, Row};
use crate::time::Timestamp;

/// Stands for "too many rows to remember".
const UNKNOWN_ROWS: &str = "*";

impl Operation {
    pub(super) fn rows_before(&mut self, results: Vec<ReadResult<Row>>, now: Timestamp) {
        let mut known = Vec::new();
        for result in results {
            match result.result {
                Ok(rows) => known.extend(rows.into_iter().map(|r| r.path)),
                Err(fault) => {
                    let state = OutcomeState::Refused {
                        fault: fault.clone(),
                    };
                    self.outcome.set(&result.requested, state);
                    self.fault(fault);
                    let why = "the table cannot be listed";
                    self.finish(OperationState::Failed, Some(why), now);
                    return;
                }
            }
        }
        if known.len() > limits::ADD_KNOWN_ROWS_MAX {
            known = vec![UNKNOWN_ROWS.to_owned()];
        }
        self.progress.known_rows = known;
        self.enter(Phase::Act);
    }

    pub(super) fn add_answered(&mut self, results: Vec<AddResult>, now: Timestamp) {
        for result in results {
            match result.result {
                Ok(created) => {
                    match created.after_restart {
                        true => self.outcome.accept_for_later(&created.path),
                        false => self.outcome.set(&created.path, OutcomeState::Accepted),
                    }
                    for (name, fault) in created.faults {
                        let path = format!("{}{name}", created.path);
                        self.outcome.set(&path, OutcomeState::Refused { fault });
                    }
                    self.outcome.keep_outputs(created.keys);
                    self.progress.rows.push(created.path);
                }
                Err(fault) => {
                    self.outcome
                        .set(&result.requested, OutcomeState::Refused { fault });
                }
            }
        }
        if self.outcome.paths.is_empty() {
            let why = "the device answered without naming a row";
            self.finish(OperationState::Unconfirmed, Some(why), now);
        } else {
            self.verify(now);
        }
    }

    /// The rows there are after an Add whose answer was lost.
    pub(super) fn rows_after(&mut self, results: Vec<ReadResult<Row>>, now: Timestamp) {
        let Request::Add { object, values } = &self.request else {
            return;
        };
        let rows: Vec<String> = results
            .into_iter()
            .filter_map(|r| r.result.ok())
            .flatten()
            .map(|r| r.path)
            .filter(|p| is_row_of(p, object) && !self.progress.known_rows.contains(p))
            .collect();
        if self.progress.known_rows.iter().any(|r| r == UNKNOWN_ROWS) {
            let why = "its answer was lost, and the table is too long to find the row";
            self.finish(OperationState::Unconfirmed, Some(why), now);
        } else if rows.is_empty() {
            let table = object.clone();
            self.outcome.set(&table, OutcomeState::Unknown);
            // A CPE may put a new row in force when it starts anew, and list it from then on.
            let (state, why) = match self.progress.over {
                Some(Protocol::Cwmp) => (
                    OperationState::Unconfirmed,
                    "its answer was lost; the table holds no new row, which may come with a restart",
                ),
                _ => (
                    OperationState::Failed,
                    "its answer was lost; the table holds no new row, so it did not happen",
                ),
            };
            self.finish(state, Some(why), now);
        } else if values.is_empty() || rows.len() > limits::OPERATION_PATHS_MAX {
            let why = "its answer was lost; there are new rows, and nothing tells which is ours";
            self.finish(OperationState::Unconfirmed, Some(why), now);
        } else {
            self.progress.rows = rows;
        }
    }

    /// The values of the new rows: the one that holds all we asked for is ours.
    pub(super) fn candidates(&mut self, found: &[PathValue], now: Timestamp) {
        let Request::Add { values, .. } = &self.request else {
            return;
        };
        let ours: Vec<String> = self
            .progress
            .rows
            .iter()
            .filter(|row| {
                values.iter().all(|(name, wanted)| {
                    let path = format!("{row}{name}");
                    found
                        .iter()
                        .any(|v| v.path == path && same_at(&path, wanted, &v.value))
                })
            })
            .cloned()
            .collect();
        let [row] = ours.as_slice() else {
            let why = "its answer was lost; no single new row is the one asked for";
            self.finish(OperationState::Unconfirmed, Some(why), now);
            return;
        };
        self.outcome.set(row, OutcomeState::Accepted);
        self.progress.rows = ours;
        self.read_rows(found);
        self.outcome.keep_after(found.iter().cloned());
        let why = "its answer was lost; the row was found by its values";
        self.finish(self.outcome.verdict(), Some(why), now);
    }

    /// Compares what the new rows read with what was asked.
    pub(super) fn read_rows(&mut self, found: &[PathValue]) {
        let Request::Add { values, .. } = &self.request else {
            return;
        };
        let values = values.clone();
        for row in self.progress.rows.clone() {
            if found.iter().any(|v| v.path.starts_with(&row)) {
                self.outcome.set(&row, OutcomeState::Done);
            }
            // Of one that is in force later the values it begins with may still be read.
            let is_later = |p: &super::PathOutcome| p.path == row && p.after_restart;
            if self.outcome.paths.iter().any(is_later) {
                continue;
            }
            for (name, wanted) in &values {
                let path = format!("{row}{name}");
                let refused = self.outcome.paths.iter().any(|p| p.path == path);
                let Some(read) = found.iter().find(|v| v.path == path) else {
                    continue;
                };
                if refused || same_at(&path, wanted, &read.value) {
                    continue;
                }
                if !super::verify::is_hidden(&path, &read.value) {
                    self.outcome.set(&path, super::verify::differs(read));
                }
            }
        }
    }
}

/// A direct row of a table: `Device.A.` has `Device.A.3.`.
fn is_row_of(path: &str, table: &str) -> bool {
    path.strip_prefix(table)
        .and_then(|rest| rest.strip_suffix('.'))
        .map_or_else(|| super::verify::is_search(table), |n| !n.contains('.'))
}
