//! What the dispatcher hears of the devices, and what that does to the work under way.

use super::{Dispatcher, Then, Waiting};
use crate::id::DeviceId;
use crate::operation::{Input as OpInput, Operation};
use crate::southbound::{Answer, Fact, Failure, JobId};
use crate::time::Timestamp;

impl Dispatcher {
    pub(super) fn fact(&mut self, device: DeviceId, fact: Fact, now: Timestamp) {
        match fact {
            Fact::Done { job, result } => self.done(device, job, result, now),
            Fact::Notified { at, notice } => {
                self.told(device, |_| true, OpInput::Notice(at, &notice), now);
            }
            Fact::Disconnected { reason, .. } => self.unreachable(device, &reason, now),
            Fact::Connected { .. }
            | Fact::Evidence { .. }
            | Fact::Values { .. }
            | Fact::Model { .. } => {}
        }
    }

    fn done(
        &mut self,
        device: DeviceId,
        job: JobId,
        result: Result<Answer, Failure>,
        now: Timestamp,
    ) {
        if let Some(active) = self.active(device)
            && matches!(active.waiting, Waiting::Job(id) if id == job)
        {
            let step = active.operation.step(OpInput::Answer(result), now);
            self.follow(device, step, now);
        }
    }

    /// Tells an operation something that is no answer. What it waits for goes on, unless that
    /// decided it or it only waited for time.
    pub(super) fn told(
        &mut self,
        device: DeviceId,
        which: impl Fn(&Operation) -> bool,
        input: OpInput<'_>,
        now: Timestamp,
    ) {
        let Some(active) = self.active(device) else {
            return;
        };
        if !which(&active.operation) {
            return;
        }
        match &active.waiting {
            Waiting::Until(_) => {
                let step = active.operation.step(input, now);
                self.follow(device, step, now);
            }
            Waiting::Job(_) | Waiting::Save(Then::Proceed) => {
                active.operation.hear(input, now);
                if active.operation.state.is_final() {
                    self.save(device, Then::Done, now);
                }
            }
            // Not sent yet, or decided already: the event log keeps it for the next claim.
            Waiting::Save(Then::Send(_)) => {
                active.operation.hear(input, now);
            }
            Waiting::Save(_) => {}
        }
    }
}
