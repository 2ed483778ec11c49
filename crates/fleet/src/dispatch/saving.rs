//! How the dispatcher writes operations down, and what follows when they are.

use super::{Command, Dispatcher, Saved, Then, Waiting, Write};
use crate::id::{DeviceId, OperationId};
use crate::limits;
use crate::operation::Input as OpInput;
use crate::time::Now;

impl Dispatcher {
    pub(super) fn save(&mut self, device: DeviceId, then: Then, now: Now) {
        if let Some(active) = self.active(device) {
            active.lease_next = now.later(limits::LEASE);
            self.wait_for(device, Waiting::Save(then));
            self.write(device, now);
        }
    }

    /// Asks for the write that is waited for.
    pub(super) fn write(&mut self, device: DeviceId, now: Now) {
        let number = self.next_write;
        let Some(active) = self.active(device) else {
            return;
        };
        let release = matches!(active.waiting, Waiting::Save(Then::Done | Then::Release));
        active.retry_save_at = None;
        active.writing = (number, active.operation.state);
        let command = Command::Save {
            operation: Box::new(active.operation.clone()),
            previous: active.stored,
            write: Write {
                fence: active.fence,
                number,
            },
            lease_until: (!release).then(|| now.wall.plus(limits::LEASE)),
        };
        self.next_write += 1;
        self.out.push_back(command);
        self.set_timer(device, now);
    }

    pub(super) fn release(&mut self, device: DeviceId, why: &str, now: Now) {
        if let Some(active) = self.active(device) {
            active.operation.pause(why);
            self.save(device, Then::Release, now);
        }
    }

    pub(super) fn saved(
        &mut self,
        device: DeviceId,
        operation: OperationId,
        write: Write,
        saved: Saved,
        now: Now,
    ) {
        let reachable = self.link(device).is_some();
        let Some(active) = self.active(device) else {
            return;
        };
        if active.operation.id != operation || active.fence != write.fence {
            return;
        }
        if saved == Saved::Fenced {
            self.drop_active(device, now);
            return;
        }
        let (number, state) = active.writing;
        if write.number != number || !matches!(active.waiting, Waiting::Save(_)) {
            // Its answer was slow and it was asked again; the last one counts.
            return;
        }
        if saved == Saved::Failed {
            active.retry_save_at = Some(now.later(limits::STORE_RETRY));
            self.set_timer(device, now);
            return;
        }
        // Not what it has become meanwhile: that is yet to be written.
        active.stored = state;
        active.lease_until = active.lease_next;
        active.renewing = None;
        let held = now.mono < active.lease_until;
        // Taken out without a rest between: what follows always waits for something else.
        let waiting = std::mem::replace(&mut active.waiting, Waiting::Save(Then::Proceed));
        let Waiting::Save(then) = waiting else { return };
        match then {
            // Decided or stopped meanwhile, and a second write has that already.
            _ if state.is_final() => self.settled(device),
            // Stopped while it was given back: as nobody may come to take it up, its end is ours.
            Then::Release if active.operation.state != active.stored => {
                self.save(device, Then::Done, now);
            }
            Then::Release => self.given_back(device, now),
            Then::Done => self.settled(device),
            // Decided or stopped while it was written down: it must not leave any more.
            Then::Send(_) if active.operation.is_stopped() => {
                active.operation.unsend();
                self.proceed(device, now);
            }
            Then::Send(op) if reachable && held => self.submit(device, op, now),
            // Nobody is there, or the write took longer than the claim held.
            Then::Send(_) => {
                active.operation.unsend();
                match reachable {
                    true => self.release(device, "the database is slow", now),
                    false => self.release_unreachable(device, now),
                }
            }
            Then::Proceed => self.proceed(device, now),
        }
    }

    pub(super) fn settled(&mut self, device: DeviceId) {
        self.end_active(device);
        self.make_ready(device);
        self.forget_if_idle(device);
    }

    fn proceed(&mut self, device: DeviceId, now: Now) {
        if let Some(active) = self.active(device) {
            let time = active.time(now);
            let step = active.operation.step(OpInput::Proceed, time);
            self.follow(device, step, now);
        }
    }

    pub(super) fn renewed(
        &mut self,
        device: DeviceId,
        operation: OperationId,
        fence: i64,
        saved: Saved,
        now: Now,
    ) {
        let Some(active) = self.active(device) else {
            return;
        };
        if active.operation.id != operation || active.fence != fence {
            return;
        }
        let until = active.renewing.take();
        if matches!(active.waiting, Waiting::Save(_)) {
            // The write under way holds the claim longer, or says that it is lost.
            return;
        }
        match (saved, until) {
            (Saved::Fenced, _) => return self.drop_active(device, now),
            (Saved::Durable, Some(until)) => active.lease_until = active.lease_until.max(until),
            _ => {}
        }
        self.set_timer(device, now);
    }
}
