//! The dispatcher's times: when to go on, when to renew a claim, when to write again.

use super::{Command, Dispatcher, Lane, Waiting};
use crate::id::DeviceId;
use crate::limits;
use crate::operation::Input as OpInput;
use crate::time::Now;

impl Dispatcher {
    pub(super) fn clear_timer(&mut self, device: DeviceId) {
        if let Some(entry) = self.devices.get_mut(&device)
            && let Some(at) = entry.timer.take()
        {
            self.timers.remove(&(at, device));
        }
    }

    pub(super) fn set_timer(&mut self, device: DeviceId, now: Now) {
        self.clear_timer(device);
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        let at = match &entry.lane {
            Lane::Idle | Lane::Ready | Lane::Claiming { .. } => return,
            Lane::Later(at) | Lane::Elsewhere(_, at) => *at,
            Lane::Active(active) => {
                let left = active.lease_until.saturating_duration_since(now.mono);
                let renew = match active.renewing {
                    Some(_) => active.lease_until,
                    None => now.later(left.saturating_sub(limits::LEASE_RENEW_BEFORE)),
                };
                match active.waiting {
                    // The write holds the lease longer; only its own loss matters.
                    Waiting::Save(_) => active
                        .retry_save_at
                        .unwrap_or_else(|| now.later(limits::LEASE)),
                    Waiting::Job(..) | Waiting::Look(_, None) => renew,
                    Waiting::Until(at) | Waiting::Look(_, Some(at)) => at.min(renew),
                }
            }
        };
        entry.timer = Some(at);
        self.timers.insert((at, device));
    }

    pub(super) fn run_timers(&mut self, now: Now) {
        while let Some((at, device)) = self.timers.first().copied() {
            if at > now.mono {
                return;
            }
            self.clear_timer(device);
            self.timer(device, now);
        }
    }

    fn timer(&mut self, device: DeviceId, now: Now) {
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        let tenant = entry.tenant.clone();
        let active = match &mut entry.lane {
            Lane::Later(_) => {
                entry.lane = Lane::Idle;
                self.word_forgotten(device, now);
                self.make_ready(device);
                self.forget_if_idle(device);
                return;
            }
            Lane::Elsewhere(..) => return self.look(device),
            Lane::Active(active) => active,
            _ => return,
        };
        if let Waiting::Save(_) = active.waiting {
            if active.retry_save_at.is_some() {
                active.lease_next = now.later(limits::LEASE);
            }
            // Else the first write may still come to its end: no lease longer than that one's.
            return self.write(device, now);
        }
        if now.mono >= active.lease_until {
            // Not renewed in time: another node may have it.
            return self.drop_active(device, now);
        }
        if let Waiting::Until(at) = active.waiting
            && at <= now.mono
        {
            return self.go_on(device, OpInput::Proceed, now);
        }
        if let Waiting::Look(_, Some(at)) = active.waiting
            && at <= now.mono
        {
            return self.read_log(device, now);
        }
        let left = active.lease_until.saturating_duration_since(now.mono);
        if active.renewing.is_none() && left <= limits::LEASE_RENEW_BEFORE {
            active.renewing = Some(now.later(limits::LEASE));
            self.out.push_back(Command::Renew {
                tenant,
                device,
                operation: active.operation.id,
                fence: active.fence,
                lease_until: now.wall.plus(limits::LEASE),
            });
        }
        self.set_timer(device, now);
    }
}
