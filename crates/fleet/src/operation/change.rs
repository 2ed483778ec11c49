//! What a device answered to a change, and what was read after it.

use super::verify::{is_search, wanted_for};
use super::{Operation, OperationState, OutcomeState, Phase, Request};
use crate::southbound::{DeleteResult, Fault, PathValue, WriteResult};
use crate::time::Timestamp;

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
                    // Nothing to delete is a success too (R-DEL.2a).
                    if gone.is_empty() && !is_search(&result.requested) && result.faults.is_empty()
                    {
                        self.outcome.set(&result.requested, OutcomeState::Accepted);
                    }
                    for path in gone {
                        self.outcome.set(&path, OutcomeState::Accepted);
                    }
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
        self.verify(now);
    }

    /// What was read after the change.
    pub(super) fn read(&mut self, found: Vec<PathValue>, now: Timestamp) {
        match &self.request {
            Request::Delete { .. } => {
                for outcome in &mut self.outcome.paths {
                    if outcome.state == OutcomeState::Accepted {
                        let there = found.iter().any(|v| v.path.starts_with(&outcome.path));
                        outcome.state = if there {
                            OutcomeState::Differs {
                                read: "still there".to_owned(),
                            }
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
                    } else if !(read.value.is_empty() && super::verify::is_secured(&outcome.path)) {
                        outcome.state = OutcomeState::Differs {
                            read: read.value.clone(),
                        };
                    }
                }
            }
            Request::Add { .. } => self.read_rows(&found),
            _ => {}
        }
        self.outcome.keep_after(found);
        self.finish(self.outcome.verdict(), None, now);
    }
}
