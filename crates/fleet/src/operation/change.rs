//! What a device answered to a change, and what was read after it.

use super::verify::{is_search, wanted_for};
use super::{Operation, OperationState, OutcomeState, Phase, Request};
use crate::southbound::{DeleteResult, Fault, PathValue, WriteResult};
use crate::time::Timestamp;

/// 7016 Object does not exist, which some devices say of a row that is not there.
fn is_nothing_there(fault: &Fault) -> bool {
    fault.code == 7016
}

impl Operation {
    pub(super) fn set_answered(&mut self, results: Vec<WriteResult>, now: Timestamp) {
        let Request::Set { values, .. } = &self.request else {
            return;
        };
        let requested: Vec<String> = values.iter().map(|v| v.path.clone()).collect();
        for path in requested.iter().filter(|p| !is_search(p)) {
            self.outcome.set(path, OutcomeState::Accepted);
        }
        for result in results {
            match result.result {
                Ok(_) => self.outcome.set(&result.path, OutcomeState::Accepted),
                Err(fault) if result.path.ends_with('.') => {
                    let mut hit = false;
                    for path in requested.iter().filter(|p| p.starts_with(&result.path)) {
                        self.outcome.set(
                            path,
                            OutcomeState::Refused {
                                fault: fault.clone(),
                            },
                        );
                        hit = true;
                    }
                    if !hit {
                        self.outcome
                            .set(&result.path, OutcomeState::Refused { fault });
                    }
                }
                Err(fault) => self
                    .outcome
                    .set(&result.path, OutcomeState::Refused { fault }),
            }
        }
        for path in requested.iter().filter(|p| is_search(p)) {
            let hit = self
                .outcome
                .paths
                .iter()
                .any(|p| crate::model::supported(&p.path) == crate::model::supported(path));
            if !hit {
                let fault = Fault::new(7016, "no object matches");
                self.outcome.set(path, OutcomeState::Refused { fault });
            }
        }
        self.verify(now);
    }

    pub(super) fn verify(&mut self, now: Timestamp) {
        if self.outcome.paths.iter().any(|p| p.state.is_done()) {
            self.enter(Phase::ReadBack);
            self.state = OperationState::Verifying;
        } else {
            self.finish(self.outcome.verdict(), None, now);
        }
    }

    pub(super) fn delete_answered(&mut self, results: Vec<DeleteResult>, now: Timestamp) {
        for result in results {
            match result.result {
                Ok(gone) => {
                    // Nothing to delete is a success too (R-DEL.2a), of a kind.
                    if gone.is_empty() && result.faults.is_empty() {
                        self.outcome.set(&result.requested, OutcomeState::Absent);
                    }
                    for path in gone {
                        self.outcome.set(&path, OutcomeState::Accepted);
                    }
                }
                // Said the other way (R-DEL.1).
                Err(fault) if is_nothing_there(&fault) => {
                    self.outcome.set(&result.requested, OutcomeState::Absent);
                }
                Err(fault) => {
                    self.outcome
                        .set(&result.requested, OutcomeState::Refused { fault });
                }
            }
            for (path, fault) in result.faults {
                self.outcome.set(&path, OutcomeState::Refused { fault });
            }
        }
        let only_absent = |p: &super::PathOutcome| p.state == OutcomeState::Absent;
        if self.outcome.paths.iter().all(only_absent) {
            return self.nothing_was_there(now);
        }
        self.verify(now);
    }

    /// A whole Delete was refused because the one row of it is not there (R-DEL.1). Of several, the
    /// others are there still.
    pub(super) fn is_refused_delete_of_nothing(
        &self,
        fault: &Fault,
        paths: &[(String, Fault)],
    ) -> bool {
        matches!(&self.request, Request::Delete { paths, .. } if paths.len() == 1)
            && is_nothing_there(paths.first().map_or(fault, |(_, own)| own))
    }

    /// A Delete that had nothing to do: as it was wanted, and nobody did it.
    pub(super) fn nothing_was_there(&mut self, now: Timestamp) {
        for path in self.requested() {
            self.outcome.set(&path, OutcomeState::Absent);
        }
        let words = self.outcome.absent_words();
        self.finish(OperationState::Succeeded, words.as_deref(), now);
    }

    /// What was read after the change.
    pub(super) fn read(&mut self, found: Vec<PathValue>, now: Timestamp) {
        match &self.request {
            Request::Delete { .. } => {
                for outcome in &mut self.outcome.paths {
                    if matches!(outcome.state, OutcomeState::Accepted | OutcomeState::Absent) {
                        let there = found.iter().any(|v| v.path.starts_with(&outcome.path));
                        outcome.state = if there {
                            OutcomeState::Differs {
                                read: "still there".to_owned(),
                            }
                        } else if outcome.state == OutcomeState::Absent {
                            OutcomeState::Absent
                        } else {
                            OutcomeState::Done
                        };
                    }
                }
            }
            Request::Set { values, .. } => {
                for outcome in &mut self.outcome.paths {
                    if outcome.state != OutcomeState::Accepted {
                        continue;
                    }
                    let Some(read) = found.iter().find(|v| v.path == outcome.path) else {
                        continue;
                    };
                    let wanted = wanted_for(values, &outcome.path);
                    if wanted
                        .iter()
                        .any(|w| super::verify::same_at(&read.path, w, &read.value))
                    {
                        outcome.state = OutcomeState::Done;
                    } else if !super::verify::is_hidden(&outcome.path, &read.value) {
                        outcome.state = super::verify::differs(read);
                    }
                }
            }
            Request::Add { .. } => self.read_rows(&found),
            _ => {}
        }
        self.outcome.keep_after(found);
        let words = self.outcome.absent_words();
        self.finish(self.outcome.verdict(), words.as_deref(), now);
    }
}
