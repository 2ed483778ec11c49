//! The dispatcher of one node: takes stored operations up, drives them one after the other on each
//! device, gives them back when a device goes away.
//!
//! A pure state machine. It keeps nothing a crash could lose: the store has the truth, guarded by a
//! fence (a number that grows with each claim), and this holds only what is being worked on now. A
//! device without work costs one entry in a map.
//!
//! It waits by the even clock of its node. An operation sees the calendar as it was when it was
//! claimed, going on evenly: a clock that is set neither delays nor ends what it waits for.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use crate::id::{DeviceId, OperationId, TenantId};
use crate::limits;
use crate::operation::{Input as OpInput, Operation, OperationState, Step};
use crate::southbound::{Job, JobId, Links, Notice, Op, Protocol};
use crate::time::{Now, Timestamp};

mod hearing;
mod links;
mod saving;
mod timers;
mod types;
mod words;

pub use types::{Claimed, Command, Config, Input, Place, Said, Saved, Write};

#[derive(Debug)]
enum Then {
    Send(Op),
    Proceed,
    Release,
    Done,
}

#[derive(Debug)]
enum Waiting {
    Job(JobId, Protocol),
    Save(Then),
    Until(Instant),
    /// For what the log has, before it goes on with this; when it is read again, where it could not be.
    Look(Box<OpInput<'static>>, Option<Instant>),
}

#[derive(Debug)]
struct Active {
    operation: Operation,
    stored: OperationState,
    /// The state that went into the write under way, and the number of that write.
    writing: (u64, OperationState),
    fence: i64,
    /// When it was claimed: from then on its time goes evenly.
    since: Now,
    /// Until when the stored lease holds for sure.
    lease_until: Instant,
    /// Until when it will hold once the write under way is durable.
    lease_next: Instant,
    /// The same for a renewal under way.
    renewing: Option<Instant>,
    waiting: Waiting,
    retry_save_at: Option<Instant>,
    /// The device said something that may decide it while it was being given back.
    heard: bool,
    /// How far what the log has of it was heard.
    heard_to: Place,
}

impl Active {
    fn time(&self, now: Now) -> Timestamp {
        now.steady(self.since)
    }

    /// Only time or a notice brings it on; it does not count as driven.
    fn rests(&self) -> bool {
        matches!(self.waiting, Waiting::Until(_))
    }
}

/// What happened while a claim was under way. Whether the evidence that comes with the claim has it
/// already cannot be known.
#[derive(Debug, Default)]
struct Meanwhile {
    cancels: Vec<OperationId>,
    heard: Vec<(Timestamp, Notice)>,
    /// More than is kept: only the log knows all.
    missed: bool,
}

#[derive(Debug)]
enum Lane {
    Idle,
    Ready,
    Claiming {
        lease_until: Instant,
        meanwhile: Box<Meanwhile>,
    },
    Active(Box<Active>),
    Later(Instant),
    /// What is its turn went over a protocol over which the device is not there; when it is looked at again.
    Elsewhere(Protocol, Instant),
}

impl Lane {
    /// Nothing of it is held, or about to be.
    fn is_free(&self) -> bool {
        matches!(self, Self::Idle | Self::Later(_) | Self::Elsewhere(..))
    }
}

#[derive(Debug)]
struct Device {
    tenant: TenantId,
    /// Each adapter speaks only of its own: the end of a session says nothing of another link.
    links: Links,
    wanted: bool,
    /// It said something that may decide an operation, and no claim was answered since: until when it is claimed for
    /// that, whether it is there or not.
    told: Option<Instant>,
    lane: Lane,
    timer: Option<Instant>,
}

/// The dispatcher of one node.
#[derive(Debug)]
pub struct Dispatcher {
    config: Config,
    devices: HashMap<DeviceId, Device>,
    ready: VecDeque<DeviceId>,
    timers: BTreeSet<(Instant, DeviceId)>,
    /// How many of the devices have a [`Device::told`].
    told: usize,
    out: VecDeque<Command>,
    driven: usize,
    resting: usize,
    next_job: u64,
    next_write: u64,
}

impl Dispatcher {
    /// A dispatcher without work.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            devices: HashMap::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            told: 0,
            out: VecDeque::new(),
            driven: 0,
            resting: 0,
            next_job: 1,
            next_write: 1,
        }
    }

    /// Takes an input; what follows is in [`Dispatcher::poll`].
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Reachable(tenant, device, over) => self.reachable(tenant, device, over),
            Input::Unreachable(device, over, why) => self.unreachable(device, over, &why, now),
            Input::Wake(device) => {
                if let Some(entry) = self.devices.get_mut(&device) {
                    entry.wanted = true;
                    self.make_ready(device);
                }
            }
            Input::Claimed(device, claimed) => self.claimed(device, claimed, now),
            Input::ClaimFailed(device) => self.claim_failed(device, now),
            Input::Saved(device, operation, write, saved) => {
                self.saved(device, operation, write, saved, now);
            }
            Input::Renewed(device, operation, fence, saved) => {
                self.renewed(device, operation, fence, saved, now);
            }
            Input::Looked(device, operation, fence, found) => {
                self.looked(device, operation, fence, found, now);
            }
            Input::Fact(tenant, device, fact) => self.fact(tenant, device, fact, now),
            Input::Cancel(device, operation) => self.cancel(device, operation, now),
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
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Operations this node holds or is about to: claimed, driven, waited for.
    pub fn busy(&self) -> usize {
        self.driven + self.resting
    }

    fn make_ready(&mut self, device: DeviceId) {
        if let Some(entry) = self.devices.get_mut(&device)
            && entry.may_be_claimed()
            && entry.wanted
            && matches!(entry.lane, Lane::Idle)
        {
            entry.lane = Lane::Ready;
            self.ready.push_back(device);
        }
    }

    fn start_ready(&mut self, now: Now) {
        while self.driven < self.config.in_flight_max && self.resting < self.config.waiting_max {
            let Some(device) = self.ready.pop_front() else {
                return;
            };
            let Some(entry) = self.devices.get_mut(&device) else {
                continue;
            };
            if !matches!(entry.lane, Lane::Ready) {
                continue;
            }
            if !entry.may_be_claimed() {
                entry.lane = Lane::Idle;
                self.forget_if_idle(device);
                continue;
            }
            entry.wanted = false;
            entry.lane = Lane::Claiming {
                lease_until: now.later(limits::LEASE),
                meanwhile: Box::default(),
            };
            let tenant = entry.tenant.clone();
            self.driven += 1;
            self.out.push_back(Command::Claim {
                tenant,
                device,
                lease_until: now.wall.plus(limits::LEASE),
            });
        }
    }

    /// Ends a claim under way; `None` when there is none.
    fn end_claim(&mut self, device: DeviceId) -> Option<(Instant, Box<Meanwhile>)> {
        let entry = self.devices.get_mut(&device)?;
        match std::mem::replace(&mut entry.lane, Lane::Idle) {
            Lane::Claiming {
                lease_until,
                meanwhile,
            } => {
                self.driven -= 1;
                Some((lease_until, meanwhile))
            }
            other => {
                entry.lane = other;
                None
            }
        }
    }

    fn claim_failed(&mut self, device: DeviceId, now: Now) {
        if self.end_claim(device).is_some() {
            self.later(device, now);
        }
    }

    fn claimed(&mut self, device: DeviceId, claimed: Option<Box<Claimed>>, now: Now) {
        let Some((lease_until, meanwhile)) = self.end_claim(device) else {
            return;
        };
        if !meanwhile.missed {
            self.word_heard(device);
        }
        let Some(claimed) = claimed else {
            self.make_ready(device);
            self.rest(device);
            self.forget_if_idle(device);
            return;
        };
        if meanwhile.missed {
            // The lease is ours; with the next claim comes all that the log has.
            self.later(device, now);
            return;
        }
        let Claimed {
            mut operation,
            fence,
            evidence,
            cancelled,
        } = *claimed;
        let stored = operation.state;
        if cancelled || meanwhile.cancels.contains(&operation.id) {
            operation.hear(OpInput::Cancel, now.wall);
        }
        let best = self.devices.get(&device).and_then(|d| d.links.best());
        operation.take_up_over(best);
        let Said {
            notices: mut evidence,
            to: heard_to,
        } = evidence;
        evidence.extend(meanwhile.heard);
        // A device that left meanwhile: only what is stored may still decide it.
        let step = operation.step(OpInput::Claimed(&evidence), now.wall);
        let active = Active {
            operation,
            stored,
            writing: (0, stored),
            fence,
            since: now,
            lease_until,
            lease_next: lease_until,
            renewing: None,
            waiting: Waiting::Until(now.mono),
            retry_save_at: None,
            heard: false,
            heard_to,
        };
        let Some(entry) = self.devices.get_mut(&device) else {
            return;
        };
        let reachable = entry.link_for(&active.operation).is_some();
        entry.lane = Lane::Active(Box::new(active));
        entry.wanted = true;
        self.resting += 1;
        if reachable || step == Step::Finished {
            self.follow(device, step, now);
        } else {
            self.not_sent(device, &step);
            self.release_unreachable(device, now);
        }
    }

    fn active(&mut self, device: DeviceId) -> Option<&mut Active> {
        match &mut self.devices.get_mut(&device)?.lane {
            Lane::Active(active) => Some(active),
            _ => None,
        }
    }

    /// What an operation waits for, and whether it counts as driven.
    fn wait_for(&mut self, device: DeviceId, waiting: Waiting) {
        let Some(active) = self.active(device) else {
            return;
        };
        let rested = active.rests();
        active.waiting = waiting;
        match (rested, active.rests()) {
            (true, false) => (self.resting, self.driven) = (self.resting - 1, self.driven + 1),
            (false, true) => (self.resting, self.driven) = (self.resting + 1, self.driven - 1),
            _ => {}
        }
    }

    /// Does what the operation asks for.
    fn follow(&mut self, device: DeviceId, step: Step, now: Now) {
        let reachable = self.link(device).is_some();
        match step {
            Step::Finished => self.save(device, Then::Done, now),
            Step::Save => self.save(device, Then::Proceed, now),
            Step::SaveThenSend(op) => self.save(device, Then::Send(op), now),
            Step::Send(_) | Step::Wait(_) if !reachable => {
                self.not_sent(device, &step);
                self.release_unreachable(device, now);
            }
            Step::Send(op) => self.submit(device, op, now),
            Step::Wait(until) => {
                if let Some(active) = self.active(device) {
                    let longest = match active.operation.awaits_word() {
                        true => limits::EVIDENCE_LOOK_EVERY,
                        false => limits::TIMER_MAX,
                    };
                    let wait = until.since(active.time(now)).min(longest);
                    self.wait_for(device, Waiting::Until(now.later(wait)));
                    self.set_timer(device, now);
                    self.rest(device);
                }
            }
        }
    }

    /// What the operation counts as sent does not leave.
    fn not_sent(&mut self, device: DeviceId, step: &Step) {
        if let (Step::Send(_) | Step::SaveThenSend(_), Some(active)) = (step, self.active(device)) {
            active.operation.unsend();
        }
    }

    fn submit(&mut self, device: DeviceId, op: Op, now: Now) {
        let id = JobId(self.next_job);
        let timeout = self.config.answer_timeout;
        let over = self.link(device);
        let (Some(active), Some(over)) = (self.active(device), over) else {
            return;
        };
        if now.mono >= active.lease_until {
            // Somebody else may have it by now: whatever this was, it must not leave.
            self.drop_active(device, now);
            return;
        }
        let job = Job {
            id,
            op,
            timeout,
            transcript: Some(active.operation.id),
            over,
        };
        self.next_job += 1;
        self.wait_for(device, Waiting::Job(id, over));
        if let Some(entry) = self.devices.get(&device) {
            let tenant = entry.tenant.clone();
            self.out.push_back(Command::Submit {
                tenant,
                device,
                job,
            });
        }
        self.rest_but(device, Some(over));
        self.set_timer(device, now);
    }

    /// Ends the work on an operation, whatever became of it.
    fn end_active(&mut self, device: DeviceId) {
        if self.active(device).is_some() {
            self.wait_for(device, Waiting::Save(Then::Done));
            self.driven -= 1;
            self.clear_timer(device);
            if let Some(entry) = self.devices.get_mut(&device) {
                entry.lane = Lane::Idle;
                entry.wanted = true;
            }
        }
    }

    /// The operation is not ours any more. What was heard of it is in the log, and whoever has it may not have looked.
    fn drop_active(&mut self, device: DeviceId, now: Now) {
        let told = |active: &mut Active| active.heard || active.operation.state.is_final();
        if self.active(device).is_some_and(told) {
            self.keep_word(device, now);
        }
        self.end_active(device);
        self.later(device, now);
    }

    fn later(&mut self, device: DeviceId, now: Now) {
        if let Some(entry) = self.devices.get_mut(&device) {
            entry.wanted = true;
            entry.lane = Lane::Later(now.later(limits::STORE_RETRY));
            self.set_timer(device, now);
        }
    }

    fn forget_if_idle(&mut self, device: DeviceId) {
        if self
            .devices
            .get(&device)
            .is_some_and(|d| !d.may_be_claimed() && d.lane.is_free())
        {
            self.clear_timer(device);
            self.devices.remove(&device);
        }
    }
}

#[cfg(test)]
mod look_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod two_links_tests;
#[cfg(test)]
mod word_tests;
