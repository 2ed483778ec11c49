//! What a device answered to a change, and what was read after it.

use super::verify::{is_search, wanted_for};
use super::{Operation, OperationState, OutcomeState, Phase, Request};
use crate::model::supported;
use crate::southbound::{DeleteResult, Fault, PathValue, WriteResult};
use crate::time::Timestamp;

/// 7016 Object does not exist, which some devices say of a row that is not there.
fn is_nothing_there(fault: &Fault) -> bool {
    fault.code == 7016
}

/// Whether a parameter belongs to the rows of a path, which may search for them.
fn is_of(path: &str, parameter: &str) -> bool {
    if !is_search(path) {
        return parameter.starts_with(path);
    }
    // Where a reference leads is known to the device, which was asked for nothing else.
    path.contains(['+', '#']) || supported(parameter).starts_with(&supported(path))
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
                Ok(_) if result.after_restart => self.outcome.accept_for_later(&result.path),
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
                .any(|p| supported(&p.path) == supported(path));
            if !hit {
                let fault = Fault::ours(7016, "no object matches");
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
        for path in self.requested() {
            // No word of it in an answer that refuses nothing.
            if !results.iter().any(|result| result.requested == path) {
                self.outcome.set(&path, OutcomeState::Accepted);
            }
        }
        for result in results {
            match result.result {
                Ok(gone) => {
                    // Nothing to delete is a success too (R-DEL.2a), of a kind.
                    if gone.is_empty() && result.faults.is_empty() {
                        self.outcome.set(&result.requested, OutcomeState::Absent);
                    }
                    for path in gone {
                        match result.after_restart.contains(&path) {
                            true => self.outcome.accept_for_later(&path),
                            false => self.outcome.set(&path, OutcomeState::Accepted),
                        }
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

    /// Whether the read before the change showed something of what was to be removed.
    fn was_there(&self) -> bool {
        let mut before = self.outcome.before.iter();
        before.any(|known| self.requested().iter().any(|path| is_of(path, &known.path)))
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

    /// A Delete that had nothing to do: as it was wanted, and nobody did it. Where the read before
    /// showed something, that is looked for again.
    pub(super) fn nothing_was_there(&mut self, now: Timestamp) {
        for path in self.requested() {
            self.outcome.set(&path, OutcomeState::Absent);
        }
        if self.was_there() {
            return self.verify(now);
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
                        let there = found.iter().any(|v| is_of(&outcome.path, &v.path));
                        // One that goes with a restart may be there until then.
                        outcome.state = if there && outcome.after_restart {
                            OutcomeState::Accepted
                        } else if there {
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
                    } else if !outcome.after_restart
                        && !super::verify::is_hidden(&outcome.path, &read.value)
                    {
                        // Of one that is in force later the old value may still be read.
                        outcome.state = super::verify::differs(read);
                    }
                }
            }
            Request::Add { .. } => self.read_rows(&found),
            _ => {}
        }
        self.outcome.keep_after(found);
        let words = self.outcome.absent_words();
        let words = words.or_else(|| self.outcome.restart_words());
        self.finish(self.outcome.verdict(), words.as_deref(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{acting, at, ok, values};
    use super::*;
    use crate::operation::{Input, Step};
    use crate::southbound::{AddResult, Answer, Created, Failure, Op};
    use std::collections::BTreeMap;

    #[test]
    fn a_value_that_is_in_force_after_a_restart_succeeds_says_so_and_may_still_read_as_before() {
        const SSID: &str = "Device.WiFi.SSID.1.SSID";
        let set = || Request::Set {
            values: vec![PathValue::new(SSID, "den")],
            allow_partial: false,
        };
        for (after_restart, read, state) in [
            (true, "home", OperationState::Succeeded),
            (true, "den", OperationState::Succeeded),
            (false, "home", OperationState::Failed),
        ] {
            let mut op = acting(set(), Some(values(&[(SSID, "home")])));
            let result = WriteResult {
                path: SSID.to_owned(),
                result: Ok(None),
                after_restart,
            };
            op.step(ok(Answer::Set(vec![result])), at(3));
            op.step(ok(values(&[(SSID, read)])), at(4));
            assert_eq!(op.state, state, "{after_restart} {read}");
            assert_eq!(op.outcome.paths[0].after_restart, after_restart);
            let words = op.outcome.cause.as_deref();
            let says = words == Some("in force after a restart");
            assert_eq!(says, after_restart, "{words:?}");
            // As it is kept.
            let kept = serde_json::to_string(&op.outcome).unwrap();
            assert_eq!(kept.contains("after_restart"), after_restart);
            let read: super::super::Outcome = serde_json::from_str(&kept).unwrap();
            assert_eq!(read, op.outcome);
        }
    }

    #[test]
    fn a_row_that_comes_or_goes_with_a_restart_succeeds_says_so_and_may_still_read_as_before() {
        const NAME: &str = "Device.T.1.Name";
        let name = || values(&[(NAME, "a")]);
        for later in [true, false] {
            let delete = Request::Delete {
                paths: vec!["Device.T.1.".to_owned()],
                allow_partial: false,
            };
            let mut op = acting(delete, Some(name()));
            let row = vec!["Device.T.1.".to_owned()];
            let gone = DeleteResult {
                requested: row[0].clone(),
                result: Ok(row.clone()),
                faults: Vec::new(),
                after_restart: if later { row } else { Vec::new() },
            };
            op.step(ok(Answer::Deleted(vec![gone])), at(3));
            op.step(ok(name()), at(4));
            is_later(&op, later);

            let add = Request::Add {
                object: "Device.T.".to_owned(),
                values: BTreeMap::from([("Name".to_owned(), "b".to_owned())]),
            };
            let mut op = acting(add, Some(Answer::Instances(Vec::new())));
            let created = Created {
                path: "Device.T.1.".to_owned(),
                keys: BTreeMap::new(),
                faults: Vec::new(),
                after_restart: later,
            };
            let added = AddResult {
                requested: "Device.T.".to_owned(),
                result: Ok(created),
            };
            op.step(ok(Answer::Added(vec![added])), at(3));
            op.step(ok(name()), at(4));
            let state = match later {
                true => OperationState::Succeeded,
                // The row is there, and not as it was wanted.
                false => OperationState::Partly,
            };
            assert_eq!(op.state, state);
            assert_eq!(op.outcome.paths[0].after_restart, later);
        }
    }

    fn is_later(op: &Operation, later: bool) {
        let state = match later {
            true => OperationState::Succeeded,
            false => OperationState::Failed,
        };
        assert_eq!(op.state, state);
        assert_eq!(op.outcome.paths[0].after_restart, later);
        let words = op.outcome.cause.as_deref();
        assert_eq!(
            words == Some("in force after a restart"),
            later,
            "{words:?}"
        );
    }

    #[test]
    fn a_delete_of_a_row_that_was_seen_is_looked_after_whatever_the_device_says() {
        const NAME: &str = "Device.T.1.Name";
        let empty = |requested: &str| DeleteResult {
            requested: requested.into(),
            result: Ok(Vec::new()),
            faults: Vec::new(),
            after_restart: Vec::new(),
        };
        let refused = || {
            Err(Failure::Refused {
                fault: Fault::new(7016, "no such object"),
                paths: Vec::new(),
            })
        };
        for path in ["Device.T.1.", "Device.T.[Name==\"a\"]."] {
            let answers = [
                Ok(Answer::Deleted(Vec::new())),
                Ok(Answer::Deleted(vec![empty(path)])),
                refused(),
            ];
            for answer in answers {
                let delete = || {
                    let paths = vec![path.to_owned()];
                    let request = Request::Delete {
                        paths,
                        allow_partial: false,
                    };
                    let mut op = acting(request, Some(values(&[(NAME, "a")])));
                    let step = op.step(Input::Answer(answer.clone()), at(3));
                    assert!(matches!(step, Step::Send(Op::Get { .. })), "{answer:?}");
                    op
                };
                let mut stays = delete();
                stays.step(ok(values(&[(NAME, "a")])), at(4));
                assert_eq!(stays.state, OperationState::Failed, "{path} {answer:?}");
                let mut gone = delete();
                gone.step(ok(values(&[])), at(4));
                assert_eq!(gone.state, OperationState::Succeeded, "{path} {answer:?}");
            }
        }
        // An answer without a word of the row is looked after also when nothing was seen.
        let request = Request::Delete {
            paths: vec!["Device.T.1.".to_owned()],
            allow_partial: false,
        };
        let mut op = acting(request, Some(values(&[])));
        let step = op.step(ok(Answer::Deleted(Vec::new())), at(3));
        assert!(matches!(step, Step::Send(Op::Get { .. })));
    }
}
