//! The dispatcher by itself: its window, its leases. Its promises in a world of devices, stores and bad luck are
//! tested in `sim`.

use super::*;
use crate::operation::{OutcomeState, Request};
use crate::southbound::{Answer, Boot, CommandOutcome, CommandResult, Fact, Failure, PathValue};
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A node, one device, and the two clocks.
pub(super) struct Bench {
    pub(super) dispatcher: Dispatcher,
    pub(super) tenant: TenantId,
    pub(super) device: DeviceId,
    pub(super) now: Now,
    /// The last one that was asked for, and the state that it counts as stored.
    write: Option<(Write, OperationState)>,
}

impl Bench {
    /// The device is not there.
    pub(super) fn idle() -> Self {
        Self {
            dispatcher: Dispatcher::new(Config::default()),
            tenant: TenantId::parse("acme").unwrap(),
            device: DeviceId(uuid::Uuid::from_u128(1)),
            now: start(),
            write: None,
        }
    }

    /// The device is there and its work is being claimed.
    pub(super) fn claiming() -> Self {
        let mut bench = Self::idle();
        bench.tell(Input::Reachable(
            bench.tenant.clone(),
            bench.device,
            Protocol::Usp,
        ));
        assert!(matches!(bench.next(), Some(Command::Claim { .. })));
        bench
    }

    pub(super) fn tell(&mut self, input: Input) {
        self.dispatcher.handle(input, self.now);
    }

    pub(super) fn next(&mut self) -> Option<Command> {
        let command = self.dispatcher.poll();
        if let Some(Command::Save {
            write, previous, ..
        }) = &command
        {
            self.write = Some((*write, *previous));
        }
        command
    }

    fn previous(&self) -> OperationState {
        self.write.unwrap().1
    }

    /// Time passes evenly.
    pub(super) fn pass(&mut self, by: Duration) {
        self.now.mono += by;
        self.now.wall = self.now.wall.plus(by);
        self.tell(Input::Tick);
    }

    pub(super) fn operation(&self, request: Request) -> Operation {
        let id = OperationId(uuid::Uuid::from_u128(7));
        let (tenant, at) = (self.tenant.clone(), self.now.wall);
        let expires = at.plus(limits::EXPIRY_DEFAULT);
        Operation::new(id, tenant, self.device, request, "t", at, expires)
    }

    pub(super) fn claimed(&mut self, operation: Operation, fence: i64) {
        let claimed = Claimed {
            operation,
            fence,
            evidence: Said::default(),
            cancelled: false,
        };
        self.tell(Input::Claimed(self.device, Some(Box::new(claimed))));
    }

    pub(super) fn saved(&mut self, operation: &Operation, saved: Saved) {
        let (write, _) = self.write.unwrap();
        self.tell(Input::Saved(self.device, operation.id, write, saved));
    }

    /// The operation that is to be written now.
    pub(super) fn written(&mut self) -> Operation {
        match self.next() {
            Some(Command::Save { operation, .. }) => *operation,
            other => panic!("not a write: {other:?}"),
        }
    }

    pub(super) fn submitted(&mut self) -> Job {
        match self.next() {
            Some(Command::Submit { job, .. }) => job,
            other => panic!("nothing is sent: {other:?}"),
        }
    }

    pub(super) fn answered(&mut self, job: JobId, result: Result<Answer, Failure>) {
        let fact = Fact::Done { job, result };
        self.tell(Input::Fact(self.tenant.clone(), self.device, fact));
    }

    /// What is asked of the device or the log next, or the end that is to be written: until then the store does what it is
    /// told, and time passes.
    pub(super) fn asked(&mut self) -> Command {
        loop {
            match self.next() {
                Some(Command::Save { operation, .. }) if !operation.state.is_final() => {
                    self.saved(&operation, Saved::Durable);
                }
                Some(Command::Renew {
                    operation, fence, ..
                }) => {
                    let renewed = Input::Renewed(self.device, operation, fence, Saved::Durable);
                    self.tell(renewed);
                }
                Some(Command::Rest { .. }) => {}
                Some(other) => return other,
                None => self.pass(SECOND),
            }
        }
    }

    pub(super) fn says(&mut self, notice: Notice) {
        let at = self.now.wall;
        let fact = Fact::Notified { at, notice };
        self.tell(Input::Fact(self.tenant.clone(), self.device, fact));
    }
}

/// The next thing to do is to write; as what.
fn saved_with(dispatcher: &mut Dispatcher) -> Write {
    match dispatcher.poll() {
        Some(Command::Save { write, .. }) => write,
        other => panic!("not a write: {other:?}"),
    }
}

pub(super) fn start() -> Now {
    Now {
        mono: Instant::now(),
        wall: Timestamp::from_millis(1_000_000_000),
    }
}

pub(super) fn reboot() -> Request {
    Request::Operate {
        command: "Device.Reboot()".into(),
        args: BTreeMap::new(),
    }
}

pub(super) fn boot(key: &str) -> Notice {
    Notice::Boot(Boot {
        command_key: key.to_owned(),
        cause: "RemoteReboot".into(),
        ..Boot::default()
    })
}

pub(super) fn set() -> Request {
    Request::Set {
        values: vec![PathValue::new("Device.X_T.A", "1")],
        allow_partial: false,
    }
}

/// A reboot as it is stored after it was sent and its answer was lost.
pub(super) fn sent_reboot(bench: &Bench) -> Operation {
    let mut operation = bench.operation(reboot());
    operation.step(OpInput::Claimed(&[]), bench.now.wall);
    assert!(operation.progress.sent_at.is_some());
    operation
}

#[test]
fn a_window_bounds_what_is_driven_at_the_same_time() {
    let mut dispatcher = Dispatcher::new(Config {
        in_flight_max: 2,
        ..Config::default()
    });
    let tenant = TenantId::parse("acme").unwrap();
    let now = start();
    for n in 0..5u128 {
        let device = DeviceId(uuid::Uuid::from_u128(n));
        dispatcher.handle(Input::Reachable(tenant.clone(), device, Protocol::Usp), now);
    }
    let claims = std::iter::from_fn(|| dispatcher.poll()).count();
    assert_eq!((claims, dispatcher.busy()), (2, 2));
    dispatcher.handle(
        Input::Claimed(DeviceId(uuid::Uuid::from_u128(0)), None),
        now,
    );
    let rest = |n| Command::Rest {
        tenant: tenant.clone(),
        device: DeviceId(uuid::Uuid::from_u128(n)),
        over: Protocol::Usp,
    };
    assert_eq!(dispatcher.poll(), Some(rest(0)));
    assert!(matches!(dispatcher.poll(), Some(Command::Claim { .. })));
    assert_eq!(dispatcher.poll(), None);
}

#[test]
fn a_device_that_nothing_is_asked_of_may_rest() {
    let mut bench = Bench::claiming();
    let rest = Some(Command::Rest {
        tenant: bench.tenant.clone(),
        device: bench.device,
        over: Protocol::Usp,
    });
    // There may be more by now: it is looked at first.
    bench.tell(Input::Wake(bench.device));
    bench.tell(Input::Claimed(bench.device, None));
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
    bench.tell(Input::Claimed(bench.device, None));
    assert_eq!(bench.next(), rest);
    // What only waits leaves it alone too.
    bench.tell(Input::Wake(bench.device));
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
    let mut waiting = sent_reboot(&bench);
    waiting.state = OperationState::Verifying;
    waiting.progress.phase = crate::operation::Phase::Await;
    bench.claimed(waiting, 1);
    assert_eq!(bench.next(), rest);
    assert_eq!(bench.next(), None);
}

#[test]
fn a_node_that_lost_its_lease_sends_nothing() {
    let mut bench = Bench::claiming();
    let operation = bench.operation(reboot());
    bench.claimed(operation, 1);
    let written = bench.written();
    bench.saved(&written, Saved::Fenced);
    assert_eq!(bench.next(), None);
    assert_eq!(bench.dispatcher.busy(), 0);
}

#[test]
fn an_operation_that_is_cancelled_while_it_is_claimed_is_not_sent() {
    let mut bench = Bench::claiming();
    let operation = bench.operation(reboot());
    bench.tell(Input::Cancel(bench.device, operation.id));
    bench.claimed(operation, 1);
    assert_eq!(bench.written().state, OperationState::Cancelled);
}

#[test]
fn a_claim_is_renewed_while_the_device_thinks() {
    let mut bench = Bench::claiming();
    let operation = bench.operation(set());
    let id = operation.id;
    bench.claimed(operation, 1);
    bench.submitted();
    let at = bench.dispatcher.poll_timeout().unwrap();
    assert!(at < bench.now.later(limits::LEASE));
    bench.pass(at.duration_since(bench.now.mono));
    assert!(matches!(bench.next(), Some(Command::Renew { .. })));
    bench.tell(Input::Renewed(bench.device, id, 1, Saved::Durable));
    assert!(bench.dispatcher.poll_timeout().unwrap() > bench.now.mono);
}

#[test]
fn the_answer_to_a_renewal_is_not_taken_for_a_write() {
    let mut bench = Bench::claiming();
    let operation = bench.operation(Request::Add {
        object: "Device.Table.".into(),
        values: BTreeMap::new(),
    });
    let id = operation.id;
    bench.claimed(operation, 1);
    let table = bench.submitted();
    let at = bench.dispatcher.poll_timeout().unwrap();
    bench.pass(at.duration_since(bench.now.mono));
    assert!(matches!(bench.next(), Some(Command::Renew { .. })));
    bench.answered(table.id, Ok(Answer::Instances(Vec::new())));
    let sent = bench.written();
    // The Add may not leave before it is stored as sent.
    bench.tell(Input::Renewed(bench.device, id, 1, Saved::Durable));
    assert_eq!(bench.next(), None);
    bench.saved(&sent, Saved::Durable);
    let add = bench.submitted();
    // And a late answer to a write does not end the wait for the device's.
    bench.saved(&sent, Saved::Durable);
    let reason = "gone".into();
    bench.answered(add.id, Err(Failure::Lost { reason }));
    bench.submitted();
}

#[test]
fn a_start_that_is_told_while_its_reboot_is_claimed_proves_it() {
    let mut bench = Bench::claiming();
    let operation = sent_reboot(&bench);
    bench.says(boot(&operation.command_key()));
    bench.claimed(operation, 1);
    let written = bench.written();
    assert_eq!(written.state, OperationState::Succeeded, "{written:?}");
}

#[test]
fn a_device_that_says_more_than_is_kept_while_it_is_claimed_is_claimed_again() {
    let mut bench = Bench::claiming();
    let operation = sent_reboot(&bench);
    for _ in 0..=limits::CLAIM_NOTICES_MAX {
        bench.says(boot("another"));
    }
    bench.claimed(operation, 1);
    assert_eq!(bench.next(), None);
    bench.pass(limits::STORE_RETRY);
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
}

#[test]
fn a_clock_that_is_set_does_not_change_what_is_waited_for() {
    for step in [-3_600_000, 3_600_000] {
        let mut bench = Bench::claiming();
        let operation = bench.operation(reboot());
        let id = operation.id;
        bench.claimed(operation, 1);
        let sent = bench.written();
        bench.saved(&sent, Saved::Durable);
        let job = bench.submitted();
        bench.now.wall = Timestamp::from_millis(bench.now.wall.as_millis() + step);
        let done = CommandResult {
            command: "Device.Reboot()".into(),
            outcome: CommandOutcome::Done {
                outputs: BTreeMap::new(),
            },
        };
        bench.answered(job.id, Ok(Answer::Operated(vec![done])));
        // Neither is the wait over, nor does it last longer: renewed until its end, not beyond.
        let began = bench.now.mono;
        let ended = loop {
            match bench.asked() {
                Command::Look { .. } => {
                    bench.tell(Input::Looked(bench.device, id, 1, Some(Said::default())));
                }
                Command::Save { operation, .. } => break *operation,
                other => panic!("{other:?}"),
            }
        };
        let passed = bench.now.mono.duration_since(began);
        assert_eq!(ended.state, OperationState::Unconfirmed);
        let early = limits::BOOT_WAIT_MAX - SECOND;
        assert!(
            passed >= early && passed <= limits::BOOT_WAIT_MAX,
            "{passed:?}"
        );
    }
}

#[test]
fn a_claim_is_held_no_longer_than_the_store_was_told() {
    let mut bench = Bench::claiming();
    let operation = bench.operation(reboot());
    bench.claimed(operation, 1);
    let Some(Command::Save {
        operation,
        lease_until,
        ..
    }) = bench.next()
    else {
        panic!("it is stored before it is sent");
    };
    assert_eq!(lease_until, Some(bench.now.wall.plus(limits::LEASE)));
    // The database took longer for it than the lease it wrote.
    bench.now.mono += limits::LEASE;
    bench.saved(&operation, Saved::Durable);
    let given_back = bench.written();
    assert_eq!(given_back.state, OperationState::Queued);
    assert_eq!(given_back.progress.sent_at, None);
    assert_eq!(given_back.progress.tries, 0);
}

#[test]
fn what_is_stopped_while_it_is_stored_as_sent_does_not_leave() {
    for request in [reboot(), set()] {
        let mut bench = Bench::claiming();
        let operation = bench.operation(request);
        bench.claimed(operation, 1);
        let operation = match bench.next() {
            Some(Command::Save { operation, .. }) => *operation,
            Some(Command::Submit { job, .. }) => {
                bench.answered(job.id, Ok(Answer::Values(Vec::new())));
                bench.written()
            }
            other => panic!("{other:?}"),
        };
        assert!(operation.progress.sent_at.is_some());
        bench.tell(Input::Cancel(bench.device, operation.id));
        bench.saved(&operation, Saved::Durable);
        let ended = bench.written();
        assert_eq!(ended.state, OperationState::Cancelled);
        assert_eq!(ended.progress.tries, 0);
        bench.saved(&ended, Saved::Durable);
        assert!(!matches!(bench.next(), Some(Command::Submit { .. })));
    }
}

#[test]
fn a_start_before_the_reboot_left_does_not_count_as_its_proof() {
    let mut bench = Bench::claiming();
    let operation = bench.operation(reboot());
    bench.claimed(operation, 1);
    let operation = bench.written();
    // Of another controller, by an agent that loses the keys.
    bench.says(boot(""));
    bench.saved(&operation, Saved::Durable);
    bench.submitted();
}

#[test]
fn an_end_that_is_told_during_a_write_is_written_after_it() {
    let mut bench = Bench::claiming();
    let operation = bench.operation(reboot());
    bench.claimed(operation, 1);
    let sent = bench.written();
    bench.saved(&sent, Saved::Durable);
    let job = bench.submitted();
    let done = CommandResult {
        command: "Device.Reboot()".into(),
        outcome: CommandOutcome::Done {
            outputs: BTreeMap::new(),
        },
    };
    bench.answered(job.id, Ok(Answer::Operated(vec![done])));
    let verifying = bench.written();
    assert_eq!(verifying.state, OperationState::Verifying);
    bench.says(boot(&sent.command_key()));
    assert_eq!(bench.next(), None, "two writes at once");
    bench.saved(&verifying, Saved::Durable);
    let ended = bench.written();
    assert_eq!(ended.state, OperationState::Succeeded);
    // What the log tells of an end is made of the difference.
    assert_eq!(bench.previous(), OperationState::Verifying);
    assert_eq!(ended.outcome.paths[0].state, OutcomeState::Done);
}

#[test]
fn the_slow_answer_of_a_write_is_not_taken_for_that_of_the_next_one() {
    let mut bench = Bench::claiming();
    let operation = bench.operation(reboot());
    bench.claimed(operation, 1);
    let first = bench.written();
    let (slow, _) = bench.write.unwrap();
    bench.pass(limits::LEASE);
    let again = bench.written();
    assert_eq!(again.id, first.id);
    bench.tell(Input::Saved(bench.device, first.id, slow, Saved::Durable));
    assert_eq!(bench.next(), None, "sent before the last write is durable");
    // It is known to be lost whichever of them finds out.
    bench.tell(Input::Saved(bench.device, first.id, slow, Saved::Fenced));
    bench.saved(&again, Saved::Durable);
    assert_eq!(bench.next(), None);
}

#[test]
fn a_cancel_that_is_heard_while_the_claim_is_given_back_ends_what_was_not_sent() {
    let mut bench = Bench::claiming();
    let operation = bench.operation(set());
    bench.claimed(operation, 1);
    bench.submitted();
    let gone = Input::Unreachable(bench.device, Protocol::Usp, "gone".into());
    bench.tell(gone);
    let mut given_back = bench.next();
    while !matches!(
        given_back,
        Some(Command::Save {
            lease_until: None,
            ..
        })
    ) {
        assert!(given_back.is_some(), "it is not given back");
        bench.pass(SECOND);
        given_back = bench.next();
    }
    let id = OperationId(uuid::Uuid::from_u128(7));
    bench.tell(Input::Cancel(bench.device, id));
    let operation = bench.operation(set());
    bench.saved(&operation, Saved::Durable);
    let ended = bench.written();
    assert_eq!(ended.state, OperationState::Cancelled);
    assert_eq!(bench.previous(), OperationState::Queued);
    bench.saved(&ended, Saved::Durable);
    assert_eq!(bench.dispatcher.busy(), 0);
}

#[test]
fn devices_that_only_wait_do_not_keep_the_others_waiting_up_to_a_bound() {
    let mut dispatcher = Dispatcher::new(Config {
        in_flight_max: 1,
        waiting_max: 2,
        ..Config::default()
    });
    let tenant = TenantId::parse("acme").unwrap();
    let now = start();
    for n in 0..4u128 {
        let device = DeviceId(uuid::Uuid::from_u128(n));
        dispatcher.handle(Input::Reachable(tenant.clone(), device, Protocol::Usp), now);
    }
    let mut claims = 0;
    while let Some(command) = dispatcher.poll() {
        let device = match command {
            Command::Claim { device, .. } => device,
            Command::Rest { .. } => continue,
            other => panic!("{other:?}"),
        };
        claims += 1;
        // It waits for the end of a command.
        let id = OperationId(uuid::Uuid::from_u128(100 + claims));
        let expires = now.wall.plus(limits::EXPIRY_DEFAULT);
        let created = now.wall;
        let mut operation =
            Operation::new(id, tenant.clone(), device, reboot(), "t", created, expires);
        operation.state = OperationState::Verifying;
        operation.progress.phase = crate::operation::Phase::Await;
        operation.progress.sent_at = Some(now.wall);
        let claimed = Claimed {
            operation,
            fence: 1,
            evidence: Said::default(),
            cancelled: false,
        };
        dispatcher.handle(Input::Claimed(device, Some(Box::new(claimed))), now);
    }
    assert_eq!((claims, dispatcher.busy()), (2, 2));
    // One of them leaves: what is given back makes room.
    let device = DeviceId(uuid::Uuid::from_u128(0));
    dispatcher.handle(
        Input::Unreachable(device, Protocol::Usp, "gone".into()),
        now,
    );
    let write = saved_with(&mut dispatcher);
    let id = OperationId(uuid::Uuid::from_u128(101));
    dispatcher.handle(Input::Saved(device, id, write, Saved::Durable), now);
    assert!(matches!(dispatcher.poll(), Some(Command::Claim { .. })));
}
