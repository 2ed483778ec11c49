//! The dispatcher's times: when to go on, when to renew a claim, when to write again.

use super::{Command, Dispatcher, Lane, Waiting};
use crate::id::DeviceId;
use crate::limits;
use crate::operation::Input as OpInput;
use crate::time::Timestamp;

impl Dispatcher {
    pub(super) fn clear_timer(&mut self, device: DeviceId) {
        if let Some(entry) = self.devices.get_mut(&device)
            && let Some(at) = entry.timer.take()
        {
            self.timers.remove(&(at, device));
        }
    }

    pub(super) fn set_timer(&mut self, device: DeviceId, now: Timestamp) {
        self.clear_timer(device);
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        let at = match &entry.lane {
            Lane::Idle | Lane::Ready | Lane::Claiming { .. } => return,
            Lane::Later(at) => *at,
            Lane::Active(active) => {
                let renew = if active.renewing {
                    active.lease_until
                } else {
                    active.lease_until.minus(limits::LEASE_RENEW_BEFORE)
                };
                match active.waiting {
                    // The write holds the lease longer; only its own loss matters.
                    Waiting::Save(_) => active.retry_save_at.unwrap_or(now.plus(limits::LEASE)),
                    Waiting::Job(_) => renew,
                    Waiting::Until(at) => at.min(renew),
                }
            }
        };
        entry.timer = Some(at);
        self.timers.insert((at, device));
    }

    pub(super) fn run_timers(&mut self, now: Timestamp) {
        while let Some((at, device)) = self.timers.first().copied() {
            if at > now {
                return;
            }
            self.clear_timer(device);
            self.timer(device, now);
        }
    }

    fn timer(&mut self, device: DeviceId, now: Timestamp) {
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        let tenant = entry.tenant.clone();
        let active = match &mut entry.lane {
            Lane::Later(_) => {
                entry.lane = Lane::Idle;
                self.make_ready(device);
                self.forget_if_idle(device);
                return;
            }
            Lane::Active(active) => active,
            _ => return,
        };
        if now >= active.lease_until && !matches!(active.waiting, Waiting::Save(_)) {
            // Not renewed in time: another node may have it.
            self.drop_active(device, now);
            return;
        }
        if let Waiting::Save(_) = active.waiting {
            let then = std::mem::replace(&mut active.waiting, Waiting::Until(now));
            if let Waiting::Save(then) = then {
                self.save(device, then, now);
            }
            return;
        }
        if let Waiting::Until(at) = active.waiting
            && at <= now
        {
            let step = active.operation.step(OpInput::Proceed, now);
            self.follow(device, step, now);
            return;
        }
        if !active.renewing && active.lease_until.minus(limits::LEASE_RENEW_BEFORE) <= now {
            active.renewing = true;
            self.out.push_back(Command::Renew {
                tenant,
                device,
                operation: active.operation.id,
                fence: active.fence,
                lease_until: now.plus(limits::LEASE),
            });
        }
        self.set_timer(device, now);
    }
}
