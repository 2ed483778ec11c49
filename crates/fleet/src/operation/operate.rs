//! Running a command: once, with a fresh key; its end by answer, notification, start of the device
//! or a look at the Request table.

use super::{Operation, OperationState, OutcomeState, Phase, Request, Step};
use crate::limits;
use crate::southbound::{
    Boot, CommandOutcome, CommandResult, Fault, Notice, Op, PathValue, Protocol,
};
use crate::time::Timestamp;

/// Why nobody knows how a command went of which its device says no more than that it is over.
pub(super) const OVER: &str = "the device says that it is over, and not how it went";

/// 7023 Command canceled.
const CANCELED: u32 = 7023;

/// Commands whose success is that the device starts again.
pub fn restarts(command: &str) -> bool {
    matches!(command, "Device.Reboot()" | "Device.FactoryReset()")
}

impl Operation {
    fn command(&self) -> &str {
        match &self.request {
            Request::Operate { command, .. } => command,
            _ => "",
        }
    }

    pub(super) fn operate_answered(&mut self, results: Vec<CommandResult>, now: Timestamp) -> bool {
        if results.is_empty() {
            self.finish(OperationState::Succeeded, Some("no object matches"), now);
            return false;
        }
        let restart = restarts(self.command());
        let mut waiting = false;
        for result in results {
            let state = match result.outcome {
                // A notification may overtake the answer.
                _ if self.is_known(&result.command) => continue,
                CommandOutcome::Done { outputs } => {
                    self.outcome.keep_outputs(outputs);
                    if restart {
                        OutcomeState::Unknown
                    } else {
                        OutcomeState::Done
                    }
                }
                CommandOutcome::Accepted { request } => {
                    self.progress.rows.push(request);
                    OutcomeState::Unknown
                }
                CommandOutcome::Failed { fault } => OutcomeState::Refused { fault },
            };
            waiting |= state == OutcomeState::Unknown;
            self.outcome.set(&result.command, state);
        }
        if !waiting {
            self.finish(self.outcome.verdict(), None, now);
            return false;
        }
        self.enter(Phase::Await);
        if restart && self.progress.rows.is_empty() {
            self.state = OperationState::Verifying;
            self.wait_for_boot(now);
        } else {
            self.progress.not_before = Some(now.plus(limits::AWAIT_POLL));
            self.outcome.cause = Some("the device works on it".to_owned());
        }
        true
    }

    fn wait_for_boot(&mut self, now: Timestamp) {
        let sent = self.progress.sent_at.unwrap_or(now);
        self.progress.deadline = Some(sent.plus(limits::BOOT_WAIT_MAX));
        self.progress.not_before = self.progress.deadline;
        self.outcome.cause = Some("waiting for the device to start again".to_owned());
    }

    /// Its end is what the device says by itself.
    pub fn awaits_word(&self) -> bool {
        self.may_have_left()
            && matches!(self.progress.phase, Phase::Await | Phase::Reconcile)
            && !self.state.is_final()
    }

    /// It is a command that may have left: of its end the device may have told.
    pub fn may_have_left(&self) -> bool {
        self.is_operate() && self.progress.sent_at.is_some()
    }

    fn is_known(&self, command: &str) -> bool {
        self.outcome
            .paths
            .iter()
            .any(|p| p.path == command && p.state != OutcomeState::Unknown)
    }

    /// It was sent, and there is nothing by which the device could be asked to stop it: no row that tells of it, and
    /// none to be looked for, as of a start.
    pub(super) fn waits_without_rows(&self) -> bool {
        let is_start = self.is_operate() && restarts(self.command());
        match self.progress.phase {
            Phase::Await => self.progress.rows.is_empty(),
            Phase::Reconcile => is_start,
            Phase::Before | Phase::Act | Phase::ReadBack => false,
        }
    }

    /// Stops a running command where the device knows how; asked again when that got lost.
    pub(super) fn cancel_running(&mut self, now: Timestamp) -> Option<Step> {
        let lost = self.progress.attempts > 0 && self.progress.not_before > Some(now);
        let asked = !self.progress.cancel || self.progress.cancel_sent;
        if asked || lost || self.progress.phase != Phase::Await {
            return None;
        }
        let row = self.progress.rows.first()?;
        let command = format!("{}.Cancel()", row.trim_end_matches('.'));
        self.progress.cancel_sent = true;
        let key = format!("{}-cancel", self.id);
        Some(Step::SaveThenSend(Op::Operate {
            command,
            key,
            args: Default::default(),
        }))
    }

    /// What the device refuses to stop keeps nothing else waiting; its end may be on its way.
    pub(super) fn cancel_answered(&mut self, results: &[CommandResult], now: Timestamp) {
        self.progress.cancel_heard = true;
        let refused = |one: &CommandResult| matches!(one.outcome, CommandOutcome::Failed { .. });
        if results.iter().any(refused) {
            self.give_up(now);
        }
    }

    /// Somebody stopped it, which the device does not: its end is waited for only a little longer.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        let until = now.plus(limits::AWAIT_GRACE);
        self.progress.given_up.get_or_insert(until);
    }

    pub(super) fn wait(&mut self, now: Timestamp) -> Step {
        if self.progress.rows.is_empty() {
            return Step::Wait(self.due());
        }
        self.progress.not_before = Some(now.plus(limits::AWAIT_POLL));
        Step::Send(Op::Get {
            paths: self.progress.rows.clone(),
            max_depth: 0,
        })
    }

    /// The device refuses to show the rows, or to stop the command.
    pub(super) fn rows_refused(&mut self, now: Timestamp) {
        if self.progress.cancel_sent && !self.progress.cancel_heard {
            self.progress.cancel_heard = true;
            self.give_up(now);
        }
        self.request_rows(&[], now);
    }

    /// What the Request table shows; true when that must be stored.
    pub(super) fn request_rows(&mut self, found: &[PathValue], now: Timestamp) -> bool {
        let key = self.command_key();
        let mine: Vec<&str> = found
            .iter()
            .filter(|v| v.path.ends_with(".CommandKey") && v.value == key)
            .filter_map(|v| v.path.strip_suffix("CommandKey"))
            .collect();
        if !mine.is_empty() {
            let rows: Vec<String> = mine.into_iter().map(str::to_owned).collect();
            let news = self.progress.phase == Phase::Reconcile || rows != self.progress.rows;
            self.progress.rows = rows;
            // Also forgets the looks that were lost before: this one came through.
            self.enter(Phase::Await);
            self.progress.deadline = None;
            self.progress.not_before = Some(now.plus(limits::AWAIT_POLL));
            self.outcome.cause = Some("the device works on it".to_owned());
            return news;
        }
        self.progress.attempts = 0;
        // Gone, or never there. A notification may still be on its way.
        if self.progress.phase == Phase::Await && self.progress.deadline.is_none() {
            self.progress.deadline = Some(now.plus(limits::AWAIT_GRACE));
        }
        if restarts(self.command()) && self.progress.phase == Phase::Reconcile {
            // Its answer was lost, perhaps because it starts: give it the time to say so.
            self.enter(Phase::Await);
            self.state = OperationState::Verifying;
            self.wait_for_boot(now);
            return true;
        }
        self.progress.not_before = self.progress.deadline;
        false
    }

    /// Nothing more comes by itself: who only waits in case that something does has waited enough.
    pub(super) fn said_all(&mut self, now: Timestamp) {
        let waits = self.progress.deadline.is_some() && self.progress.not_before.is_some();
        if !self.is_operate() || !waits {
            return;
        }
        let why = match self.progress.phase {
            Phase::Reconcile => "its answer was lost, and the device knows nothing of it",
            Phase::Await if !self.progress.rows.is_empty() => {
                "the device does not work on it any more, and did not say how it ended"
            }
            _ => return,
        };
        self.finish(OperationState::Unconfirmed, Some(why), now);
    }

    pub(super) fn noticed(&mut self, at: Timestamp, notice: &Notice, now: Timestamp) {
        let Some(sent) = self.progress.sent_at else {
            return;
        };
        if !self.is_operate() {
            return;
        }
        match notice {
            Notice::CommandCompleted {
                object,
                command,
                key,
                result,
            } if *key == self.command_key() => {
                let path = format!("{object}{command}");
                let state = match result {
                    Ok(outputs) => {
                        self.outcome.keep_outputs(outputs.clone());
                        OutcomeState::Done
                    }
                    Err(fault) => OutcomeState::Refused {
                        fault: self.scrubbed(fault),
                    },
                };
                self.completed(&path, state, now);
            }
            Notice::CommandOver {
                object,
                command,
                key,
                outputs,
            } if *key == self.command_key() => {
                self.outcome.keep_outputs(outputs.clone());
                self.outcome
                    .set(&format!("{object}{command}"), OutcomeState::Unknown);
                self.finish(OperationState::Unconfirmed, Some(OVER), now);
            }
            Notice::Boot(boot) => self.booted(at, sent, boot, now),
            _ => {}
        }
    }

    fn completed(&mut self, path: &str, state: OutcomeState, now: Timestamp) {
        let cancelled = self.progress.cancel
            && matches!(&state, OutcomeState::Refused { fault } if fault.code == CANCELED);
        // Of a search command every object reports for itself, once the answer named them.
        let single = self.outcome.paths.is_empty();
        self.outcome.set(path, state);
        if cancelled {
            self.finish(
                OperationState::Cancelled,
                Some("the device stopped it"),
                now,
            );
        } else if (single && !super::verify::is_search(self.command()))
            || self
                .outcome
                .paths
                .iter()
                .all(|p| p.state != OutcomeState::Unknown)
        {
            self.finish(self.outcome.verdict(), None, now);
        }
    }

    fn booted(&mut self, at: Timestamp, sent: Timestamp, boot: &Boot, now: Timestamp) {
        let ours = boot.command_key == self.command_key();
        let command = self.command().to_owned();
        if ours {
            self.outcome.set(&command, OutcomeState::Done);
            // Of TR-069 the key may be put there by us, where the device's word for its start leaves it out.
            let because = match boot.over {
                Some(Protocol::Cwmp) => "as we asked it to",
                _ => "with our command key",
            };
            let why = format!("the device started again ({}) {because}", boot.cause);
            self.finish(OperationState::Succeeded, Some(&why), now);
            return;
        }
        if at < sent {
            return;
        }
        if restarts(&command) {
            // Some agents lose the key; only a remote cause without another's key speaks for us.
            if boot.command_key.is_empty() && boot.cause.starts_with("Remote") {
                self.outcome.set(&command, OutcomeState::Done);
                let why = format!("the device started again ({})", boot.cause);
                self.finish(OperationState::Succeeded, Some(&why), now);
            } else if !self.is_told_elsewhere(boot) {
                self.outcome.set(&command, OutcomeState::Unknown);
                let why = format!(
                    "the device started again, but for another reason ({})",
                    boot.cause
                );
                self.finish(OperationState::Unconfirmed, Some(&why), now);
            }
        } else if self.progress.phase == Phase::Await {
            // Commands rarely survive a start; look soon whether this one did.
            self.progress.not_before = None;
        }
    }

    /// Who tells it was not asked to start, and cannot know who was: the other side of the device will say.
    fn is_told_elsewhere(&self, boot: &Boot) -> bool {
        matches!((self.progress.over, boot.over), (Some(went), Some(told)) if went != told)
    }

    /// The device's own word for a refusal, for callers that show one line.
    pub fn first_fault(&self) -> Option<&Fault> {
        self.outcome.fault.as_ref().or_else(|| {
            self.outcome.paths.iter().find_map(|p| match &p.state {
                OutcomeState::Refused { fault } => Some(fault),
                _ => None,
            })
        })
    }
}
