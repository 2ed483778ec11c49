//! Two nodes, one store, some devices. Everything that is asked is remembered naively, so that the
//! promises can be checked: nothing that must not be repeated runs twice, the order on a device is
//! the order of asking, nothing acknowledged is lost.

// It exists to be watched by tests: what must never be ends it.
#![allow(clippy::unwrap_used)]

mod home;
mod links;
mod luck;
mod promises;
#[cfg(test)]
mod tests;

use fleet::dispatch::{Claimed, Command, Config, Dispatcher, Input, Place, Said, Saved};
use fleet::operation::{Request, retry_delay};
use fleet::southbound::{Job, Protocol};
use fleet::{
    Answer, DeviceId, Fact, Failure, Notice, Now, Op, Operation, OperationId, OperationState,
    TenantId, Timestamp, limits,
};
use home::Home;
pub use luck::Luck;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

struct Stored {
    op: Operation,
    fence: i64,
    lease: Option<(usize, Timestamp)>,
    cancel: bool,
}

/// The world: make one from a seed, ask for operations, do mischief, let it settle, check what it says.
pub struct World {
    seed: u64,
    luck: Luck,
    /// By the calendar, which all share; it may be set.
    now: Timestamp,
    /// By the clock that nobody sets.
    mono: Instant,
    nodes: Vec<Dispatcher>,
    pending: Vec<VecDeque<Command>>,
    log: Vec<(DeviceId, Timestamp, Notice)>,
    store: Vec<Stored>,
    devices: Vec<Home>,
    /// What each device speaks.
    stacks: &'static [Protocol],
    ran: BTreeMap<String, u32>,
    ended: BTreeSet<OperationId>,
    /// The rows that were made, as the side that was asked calls them.
    made: BTreeMap<String, String>,
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn id(device: usize) -> DeviceId {
    DeviceId(uuid::Uuid::from_u128(device as u128 + 1))
}

fn index(device: DeviceId) -> usize {
    device.0.as_u128() as usize - 1
}

impl World {
    /// A world with this many connected devices; one seed is one history.
    pub fn new(seed: u64, devices: usize, luck: Luck) -> Self {
        Self::of(seed, devices, luck, &[Protocol::Usp])
    }

    /// The same; each device speaks two protocols.
    pub fn dual(seed: u64, devices: usize, luck: Luck) -> Self {
        Self::of(seed, devices, luck, &[Protocol::Usp, Protocol::Cwmp])
    }

    fn of(seed: u64, devices: usize, luck: Luck, stacks: &'static [Protocol]) -> Self {
        let mut world = Self {
            seed: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            luck,
            now: Timestamp::from_millis(1_000_000_000),
            mono: Instant::now(),
            nodes: vec![
                Dispatcher::new(Config::default()),
                Dispatcher::new(Config::default()),
            ],
            pending: vec![VecDeque::new(), VecDeque::new()],
            log: Vec::new(),
            store: Vec::new(),
            devices: (0..devices).map(|_| Home::default()).collect(),
            stacks,
            ran: BTreeMap::new(),
            made: BTreeMap::new(),
            ended: BTreeSet::new(),
        };
        for device in 0..devices {
            world.link(device);
        }
        world
    }

    /// A number below `below`, by the seed.
    pub fn random(&mut self, below: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 11) as usize % below.max(1)
    }

    fn bad(&mut self, percent: usize) -> bool {
        percent > 0 && self.random(100) < percent
    }

    /// Where each operation stands, in the order of asking.
    pub fn states(&self) -> impl Iterator<Item = OperationState> {
        self.store.iter().map(|s| s.op.state)
    }

    /// Each operation in a line, for a failed assertion.
    pub fn summary(&self) -> Vec<String> {
        let line = |s: &Stored| {
            format!(
                "{} {} {:?}",
                s.op.request.summary(),
                s.op.state,
                s.op.outcome
            )
        };
        self.store.iter().map(line).collect()
    }

    /// Asks a device for an operation: stored, and its node is told.
    pub fn ask(&mut self, device: usize, mut request: Request) {
        let op = OperationId(uuid::Uuid::from_u128(1000 + self.store.len() as u128));
        if let Request::Add { values, .. } = &mut request {
            values.insert("Name".into(), op.to_string());
        }
        let expires = self.now.plus(limits::EXPIRY_DEFAULT);
        let op = Operation::new(op, tenant(), id(device), request, "test", self.now, expires);
        self.store.push(Stored {
            op,
            fence: 0,
            lease: None,
            cancel: false,
        });
        self.wake(device);
    }

    fn wake(&mut self, device: usize) {
        for node in self.nodes_of(device) {
            self.tell(node, Input::Wake(id(device)));
        }
    }

    fn tell(&mut self, node: usize, input: Input) {
        let now = Now {
            mono: self.mono,
            wall: self.now,
        };
        self.nodes[node].handle(input, now);
        while let Some(command) = self.nodes[node].poll() {
            self.pending[node].push_back(command);
        }
    }

    /// kill -9 and start again: all that is not stored is gone, the links too.
    pub fn crash(&mut self, node: usize) {
        self.nodes[node] = Dispatcher::new(Config::default());
        self.pending[node].clear();
        for device in &mut self.devices {
            for over in self.stacks {
                let link = &mut device.side_mut(*over).link;
                link.take_if(|held| *held == node);
            }
        }
        for stored in &mut self.store {
            if stored.lease.is_some_and(|(n, _)| n == node) {
                stored.lease = None;
            }
        }
    }

    /// Somebody cancels an operation that the seed picks.
    pub fn cancel_one(&mut self) {
        if self.store.is_empty() {
            return;
        }
        let pick = self.random(self.store.len());
        let now = self.now;
        let stored = &mut self.store[pick];
        if stored.op.state == OperationState::Queued && stored.lease.is_none() {
            stored.op.cancel(now);
            // As the store does: what was claimed before must not overwrite this.
            stored.fence += 1;
        } else if !stored.op.state.is_final() {
            stored.cancel = true;
            let (device, op) = (stored.op.device, stored.op.id);
            for node in self.nodes_of(index(device)) {
                self.tell(node, Input::Cancel(device, op));
            }
        }
    }

    /// Some steps, in an order the seed picks; returns how many there were.
    pub fn run(&mut self, steps: usize) -> usize {
        for done in 0..steps {
            if !self.once() {
                return done;
            }
        }
        steps
    }

    /// Quiet: links stay, time passes, until everything is decided.
    pub fn settle(&mut self) -> usize {
        self.luck = Luck::GOOD;
        let mut steps = 0;
        for _ in 0..20_000 {
            for device in 0..self.devices.len() {
                self.link(device);
            }
            steps += self.run(1);
            self.check();
            if self.store.iter().all(|s| s.op.state.is_final()) {
                return steps;
            }
            if self.pending.iter().all(VecDeque::is_empty) {
                self.pass(retry_delay(2));
                (0..self.nodes.len()).for_each(|node| self.tell(node, Input::Tick));
                (0..self.devices.len()).for_each(|device| self.wake(device));
            }
        }
        panic!("not settled: {:?}", self.summary());
    }

    fn pass(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        self.mono += by;
    }

    fn once(&mut self) -> bool {
        self.pass(Duration::from_millis(3));
        if self.bad(self.luck.clock) {
            let jump = Duration::from_secs(self.random(600) as u64);
            self.now = if self.random(2) == 0 {
                self.now.plus(jump)
            } else {
                self.now.minus(jump)
            };
        }
        let sides = (0..self.devices.len()).flat_map(|d| self.stacks.iter().map(move |s| (d, *s)));
        let talkers: Vec<(usize, Protocol)> = sides
            .filter(|(device, over)| {
                let side = self.devices[*device].side(*over);
                side.link.is_some() && !side.say.is_empty()
            })
            .collect();
        let busy: Vec<usize> = (0..2).filter(|n| !self.pending[*n].is_empty()).collect();
        if self.luck.unlink > 0 && self.random(100) < self.luck.unlink {
            let device = self.random(self.devices.len());
            self.unlink_one(device);
        }
        let choice = self.random((talkers.len() + busy.len()).max(1));
        if let Some(node) = busy.get(choice) {
            if let Some(command) = self.pending[*node].pop_front() {
                self.perform(*node, command);
            }
        } else if let Some((device, over)) = talkers.get(choice - busy.len().min(choice)) {
            self.speak(*device, *over);
        } else {
            return false;
        }
        self.check();
        true
    }

    /// A notification: stored first, then told.
    fn speak(&mut self, device: usize, over: Protocol) {
        let side = self.devices[device].side_mut(over);
        if let (Some(node), Some(notice)) = (side.link, side.say.pop_front()) {
            let at = self.now;
            self.log.push((id(device), at, notice.clone()));
            if self.bad(self.luck.store) {
                return self.crash(node);
            }
            self.tell(
                node,
                Input::Fact(tenant(), id(device), Fact::Notified { at, notice }),
            );
            self.said_all(device, over);
        }
    }

    fn perform(&mut self, node: usize, command: Command) {
        match command {
            Command::Claim {
                device,
                lease_until,
                ..
            } => {
                if self.bad(self.luck.store) {
                    return self.tell(node, Input::ClaimFailed(device));
                }
                let claimed = self.claim(node, device, lease_until);
                self.tell(node, Input::Claimed(device, claimed));
            }
            Command::Save {
                operation,
                write,
                lease_until,
                ..
            } => {
                let (device, op) = (operation.device, operation.id);
                let written = !self.bad(self.luck.store);
                let reported = !self.bad(self.luck.store);
                let stored = self.store.iter_mut().find(|s| s.op.id == op).unwrap();
                let outdated = stored.fence != write.fence;
                let ended = stored.op.state.is_final();
                assert!(
                    outdated || !ended || stored.op == *operation,
                    "an end is overwritten"
                );
                let result = if outdated || ended {
                    Saved::Fenced
                } else if written {
                    stored.op = *operation;
                    stored.lease = lease_until.map(|until| (node, until));
                    if reported {
                        Saved::Durable
                    } else {
                        Saved::Failed
                    }
                } else {
                    Saved::Failed
                };
                self.tell(node, Input::Saved(device, op, write, result));
            }
            Command::Look {
                operation,
                fence,
                after,
            } => {
                let found = (!self.bad(self.luck.store)).then(|| self.evidence(&operation, after));
                let looked = Input::Looked(operation.device, operation.id, fence, found);
                self.tell(node, looked);
            }
            Command::Renew {
                device,
                operation,
                fence,
                lease_until,
                ..
            } => {
                let stored = self
                    .store
                    .iter_mut()
                    .find(|s| s.op.id == operation)
                    .unwrap();
                let result = if stored.fence == fence {
                    stored.lease = Some((node, lease_until));
                    Saved::Durable
                } else {
                    Saved::Fenced
                };
                self.tell(node, Input::Renewed(device, operation, fence, result));
            }
            Command::Submit { device, job, .. } => self.submit(node, device, job),
            // A session may end when nothing is asked in it.
            Command::Rest {
                device,
                over: Protocol::Cwmp,
                ..
            } if self.bad(10 * self.luck.unlink) => {
                self.unlink_over(index(device), Protocol::Cwmp);
            }
            Command::Rest { .. } => {}
        }
    }

    fn claim(&mut self, node: usize, device: DeviceId, until: Timestamp) -> Option<Box<Claimed>> {
        let now = self.now;
        let stored = self
            .store
            .iter_mut()
            .find(|s| s.op.device == device && !s.op.state.is_final())?;
        if stored
            .lease
            .is_some_and(|(n, until)| n != node && until > now)
        {
            return None;
        }
        stored.fence += 1;
        stored.lease = Some((node, until));
        let (operation, cancelled) = (stored.op.clone(), stored.cancel);
        let fence = stored.fence;
        let evidence = self.evidence(&operation, Place::default());
        Some(Box::new(Claimed {
            operation,
            fence,
            evidence,
            cancelled,
        }))
    }

    fn evidence(&self, operation: &Operation, after: Place) -> Said {
        let sent = operation.progress.sent_at;
        let since = sent.map(|at| at.minus(limits::EVIDENCE_SKEW));
        let read = usize::try_from(after.seq).unwrap_or(usize::MAX);
        let told = self.log.iter().skip(read).filter(|(device, at, _)| {
            *device == operation.device && since.is_some_and(|since| *at >= since)
        });
        Said {
            notices: told.map(|(_, at, notice)| (*at, notice.clone())).collect(),
            to: Place {
                seq: self.log.len() as u64,
                former: 0,
            },
        }
    }

    fn submit(&mut self, node: usize, device: DeviceId, job: Job) {
        let unsent = self.bad(self.luck.unsent);
        let done = |result| {
            Input::Fact(
                tenant(),
                device,
                Fact::Done {
                    job: job.id,
                    result,
                },
            )
        };
        if self.devices[index(device)].side(job.over).link != Some(node) || unsent {
            let reason = "no link".to_owned();
            return self.tell(node, done(Err(Failure::Unsent { reason })));
        }
        let lost = || {
            Err(Failure::Lost {
                reason: "no answer".into(),
            })
        };
        if self.bad(self.luck.lost) {
            return self.tell(node, done(lost()));
        }
        let answer = self.execute(index(device), &job);
        if self.bad(self.luck.lost) {
            self.tell(node, done(lost()));
        } else {
            self.tell(node, done(answer));
        }
        if std::mem::take(&mut self.devices[index(device)].starts) {
            self.unlink(index(device));
        }
    }

    /// The device does it. Here the promises are watched.
    fn execute(&mut self, device: usize, job: &Job) -> Result<Answer, Failure> {
        if !matches!(job.op, Op::Get { .. } | Op::Instances { .. }) {
            let at = self
                .store
                .iter()
                .position(|s| Some(s.op.id) == job.transcript)
                .unwrap();
            let cancel =
                matches!(&job.op, Op::Operate { command, .. } if command.ends_with("Cancel()"));
            for earlier in self.store[..at]
                .iter()
                .filter(|s| s.op.device == id(device))
            {
                assert!(
                    earlier.op.state.is_final(),
                    "{:?} overtakes {:?}",
                    job.op,
                    earlier.op
                );
            }
            assert!(
                !self.store[at].op.state.is_final(),
                "{:?} after its end",
                job.op
            );
            if !cancel {
                *self
                    .ran
                    .entry(self.store[at].op.id.to_string())
                    .or_default() += 1;
            }
        }
        let answer = self.devices[device].execute(&job.op, job.over);
        if let (Answer::Added(_), Some(op)) = (&answer, job.transcript) {
            let made = self.devices[device].row_of(&op.to_string(), job.over);
            self.made.extend(made.map(|row| (op.to_string(), row)));
        }
        Ok(answer)
    }
}
