//! What the dispatcher hears of the devices and of people, and what that does to the work under
//! way.

use super::{Command, Device, Dispatcher, Lane, Said, Then, Waiting};
use crate::id::{DeviceId, OperationId, TenantId};
use crate::limits;
use crate::operation::{Input as OpInput, Phase};
use crate::southbound::{Answer, Fact, Failure, JobId, Notice};
use crate::time::{Now, Timestamp};

impl Dispatcher {
    pub(super) fn fact(&mut self, tenant: TenantId, device: DeviceId, fact: Fact, now: Now) {
        match fact {
            Fact::Done { job, result } => self.done(device, job, result, now),
            Fact::Notified { at, notice } => self.noticed(tenant, device, at, notice, now),
            Fact::Disconnected { over, reason, .. } => self.unreachable(device, over, &reason, now),
            // Of what went over another protocol it may have more to say there.
            Fact::SaidAll { over, .. } => {
                let went = self.active(device).and_then(|a| a.operation.progress.over);
                if went.is_none_or(|went| went == over) {
                    self.tell(device, OpInput::SaidAll, now);
                }
            }
            Fact::Connected { .. }
            | Fact::Evidence { .. }
            | Fact::Values { .. }
            | Fact::Model { .. } => {}
        }
    }

    fn done(&mut self, device: DeviceId, job: JobId, result: Result<Answer, Failure>, now: Now) {
        if let Some(active) = self.active(device)
            && matches!(active.waiting, Waiting::Job(id, _) if id == job)
        {
            match result.is_err() {
                // It may be the last one that is waited for.
                true => self.go_on(device, OpInput::Answer(result), now),
                false => self.step(device, OpInput::Answer(result), now),
            }
        }
    }

    fn step(&mut self, device: DeviceId, input: OpInput<'_>, now: Now) {
        if let Some(active) = self.active(device) {
            let time = active.time(now);
            let step = active.operation.step(input, time);
            self.follow(device, step, now);
        }
    }

    /// What may end an operation without its proof: where the device may have given that to another node, or over
    /// another link, the log is looked at first.
    pub(super) fn go_on(&mut self, device: DeviceId, input: OpInput<'static>, now: Now) {
        let Some(active) = self.active(device) else {
            return;
        };
        if !active.operation.awaits_word() {
            return self.step(device, input, now);
        }
        self.wait_for(device, Waiting::Look(Box::new(input), None));
        self.read_log(device, now);
    }

    /// Reads the log for what is waited for.
    pub(super) fn read_log(&mut self, device: DeviceId, now: Now) {
        let Some(active) = self.active(device) else {
            return;
        };
        let look = Command::Look {
            operation: Box::new(active.operation.clone()),
            fence: active.fence,
            after: active.heard_to,
        };
        if let Waiting::Look(_, again) = &mut active.waiting {
            *again = None;
            self.out.push_back(look);
        }
        self.set_timer(device, now);
    }

    /// What the log has.
    pub(super) fn looked(
        &mut self,
        device: DeviceId,
        operation: OperationId,
        fence: i64,
        found: Option<Said>,
        now: Now,
    ) {
        let Some(active) = self.active(device) else {
            return;
        };
        if active.operation.id != operation || active.fence != fence {
            return;
        }
        let Waiting::Look(_, again) = &mut active.waiting else {
            return;
        };
        let Some(found) = found else {
            // Without it it could be decided wrongly: what came waits.
            *again = Some(now.later(limits::STORE_RETRY));
            return self.set_timer(device, now);
        };
        let time = active.time(now);
        for (at, notice) in &found.notices {
            let at = time.minus(now.wall.since(*at));
            active.operation.hear(OpInput::Notice(at, notice), time);
        }
        active.heard_to = found.to;
        // Taken out without a rest between: what follows always waits for something else.
        let waiting = std::mem::replace(&mut active.waiting, Waiting::Save(Then::Proceed));
        if let Waiting::Look(then, _) = waiting {
            self.step(device, *then, now);
        }
    }

    /// A device said something by itself; it is in the event log already.
    fn noticed(
        &mut self,
        tenant: TenantId,
        device: DeviceId,
        at: Timestamp,
        notice: Notice,
        now: Now,
    ) {
        let decides = matches!(
            notice,
            Notice::Boot(_) | Notice::CommandCompleted { .. } | Notice::CommandOver { .. }
        );
        if !decides {
            return;
        }
        let entry = self.devices.entry(device);
        let entry = entry.or_insert_with(|| Device::of(tenant));
        match &mut entry.lane {
            // The claim may have looked at the log before this was in it.
            Lane::Claiming { meanwhile, .. } => {
                if meanwhile.heard.len() < limits::CLAIM_NOTICES_MAX {
                    meanwhile.heard.push((at, notice));
                } else {
                    meanwhile.missed = true;
                }
                // It may yet fail.
                self.keep_word(device, now);
            }
            Lane::Active(active) => {
                let time = active.time(now);
                // In the operation's time, which a clock that was set does not change.
                let at = time.minus(now.wall.since(at));
                let unsent = active.operation.progress.phase == Phase::Act
                    && matches!(active.waiting, Waiting::Save(Then::Send(_)));
                if !unsent {
                    self.tell(device, OpInput::Notice(at, &notice), now);
                }
            }
            // The claim comes with the log.
            Lane::Elsewhere(..) => {
                self.keep_word(device, now);
                self.look(device);
            }
            Lane::Ready | Lane::Later(_) => self.keep_word(device, now),
            Lane::Idle => self.word_of_idle(device, now),
        }
    }

    /// A person wants an operation stopped that somebody holds. The log has that too: whoever claims
    /// the operation again finds it there.
    pub(super) fn cancel(&mut self, device: DeviceId, operation: OperationId, now: Now) {
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        match &mut entry.lane {
            Lane::Claiming { meanwhile, .. } => {
                if meanwhile.cancels.len() < limits::CLAIM_NOTICES_MAX {
                    meanwhile.cancels.push(operation);
                } else {
                    meanwhile.missed = true;
                }
            }
            Lane::Active(active) if active.operation.id == operation => {
                self.tell(device, OpInput::Cancel, now);
            }
            // It may be what everything waits for there.
            Lane::Elsewhere(..) => self.look(device),
            _ => {}
        }
    }

    /// Tells an operation something that is no answer. What it waits for goes on, unless that
    /// decided it or it only waited for time. A write under way is waited for in any case, so that
    /// there are never two.
    fn tell(&mut self, device: DeviceId, input: OpInput<'_>, now: Now) {
        let Some(active) = self.active(device) else {
            return;
        };
        let time = active.time(now);
        match &active.waiting {
            Waiting::Until(_) => {
                let step = active.operation.step(input, time);
                self.follow(device, step, now);
            }
            Waiting::Job(..) | Waiting::Look(..) => {
                active.operation.hear(input, time);
                if active.operation.state.is_final() {
                    self.save(device, Then::Done, now);
                }
            }
            Waiting::Save(Then::Proceed | Then::Send(_)) => {
                active.operation.hear(input, time);
            }
            // Given back. Nobody may take it up to be told, and the write under way says what was.
            Waiting::Save(Then::Release) if matches!(input, OpInput::Cancel) => {
                active.operation.cancel(time);
            }
            // Given back, or decided: the log has it for the next claim.
            Waiting::Save(Then::Release | Then::Done) => active.heard = true,
        }
    }
}
