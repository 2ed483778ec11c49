//! The dispatcher of one node: takes stored operations up, drives them one after the other on each
//! device, gives them back when a device goes away.
//!
//! A pure state machine. It keeps nothing a crash could lose: the store has the truth, guarded by a
//! fence (a number that grows with each claim), and this holds only what is being worked on now. A
//! device without work costs one entry in a map.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::id::{DeviceId, OperationId, TenantId};
use crate::limits;
use crate::operation::{Input as OpInput, Operation, OperationState, Step};
use crate::southbound::{Failure, Job, JobId, Op};
use crate::time::Timestamp;

mod hearing;
mod timers;
mod types;

pub use types::{Claimed, Command, Config, Input, Saved};

#[derive(Debug)]
enum Then {
    Send(Op),
    Proceed,
    Release,
    Done,
}

#[derive(Debug)]
enum Waiting {
    Job(JobId),
    Save(Then),
    Until(Timestamp),
}

#[derive(Debug)]
struct Active {
    operation: Operation,
    stored: OperationState,
    fence: i64,
    lease_until: Timestamp,
    renewing: bool,
    waiting: Waiting,
    retry_save_at: Option<Timestamp>,
}

#[derive(Debug)]
enum Lane {
    Idle,
    Ready,
    Claiming {
        until: Timestamp,
        cancel: Option<OperationId>,
    },
    Active(Box<Active>),
    Later(Timestamp),
}

#[derive(Debug)]
struct Device {
    tenant: TenantId,
    reachable: bool,
    wanted: bool,
    lane: Lane,
    timer: Option<Timestamp>,
}

/// The dispatcher of one node.
#[derive(Debug)]
pub struct Dispatcher {
    config: Config,
    devices: HashMap<DeviceId, Device>,
    ready: VecDeque<DeviceId>,
    timers: BTreeSet<(Timestamp, DeviceId)>,
    out: VecDeque<Command>,
    busy: usize,
    next_job: u64,
}

impl Dispatcher {
    /// A dispatcher without work.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            devices: HashMap::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            out: VecDeque::new(),
            busy: 0,
            next_job: 1,
        }
    }

    /// Takes an input; what follows is in [`Dispatcher::poll`].
    pub fn handle(&mut self, input: Input, now: Timestamp) {
        match input {
            Input::Reachable(tenant, device) => self.reachable(tenant, device),
            Input::Unreachable(device, why) => self.unreachable(device, &why, now),
            Input::Wake(device) => {
                if let Some(entry) = self.devices.get_mut(&device) {
                    entry.wanted = true;
                    self.make_ready(device);
                }
            }
            Input::Claimed(device, claimed) => self.claimed(device, claimed, now),
            Input::ClaimFailed(device) => {
                if self.is_claiming(device) {
                    self.busy -= 1;
                    self.later(device, now);
                }
            }
            Input::Saved(device, operation, fence, saved) => {
                self.saved(device, operation, fence, saved, now);
            }
            Input::Renewed(device, operation, fence, saved) => {
                self.renewed(device, operation, fence, saved, now);
            }
            Input::Fact(device, fact) => self.fact(device, fact, now),
            Input::Cancel(device, operation) => {
                if let Some(entry) = self.devices.get_mut(&device)
                    && let Lane::Claiming { cancel, .. } = &mut entry.lane
                {
                    // The store may have given it to us already.
                    *cancel = Some(operation);
                }
                self.told(device, |op| op.id == operation, OpInput::Cancel, now);
            }
            Input::Tick => {}
        }
        self.run_timers(now);
        self.start_ready(now);
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Command> {
        self.out.pop_front()
    }

    /// When to call with [`Input::Tick`] at the latest.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Operations being claimed or driven.
    pub fn busy(&self) -> usize {
        self.busy
    }

    fn reachable(&mut self, tenant: TenantId, device: DeviceId) {
        let entry = self.devices.entry(device).or_insert(Device {
            tenant,
            reachable: true,
            wanted: true,
            lane: Lane::Idle,
            timer: None,
        });
        entry.reachable = true;
        entry.wanted = true;
        self.make_ready(device);
    }

    fn unreachable(&mut self, device: DeviceId, why: &str, now: Timestamp) {
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        entry.reachable = false;
        if let Lane::Active(active) = &mut entry.lane {
            match active.waiting {
                Waiting::Job(_) => {
                    // The adapter ends its jobs first; one that is left is as good as lost.
                    let lost = Failure::Lost {
                        reason: why.to_owned(),
                    };
                    let step = active.operation.step(OpInput::Answer(Err(lost)), now);
                    self.follow(device, step, now);
                }
                Waiting::Until(_) => self.release(device, why, now),
                Waiting::Save(_) => {}
            }
        } else {
            self.forget_if_idle(device);
        }
    }

    fn make_ready(&mut self, device: DeviceId) {
        if let Some(entry) = self.devices.get_mut(&device)
            && entry.reachable
            && entry.wanted
            && matches!(entry.lane, Lane::Idle)
        {
            entry.lane = Lane::Ready;
            self.ready.push_back(device);
        }
    }

    fn start_ready(&mut self, now: Timestamp) {
        while self.busy < self.config.in_flight_max {
            let Some(device) = self.ready.pop_front() else {
                return;
            };
            let Some(entry) = self.devices.get_mut(&device) else {
                continue;
            };
            if !matches!(entry.lane, Lane::Ready) {
                continue;
            }
            if !entry.reachable {
                entry.lane = Lane::Idle;
                self.forget_if_idle(device);
                continue;
            }
            let lease_until = now.plus(limits::LEASE);
            entry.wanted = false;
            entry.lane = Lane::Claiming {
                until: lease_until,
                cancel: None,
            };
            let tenant = entry.tenant.clone();
            self.busy += 1;
            self.out.push_back(Command::Claim {
                tenant,
                device,
                lease_until,
            });
        }
    }

    fn is_claiming(&self, device: DeviceId) -> bool {
        self.devices
            .get(&device)
            .is_some_and(|d| matches!(d.lane, Lane::Claiming { .. }))
    }

    fn claimed(&mut self, device: DeviceId, claimed: Option<Box<Claimed>>, now: Timestamp) {
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        let Lane::Claiming { until, cancel } = entry.lane else {
            return;
        };
        let Some(claimed) = claimed else {
            entry.lane = Lane::Idle;
            self.busy -= 1;
            self.make_ready(device);
            self.forget_if_idle(device);
            return;
        };
        let Claimed {
            operation,
            fence,
            evidence,
        } = *claimed;
        let mut active = Box::new(Active {
            stored: operation.state,
            operation,
            fence,
            lease_until: until,
            renewing: false,
            waiting: Waiting::Until(now),
            retry_save_at: None,
        });
        if cancel == Some(active.operation.id) {
            active.operation.hear(OpInput::Cancel, now);
        }
        let reachable = entry.reachable;
        // A device that left meanwhile: only what is stored may still decide it.
        let step = active.operation.step(OpInput::Claimed(&evidence), now);
        entry.lane = Lane::Active(active);
        entry.wanted = true;
        if reachable || step == Step::Finished {
            self.follow(device, step, now);
        } else {
            if let (Step::SaveThenSend(_), Some(active)) = (&step, self.active(device)) {
                active.operation.unsend();
            }
            self.release(device, "the device is not connected", now);
        }
    }

    fn active(&mut self, device: DeviceId) -> Option<&mut Active> {
        match &mut self.devices.get_mut(&device)?.lane {
            Lane::Active(active) => Some(active),
            _ => None,
        }
    }

    /// Does what the operation asks for.
    fn follow(&mut self, device: DeviceId, step: Step, now: Timestamp) {
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        let reachable = entry.reachable;
        match step {
            Step::Finished => self.save(device, Then::Done, now),
            Step::Save => self.save(device, Then::Proceed, now),
            Step::SaveThenSend(op) => self.save(device, Then::Send(op), now),
            Step::Send(_) | Step::Wait(_) if !reachable => {
                self.release(device, "the device is not connected", now);
            }
            Step::Send(op) => self.submit(device, op, now),
            Step::Wait(until) => {
                if let Some(active) = self.active(device) {
                    active.waiting = Waiting::Until(until);
                    self.set_timer(device, now);
                }
            }
        }
    }

    fn submit(&mut self, device: DeviceId, op: Op, now: Timestamp) {
        let id = JobId(self.next_job);
        let timeout = self.config.answer_timeout;
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        let tenant = entry.tenant.clone();
        let Lane::Active(active) = &mut entry.lane else {
            return;
        };
        if now >= active.lease_until {
            // Somebody else may have it by now: whatever this was, it must not leave.
            self.drop_active(device, now);
            return;
        }
        self.next_job += 1;
        active.waiting = Waiting::Job(id);
        let job = Job {
            id,
            op,
            timeout,
            transcript: Some(active.operation.id),
        };
        self.out.push_back(Command::Submit {
            tenant,
            device,
            job,
        });
        self.set_timer(device, now);
    }

    fn save(&mut self, device: DeviceId, then: Then, now: Timestamp) {
        let Some(active) = self.active(device) else {
            return;
        };
        let release = matches!(then, Then::Done | Then::Release);
        let lease_until = (!release).then(|| now.plus(limits::LEASE));
        active.waiting = Waiting::Save(then);
        active.retry_save_at = None;
        let command = Command::Save {
            operation: Box::new(active.operation.clone()),
            previous: active.stored,
            fence: active.fence,
            lease_until,
        };
        self.out.push_back(command);
        self.set_timer(device, now);
    }

    fn release(&mut self, device: DeviceId, why: &str, now: Timestamp) {
        if let Some(active) = self.active(device) {
            active.operation.pause(why);
            self.save(device, Then::Release, now);
        }
    }

    fn saved(
        &mut self,
        device: DeviceId,
        operation: OperationId,
        fence: i64,
        saved: Saved,
        now: Timestamp,
    ) {
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        let reachable = entry.reachable;
        let Lane::Active(active) = &mut entry.lane else {
            return;
        };
        if active.operation.id != operation || active.fence != fence {
            return;
        }
        if saved == Saved::Fenced {
            self.drop_active(device, now);
            return;
        }
        if !matches!(active.waiting, Waiting::Save(_)) {
            // A write that was asked twice because its answer was slow; the first one counted.
            return;
        }
        if saved == Saved::Failed {
            active.retry_save_at = Some(now.plus(limits::STORE_RETRY));
            self.set_timer(device, now);
            return;
        }
        active.stored = active.operation.state;
        active.lease_until = now.plus(limits::LEASE);
        active.renewing = false;
        let waiting = std::mem::replace(&mut active.waiting, Waiting::Until(now));
        let Waiting::Save(then) = waiting else { return };
        match then {
            Then::Done | Then::Release => self.drop_active_quietly(device),
            Then::Send(op) if reachable => self.submit(device, op, now),
            Then::Send(_) => {
                active.operation.unsend();
                self.release(device, "the device is not connected", now);
            }
            Then::Proceed => {
                let step = active.operation.step(OpInput::Proceed, now);
                self.follow(device, step, now);
            }
        }
    }

    fn renewed(
        &mut self,
        device: DeviceId,
        operation: OperationId,
        fence: i64,
        saved: Saved,
        now: Timestamp,
    ) {
        let Some(active) = self.active(device) else {
            return;
        };
        if active.operation.id != operation || active.fence != fence {
            return;
        }
        active.renewing = false;
        if matches!(active.waiting, Waiting::Save(_)) {
            // The write under way holds the claim longer, or says that it is lost.
            return;
        }
        match saved {
            Saved::Fenced => return self.drop_active(device, now),
            Saved::Durable => active.lease_until = now.plus(limits::LEASE),
            Saved::Failed => {}
        }
        self.set_timer(device, now);
    }

    /// The operation is not ours any more.
    fn drop_active(&mut self, device: DeviceId, now: Timestamp) {
        if self.active(device).is_some() {
            self.busy -= 1;
            self.later(device, now);
        }
    }

    fn drop_active_quietly(&mut self, device: DeviceId) {
        if let Some(entry) = self.devices.get_mut(&device) {
            entry.lane = Lane::Idle;
            entry.wanted = true;
            self.busy -= 1;
            self.clear_timer(device);
            self.make_ready(device);
            self.forget_if_idle(device);
        }
    }

    fn later(&mut self, device: DeviceId, now: Timestamp) {
        if let Some(entry) = self.devices.get_mut(&device) {
            entry.wanted = true;
            entry.lane = Lane::Later(now.plus(limits::STORE_RETRY));
            self.set_timer(device, now);
        }
    }

    fn forget_if_idle(&mut self, device: DeviceId) {
        if self
            .devices
            .get(&device)
            .is_some_and(|d| !d.reachable && matches!(d.lane, Lane::Idle | Lane::Later(_)))
        {
            self.clear_timer(device);
            self.devices.remove(&device);
        }
    }
}

#[cfg(test)]
mod tests;
