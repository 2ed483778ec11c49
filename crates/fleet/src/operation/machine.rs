//! How an operation moves: one input at a time, one step out. Pure; the same machine runs in the
//! server and in the simulated world.
//!
//! The rule it exists for: what changes a device is stored as sent **before** it is sent. From then
//! on an Add or an Operate is never sent again: a lost answer is reconciled by looking.

use std::time::Duration;

use super::{Operation, OperationState, OutcomeState, Phase, Request};
use crate::limits;
use crate::southbound::{Answer, Failure, Fault, Notice, Op};
use crate::time::Timestamp;

/// What an operation is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// A node took it up (again); what the device said since it was sent, as far as it is stored.
    Claimed(&'a [(Timestamp, Notice)]),
    /// The device answered what was last sent, or did not.
    Answer(Result<Answer, Failure>),
    /// The device said something by itself, at this time.
    Notice(Timestamp, &'a Notice),
    /// The device has said all that it had to say.
    SaidAll,
    /// A person wants it stopped.
    Cancel,
    /// Time passed, or what was to be stored is stored.
    Proceed,
}

/// What to do for an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this.
    Send(Op),
    /// Store the operation; when it is stored for sure, send this, once.
    SaveThenSend(Op),
    /// Store the operation, then proceed.
    Save,
    /// Nothing before this time, unless something is heard.
    Wait(Timestamp),
    /// It came to its end: store it.
    Finished,
}

/// The wait before sending number `attempts + 1`: doubling, bounded, without chance (each device
/// has its own timeline already).
pub fn retry_delay(attempts: u32) -> Duration {
    limits::RETRY_DELAY_MIN
        .saturating_mul(1u32 << attempts.saturating_sub(1).min(16))
        .min(limits::RETRY_DELAY_MAX)
}

impl Operation {
    /// Takes an input and says what to do next.
    pub fn step(&mut self, input: Input<'_>, now: Timestamp) -> Step {
        if self.hear(input, now) && !self.state.is_final() {
            return Step::Save;
        }
        self.next(now)
    }

    /// Takes an input without asking for the next step, while another one is under way. True when
    /// what was heard must be stored before going on.
    pub fn hear(&mut self, input: Input<'_>, now: Timestamp) -> bool {
        if self.state.is_final() {
            return false;
        }
        match input {
            Input::Claimed(evidence) => {
                self.claimed(now);
                for (at, notice) in evidence {
                    self.noticed(*at, notice, now);
                }
            }
            Input::Answer(result) => return self.answered(result, now),
            Input::Notice(at, notice) => self.noticed(at, notice, now),
            Input::SaidAll => self.said_all(now),
            Input::Cancel => self.progress.cancel = true,
            Input::Proceed => {}
        }
        false
    }

    fn claimed(&mut self, now: Timestamp) {
        if self.state == OperationState::Queued {
            self.state = OperationState::Running;
            self.started.get_or_insert(now);
        }
        if self.progress.sent_at.is_some() && !self.request.is_idempotent() {
            if matches!(self.progress.phase, Phase::Before | Phase::Act) {
                self.progress.phase = Phase::Reconcile;
            }
            if self.progress.phase == Phase::Reconcile {
                self.progress.deadline = Some(now.plus(limits::RECONCILE_GRACE));
            }
            self.progress.not_before = None;
            self.progress.attempts = 0;
        }
        // Whether it left before a crash cannot be known; asked twice it does the same.
        self.progress.cancel_sent = self.progress.cancel_heard;
        self.outcome.cause = None;
    }

    /// Gives it back: the device went away. What was surely not sent is queued again.
    pub fn pause(&mut self, why: &str) {
        if self.state.is_final() {
            return;
        }
        if self.progress.sent_at.is_none() {
            self.state = OperationState::Queued;
            self.progress.phase = Phase::Before;
            self.progress.over = None;
        }
        // These waits count only while the device is there; a start is waited for in any case.
        if self.progress.phase == Phase::Reconcile
            || (self.progress.phase == Phase::Await && !self.progress.rows.is_empty())
        {
            self.progress.deadline = None;
        }
        self.progress.not_before = None;
        self.outcome.cause = Some(why.to_owned());
    }

    /// What was to be sent never left, although it counts as sent.
    pub fn unsend(&mut self) {
        match self.progress.phase {
            Phase::Act => {
                self.progress.tries = self.progress.tries.saturating_sub(1);
                self.resolve_one();
            }
            Phase::Await => self.progress.cancel_sent = self.progress.cancel_heard,
            Phase::Before | Phase::ReadBack | Phase::Reconcile => {}
        }
    }

    /// One of the sendings did nothing for sure.
    fn resolve_one(&mut self) {
        self.progress.unresolved = self.progress.unresolved.saturating_sub(1);
        if self.progress.unresolved == 0 {
            self.progress.sent_at = None;
        }
    }

    /// What is about to leave for the first time must not: it was decided or stopped meanwhile.
    pub fn is_stopped(&self) -> bool {
        let first = self.progress.phase == Phase::Act && self.progress.unresolved <= 1;
        self.state.is_final() || (self.progress.cancel && first)
    }

    /// A person wants it stopped while nobody works on it: at its end when nothing was sent, else
    /// whoever takes it up next sees to it.
    pub fn cancel(&mut self, now: Timestamp) {
        self.hear(Input::Cancel, now);
        self.stop(now);
    }

    /// Ends what is to be stopped, where that needs nothing of the device.
    fn stop(&mut self, now: Timestamp) {
        if !self.progress.cancel {
            return;
        }
        if self.progress.sent_at.is_none() || self.request.is_read() {
            let why = "stopped before it was sent";
            self.finish(OperationState::Cancelled, Some(why), now);
        } else if self.request.is_idempotent() && self.progress.phase == Phase::Act {
            // It would be sent again only to be sure.
            let why = "stopped after it was sent and before an answer came";
            self.finish(OperationState::Unconfirmed, Some(why), now);
        } else if self.waits_without_rows() {
            self.give_up(now);
        }
    }

    /// Its time ran out. Whoever cannot know whether it was sent says so.
    pub fn expire(&mut self, now: Timestamp) {
        let untouched = self.request.is_read() || self.progress.sent_at.is_none();
        self.end_of_time(untouched, now);
    }

    fn end_of_time(&mut self, untouched: bool, now: Timestamp) {
        let stopped = self.progress.given_up.is_some_and(|at| at <= now);
        let why = match (untouched, stopped) {
            (true, _) => "its time ran out before it was sent",
            (_, true) => {
                "somebody stopped it; whether the device did is not known, and it may carry it out yet"
            }
            _ => "it was sent, and its time ran out before it could be confirmed",
        };
        let state = match untouched {
            true => OperationState::Expired,
            false => OperationState::Unconfirmed,
        };
        self.finish(state, Some(why), now);
    }

    pub(super) fn finish(&mut self, state: OperationState, cause: Option<&str>, now: Timestamp) {
        if self.state.is_final() {
            return;
        }
        self.state = state;
        self.finished = Some(now);
        crate::secret::forget(&mut self.request);
        self.outcome.cause = cause.map(str::to_owned);
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        self.progress.phase = phase;
        self.progress.attempts = 0;
        self.progress.not_before = None;
    }

    fn next(&mut self, now: Timestamp) -> Step {
        if self.state.is_final() {
            return Step::Finished;
        }
        if now >= self.due() {
            let untouched = self.progress.sent_at.is_none() || self.request.is_read();
            self.end_of_time(untouched, now);
            return Step::Finished;
        }
        self.stop(now);
        if self.state.is_final() {
            return Step::Finished;
        }
        if let Some(step) = self.cancel_running(now) {
            return step;
        }
        if let Some(at) = self.progress.not_before.filter(|at| *at > now) {
            return Step::Wait(at.min(self.due()));
        }
        match self.progress.phase {
            Phase::Before => self.before(now),
            Phase::Act => self.act(now),
            Phase::Await => self.wait(now),
            Phase::ReadBack => Step::Send(Op::Get {
                paths: self.read_back(),
                max_depth: 0,
            }),
            Phase::Reconcile => self.reconcile(now),
        }
    }

    fn before(&mut self, now: Timestamp) -> Step {
        match &self.request {
            Request::Set { values, .. } => Step::Send(Op::Get {
                paths: values.iter().map(|v| v.path.clone()).collect(),
                max_depth: 0,
            }),
            Request::Delete { paths, .. } => Step::Send(Op::Get {
                paths: paths.clone(),
                max_depth: 0,
            }),
            Request::Add { object, .. } => Step::Send(Op::Instances {
                paths: vec![object.clone()],
                first_level_only: true,
            }),
            Request::Get { .. } | Request::Operate { .. } | Request::Discover { .. } => {
                self.enter(Phase::Act);
                self.act(now)
            }
        }
    }

    fn act(&mut self, now: Timestamp) -> Step {
        if self.progress.sent_at.is_some() && !self.request.is_idempotent() {
            // Never twice, whatever led here.
            self.enter(Phase::Reconcile);
            self.progress.deadline = Some(now.plus(limits::RECONCILE_GRACE));
            return self.reconcile(now);
        }
        let op = self.op();
        self.progress.tries = self.progress.tries.saturating_add(1);
        self.progress.unresolved = self.progress.unresolved.saturating_add(1);
        if self.request.is_read() || self.progress.sent_at.is_some() {
            return Step::Send(op);
        }
        self.progress.sent_at = Some(now);
        Step::SaveThenSend(op)
    }

    fn read_back(&self) -> Vec<String> {
        match &self.request {
            Request::Add { .. } => self.progress.rows.clone(),
            _ => self
                .outcome
                .paths
                .iter()
                .filter(|p| p.state.is_done())
                .map(|p| p.path.clone())
                .collect(),
        }
    }

    fn reconcile(&mut self, _now: Timestamp) -> Step {
        match &self.request {
            Request::Add { object, .. } if self.progress.rows.is_empty() => {
                Step::Send(Op::Instances {
                    paths: vec![object.clone()],
                    first_level_only: true,
                })
            }
            Request::Add { .. } => Step::Send(Op::Get {
                paths: self.progress.rows.clone(),
                max_depth: 0,
            }),
            _ => Step::Send(Op::Get {
                paths: vec!["Device.LocalAgent.Request.".to_owned()],
                max_depth: 2,
            }),
        }
    }

    /// Takes an answer; true when what it said must be stored before going on.
    fn answered(&mut self, result: Result<Answer, Failure>, now: Timestamp) -> bool {
        match self.without_secrets(result) {
            Ok(answer) => self.understood(answer, now),
            Err(Failure::Refused { fault, paths }) => {
                self.refused(fault, paths, now);
                false
            }
            Err(Failure::Unsent { reason }) => {
                self.unsend();
                self.progress.not_before = Some(now.plus(limits::RETRY_DELAY_MIN));
                self.outcome.cause = Some(reason);
                false
            }
            Err(Failure::Impossible { reason }) => {
                self.unsend();
                self.finish(OperationState::Failed, Some(&reason), now);
                false
            }
            Err(Failure::Lost { reason } | Failure::Garbled { reason }) => {
                self.lost(&reason, now);
                false
            }
        }
    }

    fn lost(&mut self, reason: &str, now: Timestamp) {
        if self.progress.phase == Phase::Act && !self.request.is_idempotent() {
            self.enter(Phase::Reconcile);
            self.progress.deadline = Some(now.plus(limits::RECONCILE_GRACE));
            self.outcome.cause = Some(format!("no answer came ({reason}); finding out"));
            return;
        }
        self.progress.attempts += 1;
        self.outcome.cause = Some(reason.to_owned());
        // It may be the question to stop that was lost.
        self.progress.cancel_sent = self.progress.cancel_heard;
        if self.progress.attempts < limits::ATTEMPTS_MAX {
            self.progress.not_before = Some(now.plus(retry_delay(self.progress.attempts)));
            return;
        }
        let why = format!(
            "no answer that can be used came, {} times: {reason}",
            self.progress.attempts
        );
        let state = if self.request.is_read() || self.progress.sent_at.is_none() {
            OperationState::Failed
        } else {
            OperationState::Unconfirmed
        };
        self.finish(state, Some(&why), now);
    }

    fn refused(&mut self, fault: Fault, paths: Vec<(String, Fault)>, now: Timestamp) {
        match (self.progress.phase, &self.request) {
            (Phase::Before, Request::Add { object, .. }) => {
                let object = object.clone();
                self.outcome.set(
                    &object,
                    OutcomeState::Refused {
                        fault: fault.clone(),
                    },
                );
                self.fault(fault);
                self.finish(
                    OperationState::Failed,
                    Some("the table cannot be listed"),
                    now,
                );
            }
            (Phase::Before, _) => self.enter(Phase::Act),
            (Phase::Act, _) => {
                // Resources exceeded, in USP and in CWMP: busy now, worth another try where that is
                // harmless.
                if matches!(fault.code, 7005 | 9004)
                    && self.request.is_idempotent()
                    && self.progress.attempts + 1 < limits::ATTEMPTS_MAX
                {
                    self.progress.attempts += 1;
                    self.resolve_one();
                    let delay = retry_delay(self.progress.attempts);
                    self.progress.not_before = Some(now.plus(delay));
                    self.outcome.cause = Some(format!("the device is busy ({fault})"));
                    return;
                }
                if self.is_refused_delete_of_nothing(&fault, &paths) {
                    return self.nothing_was_there(now);
                }
                for path in self.requested() {
                    let own = paths
                        .iter()
                        .find(|(p, _)| *p == path || path.starts_with(p.as_str()));
                    let fault = own.map_or_else(|| fault.clone(), |(_, f)| f.clone());
                    self.outcome.set(&path, OutcomeState::Refused { fault });
                }
                for (path, fault) in paths {
                    self.outcome.set(&path, OutcomeState::Refused { fault });
                }
                self.fault(fault);
                self.finish(OperationState::Failed, None, now);
            }
            // It said it did it, and does not let us look: that is as much as can be known.
            (Phase::ReadBack, _) => self.read(Vec::new(), now),
            (Phase::Await | Phase::Reconcile, Request::Operate { .. }) => self.rows_refused(now),
            (Phase::Await | Phase::Reconcile, _) => self.finish(
                OperationState::Unconfirmed,
                Some("its answer was lost, and the device does not let us look"),
                now,
            ),
        }
    }

    fn understood(&mut self, answer: Answer, now: Timestamp) -> bool {
        match (self.progress.phase, answer) {
            (Phase::Before, Answer::Instances(results)) => self.rows_before(results, now),
            (Phase::Before, Answer::Values(results)) => {
                let found = results.into_iter().filter_map(|r| r.result.ok()).flatten();
                self.outcome.keep_before(found);
                self.enter(Phase::Act);
            }
            (Phase::Act, Answer::Values(results)) => {
                let mut values = Vec::new();
                for read in results {
                    let state = match read.result {
                        Ok(found) => {
                            values.extend(found);
                            OutcomeState::Done
                        }
                        Err(fault) => OutcomeState::Refused { fault },
                    };
                    self.outcome.set(&read.requested, state);
                }
                self.outcome.keep_after(values);
                self.finish(self.outcome.verdict(), None, now);
            }
            (Phase::Act, Answer::Model(model)) => {
                let path = self.requested().pop().unwrap_or_default();
                self.outcome.set(&path, OutcomeState::Done);
                let objects = model.objects.len().to_string();
                self.outcome.outputs.insert("Objects".to_owned(), objects);
                self.finish(OperationState::Succeeded, None, now);
            }
            (Phase::Act, Answer::Set(results)) => self.set_answered(results, now),
            (Phase::Act, Answer::Deleted(results)) => self.delete_answered(results, now),
            (Phase::Act, Answer::Added(results)) => self.add_answered(results, now),
            (Phase::Act, Answer::Operated(results)) => return self.operate_answered(results, now),
            (Phase::ReadBack, Answer::Values(results)) => {
                let found = results.into_iter().filter_map(|r| r.result.ok()).flatten();
                self.read(found.collect(), now);
            }
            (Phase::Reconcile, Answer::Instances(results)) => self.rows_after(results, now),
            (Phase::Reconcile, Answer::Values(results)) if !self.is_operate() => {
                let found = results.into_iter().filter_map(|r| r.result.ok()).flatten();
                self.candidates(&found.collect::<Vec<_>>(), now);
            }
            (Phase::Await | Phase::Reconcile, Answer::Values(results)) => {
                let found = results.into_iter().filter_map(|r| r.result.ok()).flatten();
                return self.request_rows(&found.collect::<Vec<_>>(), now);
            }
            // The answer to Cancel(): the command's own end follows, or not.
            (Phase::Await, Answer::Operated(results)) => self.cancel_answered(&results, now),
            (_, other) => {
                let reason = format!("an answer of another kind: {}", answer_name(&other));
                self.lost(&reason, now);
            }
        }
        false
    }

    pub(super) fn is_operate(&self) -> bool {
        matches!(self.request, Request::Operate { .. })
    }
}

fn answer_name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Values(_) => "values",
        Answer::Instances(_) => "instances",
        Answer::Set(_) => "set",
        Answer::Added(_) => "added",
        Answer::Deleted(_) => "deleted",
        Answer::Operated(_) => "operated",
        Answer::Model(_) => "model",
        Answer::Subscribed(_) => "subscribed",
    }
}
