//! A device with links of two protocols: what is under way over one of them is not touched by the other, and what became
//! of it is asked nowhere else.

use super::tests::*;
use super::*;
use crate::operation::{Phase, Request};
use crate::southbound::{self, Answer, Boot, Fact};
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn add() -> Request {
    Request::Add {
        object: "Device.Table.".into(),
        values: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
    }
}

/// An Add that a USP link has, and no answer yet; the number of its job.
fn adding(bench: &mut Bench) -> JobId {
    let operation = bench.operation(add());
    bench.claimed(operation, 1);
    let listed = bench.submitted();
    let result = Ok(Answer::Instances(Vec::new()));
    let job = listed.id;
    bench.tell(Input::Fact(
        bench.tenant.clone(),
        bench.device,
        Fact::Done { job, result },
    ));
    let sent = bench.written();
    bench.saved(&sent, Saved::Durable);
    let job = bench.submitted();
    assert_eq!((job.op.name(), job.over), ("Add", Protocol::Usp));
    job.id
}

fn comes(bench: &mut Bench, over: Protocol) {
    let tenant = bench.tenant.clone();
    bench.tell(Input::Reachable(tenant, bench.device, over));
}

fn goes(bench: &mut Bench, over: Protocol) {
    let reason = "the session ended".to_owned();
    let at = bench.now.wall;
    let gone = Fact::Disconnected { over, at, reason };
    bench.tell(Input::Fact(bench.tenant.clone(), bench.device, gone));
}

#[test]
fn a_session_that_comes_and_goes_takes_nothing_from_the_link_that_stays() {
    let mut bench = Bench::claiming();
    let job = adding(&mut bench);
    comes(&mut bench, Protocol::Cwmp);
    // The session waits for nothing.
    assert!(rests(Protocol::Cwmp, bench.next()));
    goes(&mut bench, Protocol::Cwmp);
    assert_eq!(bench.next(), None, "its answer is still waited for");
    let path = "Device.Table.4.".to_owned();
    let created = southbound::Created {
        path: path.clone(),
        keys: BTreeMap::new(),
        faults: Vec::new(),
        after_restart: false,
    };
    let added = southbound::AddResult {
        requested: "Device.Table.".to_owned(),
        result: Ok(created),
    };
    let result = Ok(Answer::Added(vec![added]));
    bench.tell(Input::Fact(
        bench.tenant.clone(),
        bench.device,
        Fact::Done { job, result },
    ));
    let read = bench.submitted();
    let wanted = Op::Get {
        paths: vec![path],
        max_depth: 0,
    };
    assert_eq!((read.op, read.over), (wanted, Protocol::Usp));
}

#[test]
fn what_only_waits_is_not_given_back_while_another_link_is_open() {
    let mut bench = Bench::claiming();
    let mut waiting = sent_reboot(&bench);
    waiting.progress.phase = crate::operation::Phase::Await;
    bench.claimed(waiting, 1);
    assert!(rests(Protocol::Usp, bench.next()));
    comes(&mut bench, Protocol::Cwmp);
    assert!(rests(Protocol::Cwmp, bench.next()));
    goes(&mut bench, Protocol::Cwmp);
    assert_eq!(bench.next(), None);
    goes(&mut bench, Protocol::Usp);
    let given_back = bench.next();
    let none = matches!(
        given_back,
        Some(Command::Save {
            lease_until: None,
            ..
        })
    );
    assert!(none, "{given_back:?}");
}

/// What is written is stored, until something else is to be done.
fn settled(bench: &mut Bench) -> Option<Command> {
    loop {
        match bench.next() {
            Some(Command::Save { operation, .. }) => bench.saved(&operation, Saved::Durable),
            other => return other,
        }
    }
}

fn rests(over: Protocol, command: Option<Command>) -> bool {
    matches!(command, Some(Command::Rest { over: rested, .. }) if rested == over)
}

/// Takes up what is stored.
fn takes_up(bench: &mut Bench, operation: Operation, notices: Vec<(Timestamp, Notice)>) {
    let to = Place::default();
    let claimed = Claimed {
        operation,
        fence: 2,
        evidence: Said { notices, to },
        cancelled: false,
    };
    bench.tell(Input::Claimed(bench.device, Some(Box::new(claimed))));
}

/// A reboot that went over a CWMP session, and only USP is there now.
fn rebooting_elsewhere(bench: &mut Bench) -> Operation {
    let mut operation = sent_reboot(bench);
    operation.progress.phase = Phase::Await;
    operation.progress.over = Some(Protocol::Cwmp);
    operation.progress.deadline = Some(bench.now.wall.plus(limits::BOOT_WAIT_MAX));
    operation.progress.not_before = operation.progress.deadline;
    takes_up(bench, operation, Vec::new());
    let given_back = bench.written();
    bench.saved(&given_back, Saved::Durable);
    assert!(rests(Protocol::Usp, bench.next()));
    assert_eq!(
        bench.next(),
        None,
        "it is looked at again only when there is a reason"
    );
    given_back
}

fn started(cause: &str, key: &str, over: Protocol) -> Notice {
    Notice::Boot(Boot {
        cause: cause.to_owned(),
        command_key: key.to_owned(),
        over: Some(over),
        ..Boot::default()
    })
}

#[test]
fn an_answer_that_went_with_its_link_is_looked_for_over_the_same_protocol_only() {
    let mut bench = Bench::claiming();
    adding(&mut bench);
    comes(&mut bench, Protocol::Cwmp);
    assert!(rests(Protocol::Cwmp, bench.next()));
    goes(&mut bench, Protocol::Usp);
    let lost = bench.written();
    assert_eq!(lost.progress.over, Some(Protocol::Usp));
    bench.saved(&lost, Saved::Durable);
    let asked = settled(&mut bench);
    assert!(rests(Protocol::Cwmp, asked), "the CPE knows nothing of it");
    assert_eq!(bench.next(), None);
    // Neither a hint nor another session changes that.
    bench.tell(Input::Wake(bench.device));
    goes(&mut bench, Protocol::Cwmp);
    comes(&mut bench, Protocol::Cwmp);
    let claim = bench.next();
    assert!(matches!(claim, Some(Command::Claim { .. })), "{claim:?}");
    takes_up(&mut bench, lost.clone(), Vec::new());
    let given_back = bench.written();
    let why = "it went over usp, over which the device is not connected";
    assert_eq!(given_back.outcome.cause.as_deref(), Some(why));
    bench.saved(&given_back, Saved::Durable);
    assert!(rests(Protocol::Cwmp, bench.next()));
    bench.tell(Input::Wake(bench.device));
    assert_eq!(bench.next(), None);
    // And when the agent is back it is asked.
    comes(&mut bench, Protocol::Usp);
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
    takes_up(&mut bench, given_back, Vec::new());
    let job = bench.submitted();
    assert_eq!((job.op.name(), job.over), ("GetInstances", Protocol::Usp));
    assert!(rests(Protocol::Cwmp, bench.next()));
}

#[test]
fn what_was_not_sent_yet_is_begun_anew_over_the_protocol_that_is_there() {
    let mut bench = Bench::claiming();
    let operation = bench.operation(add());
    bench.claimed(operation, 1);
    assert_eq!(bench.submitted().over, Protocol::Usp);
    comes(&mut bench, Protocol::Cwmp);
    assert!(rests(Protocol::Cwmp, bench.next()));
    goes(&mut bench, Protocol::Usp);
    let given_back = bench.written();
    assert_eq!(given_back.progress.over, None);
    bench.saved(&given_back, Saved::Durable);
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
    takes_up(&mut bench, given_back, Vec::new());
    let job = bench.submitted();
    assert_eq!((job.op.name(), job.over), ("GetInstances", Protocol::Cwmp));
}

#[test]
fn a_command_that_went_before_this_was_remembered_is_looked_for_over_any_protocol() {
    let mut bench = Bench::claiming();
    comes(&mut bench, Protocol::Cwmp);
    let mut operation = bench.operation(add());
    operation.state = OperationState::Running;
    operation.progress.phase = Phase::Reconcile;
    operation.progress.sent_at = Some(bench.now.wall);
    takes_up(&mut bench, operation, Vec::new());
    assert_eq!(bench.submitted().over, Protocol::Usp);
}

#[test]
fn a_start_that_the_other_side_tells_is_one_and_why_is_for_the_side_that_was_asked_to_say() {
    // The agent was not asked, and takes it for an accident.
    let mut bench = Bench::claiming();
    let waiting = rebooting_elsewhere(&mut bench);
    let accident = started("LocalReboot", "", Protocol::Usp);
    bench.pass(SECOND);
    bench.says(accident.clone());
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
    let at = bench.now.wall;
    takes_up(&mut bench, waiting.clone(), vec![(at, accident.clone())]);
    let waits = bench.written();
    assert_eq!(waits.state, OperationState::Running, "{waits:?}");
    bench.saved(&waits, Saved::Durable);
    assert!(rests(Protocol::Usp, bench.next()));
    // The CPE knows.
    comes(&mut bench, Protocol::Cwmp);
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
    let key = waiting.command_key();
    let evidence = vec![
        (at, accident),
        (at, started("RemoteReboot", &key, Protocol::Cwmp)),
    ];
    takes_up(&mut bench, waits, evidence);
    assert_eq!(bench.written().state, OperationState::Succeeded);

    // An agent that says somebody far away did it is enough.
    let mut bench = Bench::claiming();
    let waiting = rebooting_elsewhere(&mut bench);
    bench.pass(SECOND);
    let asked = started("RemoteReboot", "", Protocol::Usp);
    bench.says(asked.clone());
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
    let at = bench.now.wall;
    takes_up(&mut bench, waiting, vec![(at, asked)]);
    assert_eq!(bench.written().state, OperationState::Succeeded);
}

#[test]
fn a_start_that_is_told_while_its_operation_is_given_back_is_looked_at_at_once() {
    let mut bench = Bench::claiming();
    let mut operation = sent_reboot(&bench);
    operation.progress.phase = Phase::Await;
    operation.progress.over = Some(Protocol::Cwmp);
    takes_up(&mut bench, operation, Vec::new());
    let given_back = bench.written();
    bench.says(started("RemoteReboot", "", Protocol::Usp));
    bench.saved(&given_back, Saved::Durable);
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
}

/// `ELSEWHERE_LOOK_EVERY`
#[test]
fn what_waits_for_another_protocol_is_looked_at_now_and_then() {
    let mut bench = Bench::claiming();
    let waiting = rebooting_elsewhere(&mut bench);
    bench.pass(limits::ELSEWHERE_LOOK_EVERY - SECOND);
    assert_eq!(bench.next(), None);
    bench.pass(SECOND);
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
    // Its time is over: what is behind it has its turn.
    bench.pass(limits::EXPIRY_DEFAULT);
    takes_up(&mut bench, waiting, Vec::new());
    assert_eq!(bench.written().state, OperationState::Unconfirmed);
    // A device that has left altogether is forgotten.
    let mut bench = Bench::claiming();
    rebooting_elsewhere(&mut bench);
    goes(&mut bench, Protocol::Usp);
    assert!(bench.dispatcher.devices.is_empty());
    assert_eq!(bench.dispatcher.poll_timeout(), None);
}

#[test]
fn what_waits_for_another_protocol_is_looked_at_when_a_person_stops_it_and_when_its_time_ends() {
    let mut bench = Bench::claiming();
    let waiting = rebooting_elsewhere(&mut bench);
    bench.tell(Input::Cancel(bench.device, waiting.id));
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));

    let mut bench = Bench::claiming();
    let mut waiting = sent_reboot(&bench);
    waiting.progress.phase = Phase::Await;
    waiting.progress.over = Some(Protocol::Cwmp);
    waiting.progress.deadline = Some(bench.now.wall.plus(10 * SECOND));
    takes_up(&mut bench, waiting, Vec::new());
    let given_back = bench.written();
    bench.saved(&given_back, Saved::Durable);
    assert!(rests(Protocol::Usp, bench.next()));
    bench.pass(9 * SECOND);
    assert_eq!(bench.next(), None);
    bench.pass(SECOND);
    assert!(matches!(bench.next(), Some(Command::Claim { .. })));
}

#[test]
fn what_never_left_is_not_said_to_have_gone_over_a_link() {
    let mut bench = Bench::claiming();
    comes(&mut bench, Protocol::Cwmp);
    let operation = bench.operation(add());
    bench.claimed(operation, 1);
    let listed = bench.submitted();
    assert!(rests(Protocol::Cwmp, bench.next()));
    let (job, result) = (listed.id, Ok(Answer::Instances(Vec::new())));
    bench.tell(Input::Fact(
        bench.tenant.clone(),
        bench.device,
        Fact::Done { job, result },
    ));
    let sent = bench.written();
    assert_eq!(sent.progress.over, Some(Protocol::Usp));
    // Its link goes while that is written down.
    goes(&mut bench, Protocol::Usp);
    bench.saved(&sent, Saved::Durable);
    let given_back = bench.written();
    assert_eq!(given_back.progress.sent_at, None);
    let cause = given_back.outcome.cause.unwrap_or_default();
    assert!(!cause.contains("it went over"), "{cause}");
}

#[test]
fn that_a_session_has_told_all_says_nothing_of_what_went_over_usp() {
    let mut bench = Bench::claiming();
    let mut operation = sent_reboot(&bench);
    operation.request = Request::Operate {
        command: "Device.Ping()".into(),
        args: BTreeMap::new(),
    };
    operation.progress.over = Some(Protocol::Usp);
    operation.progress.phase = Phase::Reconcile;
    takes_up(&mut bench, operation, Vec::new());
    let looks = bench.submitted();
    let result = Ok(Answer::Values(Vec::new()));
    let job = looks.id;
    bench.tell(Input::Fact(
        bench.tenant.clone(),
        bench.device,
        Fact::Done { job, result },
    ));
    assert!(rests(Protocol::Usp, bench.next()), "it waits for a word");
    let at = bench.now.wall;
    let over = Protocol::Cwmp;
    bench.tell(Input::Fact(
        bench.tenant.clone(),
        bench.device,
        Fact::SaidAll { over, at },
    ));
    assert_eq!(bench.next(), None, "and still does");
    let over = Protocol::Usp;
    bench.tell(Input::Fact(
        bench.tenant.clone(),
        bench.device,
        Fact::SaidAll { over, at },
    ));
    assert_eq!(bench.written().state, OperationState::Unconfirmed);
}

#[test]
fn what_is_asked_goes_over_the_link_that_stays_while_both_are_open() {
    let mut bench = Bench::claiming();
    comes(&mut bench, Protocol::Cwmp);
    let operation = bench.operation(set());
    bench.claimed(operation, 1);
    assert_eq!(bench.submitted().over, Protocol::Usp);
    assert!(rests(Protocol::Cwmp, bench.next()));
    goes(&mut bench, Protocol::Usp);
    assert!(!bench.dispatcher.devices[&bench.device].links.is_empty());
}
