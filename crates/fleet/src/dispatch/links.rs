//! Over which of its links a device is asked. What may be repeated goes over the best one there is; what was sent once and
//! for all stays with the protocol it went over, also while the device can be asked over another.

use super::{Command, Device, Dispatcher, Lane, Waiting};
use crate::id::{DeviceId, TenantId};
use crate::limits;
use crate::operation::{Input as OpInput, Operation};
use crate::southbound::{Failure, Protocol};
use crate::time::Now;

impl Device {
    pub(super) fn is_reachable(&self) -> bool {
        !self.links.is_empty()
    }

    /// Over which protocol it is asked for this operation now; `None` when it has to come first.
    pub(super) fn link_for(&self, operation: &Operation) -> Option<Protocol> {
        match operation.progress.over {
            Some(over) => Some(over).filter(|over| self.links.has(*over)),
            None => self.links.best(),
        }
    }
}

impl Dispatcher {
    /// Over which protocol the device is asked for what is worked on.
    pub(super) fn link(&self, device: DeviceId) -> Option<Protocol> {
        let entry = self.devices.get(&device)?;
        match &entry.lane {
            Lane::Active(active) => entry.link_for(&active.operation),
            _ => entry.links.best(),
        }
    }

    pub(super) fn reachable(&mut self, tenant: TenantId, device: DeviceId, over: Protocol) {
        let entry = self.devices.entry(device);
        let entry = entry.or_insert_with(|| Device::of(tenant));
        let comes = !entry.is_reachable();
        entry.links.add(over);
        entry.wanted = true;
        match &entry.lane {
            // It was only kept in mind.
            Lane::Later(_) if comes => {
                entry.lane = Lane::Idle;
                self.clear_timer(device);
            }
            Lane::Active(active) => {
                let used = match active.waiting {
                    Waiting::Job(_, asked) => Some(asked),
                    Waiting::Until(_) | Waiting::Look(..) => entry.link_for(&active.operation),
                    Waiting::Save(_) => return,
                };
                if used != Some(over) {
                    // What is under way is under way elsewhere.
                    self.rest_over(device, over);
                }
            }
            Lane::Elsewhere(waited, _) if *waited == over => self.look(device),
            Lane::Elsewhere(..) => self.rest_over(device, over),
            _ => {}
        }
        self.make_ready(device);
    }

    pub(super) fn unreachable(&mut self, device: DeviceId, over: Protocol, why: &str, now: Now) {
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        entry.links.remove(over);
        let reachable = match &entry.lane {
            Lane::Active(active) => entry.link_for(&active.operation).is_some(),
            _ => entry.is_reachable(),
        };
        if let Lane::Active(active) = &mut entry.lane {
            match active.waiting {
                Waiting::Job(_, asked) if asked == over => {
                    // The adapter ends its jobs first; one that is left is as good as lost.
                    let lost = Failure::Lost {
                        reason: why.to_owned(),
                    };
                    let time = active.time(now);
                    let step = active.operation.step(OpInput::Answer(Err(lost)), time);
                    self.follow(device, step, now);
                }
                Waiting::Until(_) if !reachable => self.release(device, why, now),
                Waiting::Job(..) | Waiting::Until(_) | Waiting::Save(_) | Waiting::Look(..) => {}
            }
        } else {
            self.forget_if_idle(device);
        }
    }

    /// Gives back what nobody can be asked for now.
    pub(super) fn release_unreachable(&mut self, device: DeviceId, now: Now) {
        let entry = self.devices.get(&device);
        let others = entry.is_some_and(Device::is_reachable);
        // What was begun and never left did not go over anything.
        let sent = |operation: &Operation| operation.progress.sent_at.is_some();
        let active = self.active(device).map(|active| &active.operation);
        let over = active
            .filter(|one| sent(one))
            .and_then(|one| one.progress.over);
        let why = match over.filter(|_| others) {
            Some(over) => format!("it went over {over}, over which the device is not connected"),
            None => "the device is not connected".to_owned(),
        };
        self.release(device, &why, now);
    }

    /// What is given back waits for the protocol it went over, while the device is there over another one. Nothing else
    /// has its turn before it.
    pub(super) fn given_back(&mut self, device: DeviceId, now: Now) {
        let active = self.active(device);
        let heard = active.as_ref().is_some_and(|active| active.heard);
        let went = active.filter(|_| !heard);
        let went = went.and_then(|active| {
            let left = active.operation.due().since(active.time(now));
            Some((active.operation.progress.over?, left))
        });
        self.end_active(device);
        if heard {
            self.keep_word(device, now);
        }
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        match went.filter(|(over, _)| entry.is_reachable() && !entry.links.has(*over)) {
            Some((over, left)) => {
                // Where its time ends before that, so does what it holds up.
                let every = limits::ELSEWHERE_LOOK_EVERY;
                let wait = left.clamp(limits::STORE_RETRY, every);
                entry.lane = Lane::Elsewhere(over, now.later(wait));
                self.set_timer(device, now);
                self.rest(device);
            }
            None => self.settled(device),
        }
    }

    /// Something happened that may move what waits for another protocol.
    pub(super) fn look(&mut self, device: DeviceId) {
        if let Some(entry) = self.devices.get_mut(&device)
            && let Lane::Elsewhere(..) = entry.lane
        {
            entry.lane = Lane::Idle;
            entry.wanted = true;
            self.clear_timer(device);
            self.make_ready(device);
        }
    }

    /// Nothing is asked of a device that is there, unless there is more to look for.
    pub(super) fn rest(&mut self, device: DeviceId) {
        self.rest_but(device, None);
    }

    /// The same over its other links, while it is asked over one.
    pub(super) fn rest_but(&mut self, device: DeviceId, used: Option<Protocol>) {
        let Some(entry) = self.devices.get(&device) else {
            return;
        };
        if let Lane::Idle | Lane::Active(_) | Lane::Elsewhere(..) = entry.lane {
            let links = entry.links;
            for over in links.each().filter(|over| Some(*over) != used) {
                self.rest_over(device, over);
            }
        }
    }

    fn rest_over(&mut self, device: DeviceId, over: Protocol) {
        if let Some(entry) = self.devices.get(&device) {
            let tenant = entry.tenant.clone();
            self.out.push_back(Command::Rest {
                tenant,
                device,
                over,
            });
        }
    }
}
