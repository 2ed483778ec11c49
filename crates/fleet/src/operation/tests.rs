//! Operations step by step: answers, traps of answers, lost answers and what is found afterwards.

use std::collections::BTreeMap;

use super::*;
use crate::limits;
use crate::southbound::{
    AddResult, Answer, Boot, CommandOutcome, CommandResult, Created, DeleteResult, Failure, Notice,
    Op, ReadResult, Row, WriteResult,
};

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + seconds * 1_000)
}

pub(super) fn operation(request: Request) -> Operation {
    let (id, device) = (
        OperationId(uuid::Uuid::from_u128(7)),
        DeviceId(uuid::Uuid::nil()),
    );
    let tenant = TenantId::parse("acme").unwrap();
    Operation::new(id, tenant, device, request, "test", at(0), at(100_000))
}

pub(super) fn values(list: &[(&str, &str)]) -> Answer {
    let found = list.iter().map(|(p, v)| PathValue::new(*p, *v)).collect();
    Answer::Values(vec![ReadResult {
        requested: "x".into(),
        result: Ok(found),
    }])
}

pub(super) fn rows(list: &[&str]) -> Answer {
    let row = |p: &&str| Row {
        path: (*p).to_owned(),
        keys: BTreeMap::new(),
    };
    let result = Ok(list.iter().map(row).collect());
    Answer::Instances(vec![ReadResult {
        requested: "Device.T.".into(),
        result,
    }])
}

pub(super) fn lost() -> Input<'static> {
    Input::Answer(Err(Failure::Lost {
        reason: "the link broke".into(),
    }))
}

pub(super) fn ok(answer: Answer) -> Input<'static> {
    Input::Answer(Ok(answer))
}

/// Claims, reads before, and is stored as sent: the next input is the answer to the act.
pub(super) fn acting(request: Request, before: Option<Answer>) -> Operation {
    let mut op = operation(request);
    let mut step = op.step(Input::Claimed(&[]), at(1));
    if let Some(before) = before {
        assert!(matches!(step, Step::Send(_)), "{step:?}");
        step = op.step(ok(before), at(2));
    }
    assert!(matches!(step, Step::SaveThenSend(_)), "{step:?}");
    assert_eq!(op.state, OperationState::Running);
    assert!(op.progress.sent_at.is_some());
    op
}

fn set_two() -> Operation {
    let values_wanted = vec![
        PathValue::new("Device.WiFi.SSID.1.Enable", "true"),
        PathValue::new("Device.WiFi.SSID.1.SSID", "new"),
    ];
    let request = Request::Set {
        values: values_wanted,
        allow_partial: true,
    };
    acting(request, Some(values(&[("Device.WiFi.SSID.1.SSID", "old")])))
}

pub(super) fn written(path: &str, result: Result<Option<String>, Fault>) -> WriteResult {
    WriteResult {
        path: path.into(),
        result,
        after_restart: false,
    }
}

pub(super) fn state_of<'a>(op: &'a Operation, path: &str) -> &'a OutcomeState {
    &op.outcome
        .paths
        .iter()
        .find(|p| p.path == path)
        .unwrap()
        .state
}

#[test]
fn a_set_is_read_back_and_keeps_before_and_after() {
    let mut op = set_two();
    let step = op.step(ok(Answer::Set(Vec::new())), at(3));
    assert!(matches!(step, Step::Send(Op::Get { .. })));
    assert_eq!(op.state, OperationState::Verifying);
    let after = [
        ("Device.WiFi.SSID.1.Enable", "1"),
        ("Device.WiFi.SSID.1.SSID", "new"),
    ];
    assert_eq!(op.step(ok(values(&after)), at(4)), Step::Finished);
    assert_eq!(op.state, OperationState::Succeeded);
    assert_eq!(op.outcome.before[0].value, "old");
    assert_eq!(op.outcome.after[1].value, "new");
}

#[test]
fn a_response_with_a_failed_parameter_is_partly_done() {
    let mut op = set_two();
    let fault = Fault::new(7012, "invalid value");
    let answer = Answer::Set(vec![
        written("Device.WiFi.SSID.1.Enable", Ok(None)),
        written("Device.WiFi.SSID.1.SSID", Err(fault.clone())),
    ]);
    op.step(ok(answer), at(3));
    op.step(ok(values(&[("Device.WiFi.SSID.1.Enable", "true")])), at(4));
    assert_eq!(op.state, OperationState::Partly);
    assert_eq!(
        *state_of(&op, "Device.WiFi.SSID.1.SSID"),
        OutcomeState::Refused { fault }
    );
}

#[test]
fn a_failed_object_fails_all_its_parameters() {
    let mut op = set_two();
    let answer = written(
        "Device.WiFi.SSID.1.",
        Err(Fault::new(7016, "no such object")),
    );
    assert_eq!(
        op.step(ok(Answer::Set(vec![answer])), at(3)),
        Step::Finished
    );
    assert_eq!(op.state, OperationState::Failed);
    assert_eq!(op.outcome.paths.len(), 2);
}

#[test]
fn a_value_that_reads_back_differently_is_not_done() {
    let mut op = set_two();
    op.step(ok(Answer::Set(Vec::new())), at(3));
    let after = [
        ("Device.WiFi.SSID.1.Enable", "true"),
        ("Device.WiFi.SSID.1.SSID", "old"),
    ];
    op.step(ok(values(&after)), at(4));
    assert_eq!(op.state, OperationState::Partly);
    let differs = OutcomeState::Differs { read: "old".into() };
    assert_eq!(*state_of(&op, "Device.WiFi.SSID.1.SSID"), differs);
}

#[test]
fn a_secret_that_reads_as_empty_is_accepted() {
    let path = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
    let wanted = vec![PathValue::new(path, "correct horse")];
    let mut op = acting(
        Request::Set {
            values: wanted,
            allow_partial: false,
        },
        Some(values(&[])),
    );
    op.step(ok(Answer::Set(Vec::new())), at(3));
    op.step(ok(values(&[(path, "")])), at(4));
    assert_eq!(op.state, OperationState::Succeeded);
    assert_eq!(*state_of(&op, path), OutcomeState::Accepted);
}

#[test]
fn a_search_path_that_matches_nothing_is_not_a_success() {
    let wanted = vec![PathValue::new(
        "Device.WiFi.SSID.[Name==\"x\"].Enable",
        "true",
    )];
    let mut op = acting(
        Request::Set {
            values: wanted,
            allow_partial: false,
        },
        Some(values(&[])),
    );
    assert_eq!(op.step(ok(Answer::Set(Vec::new())), at(3)), Step::Finished);
    assert_eq!(op.state, OperationState::Failed);
}

#[test]
fn an_error_message_names_the_path_it_blames() {
    let mut op = set_two();
    let blamed = (
        "Device.WiFi.SSID.1.SSID".to_owned(),
        Fault::new(7012, "too long"),
    );
    let fault = Fault::new(7004, "invalid arguments");
    let refused = Failure::Refused {
        fault: fault.clone(),
        paths: vec![blamed.clone()],
    };
    assert_eq!(op.step(Input::Answer(Err(refused)), at(3)), Step::Finished);
    assert_eq!(op.state, OperationState::Failed);
    assert_eq!(
        *state_of(&op, &blamed.0),
        OutcomeState::Refused { fault: blamed.1 }
    );
    assert_eq!(op.outcome.fault, Some(fault));
}

#[test]
fn a_set_whose_answer_was_lost_is_sent_again_with_growing_waits() {
    let mut op = set_two();
    let mut now = at(10);
    for attempt in 1..limits::ATTEMPTS_MAX {
        let Step::Wait(until) = op.step(lost(), now) else {
            panic!("no wait")
        };
        assert_eq!(until, now.plus(retry_delay(attempt)));
        now = until;
        assert!(matches!(
            op.step(Input::Proceed, now),
            Step::Send(Op::Set { .. })
        ));
    }
    assert_eq!(op.step(lost(), now), Step::Finished);
    assert_eq!(op.state, OperationState::Unconfirmed);
}

#[test]
fn a_get_that_is_never_answered_fails() {
    let mut op = operation(Request::Get {
        paths: vec!["Device.".into()],
        max_depth: 0,
    });
    op.step(Input::Claimed(&[]), at(1));
    for _ in 0..limits::ATTEMPTS_MAX {
        op.step(lost(), at(2));
    }
    assert_eq!(op.state, OperationState::Failed);
}

#[test]
fn a_busy_device_is_asked_again() {
    let mut op = set_two();
    let busy = Failure::Refused {
        fault: Fault::new(7005, "busy"),
        paths: Vec::new(),
    };
    assert!(matches!(
        op.step(Input::Answer(Err(busy)), at(3)),
        Step::Wait(_)
    ));
    assert_eq!(op.state, OperationState::Running);
}

pub(super) fn add() -> Request {
    let values = BTreeMap::from([("Name".to_owned(), "a".to_owned())]);
    Request::Add {
        object: "Device.T.".into(),
        values,
    }
}

#[test]
fn an_added_row_is_read_back() {
    let mut op = acting(add(), Some(rows(&["Device.T.1."])));
    let path = "Device.T.2.".to_owned();
    let created = Created {
        path,
        keys: BTreeMap::new(),
        faults: Vec::new(),
        after_restart: false,
    };
    let result = AddResult {
        requested: "Device.T.".into(),
        result: Ok(created),
    };
    let step = op.step(ok(Answer::Added(vec![result])), at(3));
    assert_eq!(
        step,
        Step::Send(Op::Get {
            paths: vec!["Device.T.2.".into()],
            max_depth: 0
        })
    );
    op.step(ok(values(&[("Device.T.2.Name", "a")])), at(4));
    assert_eq!(op.state, OperationState::Succeeded);
}

#[test]
fn a_lost_add_is_found_by_the_values_of_the_new_row() {
    let mut op = acting(add(), Some(rows(&["Device.T.1."])));
    assert!(matches!(
        op.step(lost(), at(3)),
        Step::Send(Op::Instances { .. })
    ));
    let now_there = rows(&["Device.T.1.", "Device.T.2.", "Device.T.3."]);
    assert!(matches!(
        op.step(ok(now_there), at(4)),
        Step::Send(Op::Get { .. })
    ));
    let found = values(&[("Device.T.2.Name", "b"), ("Device.T.3.Name", "a")]);
    assert_eq!(op.step(ok(found), at(5)), Step::Finished);
    assert_eq!(op.state, OperationState::Succeeded);
    assert_eq!(op.progress.rows, ["Device.T.3."]);
}

#[test]
fn a_lost_add_without_a_new_row_did_not_happen_but_over_cwmp_it_may_come_with_a_restart() {
    for (over, state, words) in [
        (Protocol::Usp, OperationState::Failed, "did not happen"),
        (
            Protocol::Cwmp,
            OperationState::Unconfirmed,
            "with a restart",
        ),
    ] {
        let mut op = acting(add(), Some(rows(&["Device.T.1."])));
        op.progress.over = Some(over);
        op.step(lost(), at(3));
        assert_eq!(op.step(ok(rows(&["Device.T.1."])), at(4)), Step::Finished);
        assert_eq!(op.state, state);
        assert_eq!(*state_of(&op, "Device.T."), OutcomeState::Unknown);
        let cause = op.outcome.cause.unwrap();
        assert!(cause.contains(words), "{cause}");
    }
}

#[test]
fn a_lost_add_with_two_rows_alike_is_unconfirmed() {
    let mut op = acting(add(), Some(rows(&[])));
    op.step(lost(), at(3));
    op.step(ok(rows(&["Device.T.1.", "Device.T.2."])), at(4));
    op.step(
        ok(values(&[
            ("Device.T.1.Name", "a"),
            ("Device.T.2.Name", "a"),
        ])),
        at(5),
    );
    assert_eq!(op.state, OperationState::Unconfirmed);
}

#[test]
fn a_table_too_long_to_remember_makes_a_lost_add_unconfirmed() {
    let many: Vec<String> = (0..=limits::ADD_KNOWN_ROWS_MAX)
        .map(|n| format!("Device.T.{n}."))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut op = acting(add(), Some(rows(&many)));
    assert_eq!(op.progress.known_rows.len(), 1);
    op.step(lost(), at(3));
    op.step(ok(rows(&["Device.T.1."])), at(4));
    assert_eq!(op.state, OperationState::Unconfirmed);
}

#[test]
fn an_unlistable_table_is_not_added_to() {
    let mut op = operation(add());
    op.step(Input::Claimed(&[]), at(1));
    let refused = Failure::Refused {
        fault: Fault::new(7018, "not a table"),
        paths: Vec::new(),
    };
    assert_eq!(op.step(Input::Answer(Err(refused)), at(2)), Step::Finished);
    assert_eq!(
        (op.state, op.progress.sent_at),
        (OperationState::Failed, None)
    );
}

#[test]
fn deleting_nothing_is_a_success_and_a_row_that_stays_is_not() {
    let paths = vec!["Device.T.1.".to_owned(), "Device.T.2.".to_owned()];
    let request = Request::Delete {
        paths: paths.clone(),
        allow_partial: true,
    };
    let mut op = acting(request, Some(values(&[("Device.T.2.Name", "b")])));
    let gone = |p: &String, affected: Vec<String>| DeleteResult {
        requested: p.clone(),
        result: Ok(affected),
        faults: Vec::new(),
        after_restart: Vec::new(),
    };
    let answer = vec![
        gone(&paths[0], Vec::new()),
        gone(&paths[1], vec![paths[1].clone()]),
    ];
    op.step(ok(Answer::Deleted(answer)), at(3));
    op.step(ok(values(&[("Device.T.2.Name", "b")])), at(4));
    assert_eq!(op.state, OperationState::Partly);
    assert_eq!(*state_of(&op, "Device.T.1."), OutcomeState::Absent);
    assert_eq!(
        op.outcome.cause.as_deref(),
        Some("nothing was there at Device.T.1.")
    );
}

fn deleting(paths: &[&str]) -> Operation {
    let request = Request::Delete {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        allow_partial: false,
    };
    acting(request, Some(values(&[])))
}

#[test]
fn a_delete_of_a_row_that_is_not_there_says_that_nothing_was_there() {
    // R-DEL.2a in an answer, R-DEL.1 as a refusal: both are heard.
    let gone = DeleteResult {
        requested: "Device.T.1.".into(),
        result: Ok(Vec::new()),
        faults: Vec::new(),
        after_restart: Vec::new(),
    };
    let answered = Ok(Answer::Deleted(vec![gone]));
    let fault = Fault::new(7016, "no such object");
    let refused = Err(Failure::Refused {
        fault,
        paths: Vec::new(),
    });
    for answer in [answered, refused] {
        let mut op = deleting(&["Device.T.1."]);
        assert_eq!(op.step(Input::Answer(answer), at(3)), Step::Finished);
        assert_eq!(op.state, OperationState::Succeeded);
        assert_eq!(*state_of(&op, "Device.T.1."), OutcomeState::Absent);
        assert_eq!(op.outcome.cause.as_deref(), Some("nothing was there"));
    }
}

#[test]
fn a_delete_of_several_that_is_refused_for_one_removed_none() {
    let mut op = deleting(&["Device.T.1.", "Device.T.2."]);
    let refused = Failure::Refused {
        fault: Fault::new(7016, "no such object"),
        paths: Vec::new(),
    };
    op.step(Input::Answer(Err(refused)), at(3));
    assert_eq!(op.state, OperationState::Failed);
}

#[test]
fn tries_are_counted_and_what_never_left_is_none() {
    let unsent = || {
        Input::Answer(Err(Failure::Unsent {
            reason: "no link".into(),
        }))
    };
    let mut op = set_two();
    assert_eq!(op.progress.tries, 1);
    op.step(unsent(), at(3));
    assert_eq!((op.progress.tries, op.progress.sent_at), (0, None));
    assert!(matches!(
        op.step(Input::Proceed, at(10)),
        Step::SaveThenSend(_)
    ));
    op.step(lost(), at(11));
    assert!(matches!(op.step(Input::Proceed, at(20)), Step::Send(_)));
    assert_eq!(op.progress.tries, 2);
    // This one did not leave; the first one did, and may have been carried out.
    op.step(unsent(), at(21));
    assert_eq!(op.progress.tries, 1);
    assert!(op.progress.sent_at.is_some());
}

#[test]
fn a_set_that_was_sent_is_not_sent_again_after_it_was_stopped() {
    let mut op = set_two();
    op.step(lost(), at(3));
    op.cancel(at(4));
    assert_eq!(op.state, OperationState::Unconfirmed);
    // Refused as a whole, it can be stopped for good.
    let mut op = set_two();
    let busy = Failure::Refused {
        fault: Fault::new(7005, "busy"),
        paths: Vec::new(),
    };
    op.step(Input::Answer(Err(busy)), at(3));
    op.cancel(at(4));
    assert_eq!(op.state, OperationState::Cancelled);
}

#[test]
fn a_stop_that_nobody_carried_to_the_device_is_not_counted_as_carried() {
    let mut op = accepted();
    op.pause("the device went away");
    op.cancel(at(10));
    assert!(!op.state.is_final() && !op.progress.cancel_sent);
    let step = op.step(Input::Claimed(&[]), at(20));
    assert!(matches!(step, Step::SaveThenSend(Op::Operate { .. })));
    op.unsend();
    let step = op.step(Input::Proceed, at(21));
    assert!(matches!(step, Step::SaveThenSend(Op::Operate { .. })));
    // Stored, and perhaps killed before it left.
    let step = op.step(Input::Claimed(&[]), at(30));
    assert!(matches!(step, Step::SaveThenSend(Op::Operate { .. })));
}

#[test]
fn looks_that_are_lost_now_and_then_do_not_end_a_long_command() {
    let mut op = accepted();
    let row = "Device.LocalAgent.Request.4.CommandKey";
    let key = op.command_key();
    let mut time = 10;
    for _ in 0..2 * limits::ATTEMPTS_MAX {
        op.step(lost(), at(time));
        op.step(Input::Proceed, at(time + 100));
        op.step(ok(values(&[(row, &key)])), at(time + 101));
        time += 200;
    }
    assert!(!op.state.is_final(), "{:?}", op.outcome);
}

pub(super) fn operate(command: &str) -> Operation {
    acting(
        Request::Operate {
            command: command.into(),
            args: BTreeMap::new(),
        },
        None,
    )
}

pub(super) fn ran(command: &str, outcome: CommandOutcome) -> Input<'static> {
    ok(Answer::Operated(vec![CommandResult {
        command: command.into(),
        outcome,
    }]))
}

fn done() -> CommandOutcome {
    CommandOutcome::Done {
        outputs: BTreeMap::from([("Out".to_owned(), "1".to_owned())]),
    }
}

pub(super) fn completed(op: &Operation, result: Result<BTreeMap<String, String>, Fault>) -> Notice {
    let (object, command) = ("Device.X.".to_owned(), "Go()".to_owned());
    Notice::CommandCompleted {
        object,
        command,
        key: op.command_key(),
        result,
    }
}

#[test]
fn a_synchronous_command_ends_with_its_answer() {
    let mut op = operate("Device.X.Go()");
    assert_eq!(op.step(ran("Device.X.Go()", done()), at(3)), Step::Finished);
    assert_eq!(op.state, OperationState::Succeeded);
    assert_eq!(op.outcome.outputs["Out"], "1");
}

pub(super) fn accepted() -> Operation {
    let mut op = operate("Device.X.Go()");
    let request = "Device.LocalAgent.Request.4.".to_owned();
    let step = op.step(
        ran("Device.X.Go()", CommandOutcome::Accepted { request }),
        at(3),
    );
    assert_eq!(step, Step::Save);
    op
}

#[test]
fn an_asynchronous_command_ends_with_its_notification() {
    let mut op = accepted();
    let notice = completed(&op, Ok(BTreeMap::from([("R".to_owned(), "2".to_owned())])));
    assert_eq!(
        op.step(Input::Notice(at(9), &notice), at(9)),
        Step::Finished
    );
    assert_eq!(op.state, OperationState::Succeeded);
    let mut op = accepted();
    let notice = completed(&op, Err(Fault::new(7022, "no")));
    op.step(Input::Notice(at(9), &notice), at(9));
    assert_eq!(op.state, OperationState::Failed);
}

#[test]
fn a_notification_with_another_key_is_somebody_elses() {
    let mut op = accepted();
    let mut other = operation(add());
    other.id = OperationId(uuid::Uuid::from_u128(8));
    let notice = completed(&other, Ok(BTreeMap::new()));
    assert!(matches!(
        op.step(Input::Notice(at(9), &notice), at(9)),
        Step::Wait(_)
    ));
}

#[test]
fn a_request_row_that_is_gone_without_a_word_ends_unconfirmed() {
    let mut op = accepted();
    let Step::Wait(poll) = op.step(Input::Proceed, at(4)) else {
        panic!("no wait")
    };
    assert_eq!(poll, at(3).plus(limits::AWAIT_POLL));
    assert!(matches!(
        op.step(Input::Proceed, poll),
        Step::Send(Op::Get { .. })
    ));
    let Step::Wait(end) = op.step(ok(values(&[])), poll) else {
        panic!("no wait")
    };
    assert_eq!(end, poll.plus(limits::AWAIT_GRACE));
    assert_eq!(op.step(Input::Proceed, end), Step::Finished);
    assert_eq!(op.state, OperationState::Unconfirmed);
}

#[test]
fn a_lost_command_is_found_in_the_request_table() {
    let mut op = operate("Device.X.Go()");
    assert!(matches!(op.step(lost(), at(3)), Step::Send(Op::Get { .. })));
    let key = op.command_key();
    let row = values(&[("Device.LocalAgent.Request.9.CommandKey", &key)]);
    assert_eq!(op.step(ok(row), at(4)), Step::Save);
    assert_eq!(op.progress.rows, ["Device.LocalAgent.Request.9."]);
    assert_eq!(op.progress.phase, Phase::Await);
}

#[test]
fn a_lost_command_without_a_trace_is_unconfirmed_and_never_sent_again() {
    let mut op = operate("Device.X.Go()");
    op.step(lost(), at(3));
    let Step::Wait(end) = op.step(ok(values(&[])), at(4)) else {
        panic!("no wait")
    };
    assert_eq!(op.step(Input::Proceed, end), Step::Finished);
    assert_eq!(op.state, OperationState::Unconfirmed);
}

#[test]
fn a_claim_of_something_sent_looks_at_the_evidence_first() {
    let mut op = operate("Device.X.Go()");
    let notice = completed(&op, Ok(BTreeMap::new()));
    op.pause("the server was killed");
    assert_eq!(
        op.step(Input::Claimed(&[(at(5), notice)]), at(60)),
        Step::Finished
    );
    assert_eq!(op.state, OperationState::Succeeded);
}

fn boot(key: &str, cause: &str) -> Notice {
    Notice::Boot(Boot {
        command_key: key.into(),
        cause: cause.into(),
        ..Boot::default()
    })
}

#[test]
fn a_reboot_succeeds_when_the_device_has_started_again() {
    let mut op = operate("Device.Reboot()");
    assert!(op.wants_device());
    assert_eq!(op.step(ran("Device.Reboot()", done()), at(3)), Step::Save);
    assert_eq!(op.state, OperationState::Verifying);
    assert!(!op.wants_device(), "it comes by itself when it has started");
    let notice = boot(&op.command_key(), "RemoteReboot");
    assert_eq!(
        op.step(Input::Notice(at(50), &notice), at(50)),
        Step::Finished
    );
    assert_eq!(op.state, OperationState::Succeeded);
}

#[test]
fn a_reboot_whose_answer_was_lost_is_decided_by_the_start() {
    for (key, cause, state) in [
        ("ours", "RemoteReboot", OperationState::Succeeded),
        ("", "RemoteReboot", OperationState::Succeeded),
        ("", "LocalReboot", OperationState::Unconfirmed),
        ("another", "RemoteReboot", OperationState::Unconfirmed),
    ] {
        let mut op = operate("Device.Reboot()");
        op.step(lost(), at(3));
        op.pause("gone");
        let key = if key == "ours" {
            op.command_key()
        } else {
            key.to_owned()
        };
        let evidence = [(at(50), boot(&key, cause))];
        op.step(Input::Claimed(&evidence), at(51));
        assert_eq!(op.state, state, "{key} {cause}");
    }
}

#[test]
fn a_device_that_never_starts_again_leaves_the_reboot_unconfirmed() {
    let mut op = operate("Device.Reboot()");
    op.step(ran("Device.Reboot()", done()), at(3));
    op.pause("gone");
    assert_eq!(op.due(), at(1).plus(limits::BOOT_WAIT_MAX));
    op.expire(op.due());
    assert_eq!(op.state, OperationState::Unconfirmed);
}

#[test]
fn an_old_start_says_nothing_about_a_newer_reboot() {
    let mut op = operate("Device.Reboot()");
    op.step(ran("Device.Reboot()", done()), at(3));
    let notice = boot("", "RemoteReboot");
    op.step(Input::Notice(at(0), &notice), at(4));
    assert!(!op.state.is_final());
}

#[test]
fn expiry_tells_sent_from_unsent() {
    let mut op = operation(add());
    op.expire(at(200_000));
    assert_eq!(op.state, OperationState::Expired);
    let mut op = acting(add(), Some(rows(&[])));
    op.expire(at(200_000));
    assert_eq!(op.state, OperationState::Unconfirmed);
    let mut op = operation(add());
    assert_eq!(op.step(Input::Claimed(&[]), at(100_000)), Step::Finished);
    assert_eq!(op.state, OperationState::Expired);
}

#[test]
fn what_never_left_may_be_sent_later() {
    let mut op = operate("Device.X.Go()");
    let unsent = Failure::Unsent {
        reason: "no link".into(),
    };
    assert!(matches!(
        op.step(Input::Answer(Err(unsent)), at(3)),
        Step::Wait(_)
    ));
    assert_eq!(op.progress.sent_at, None);
    op.pause("gone");
    assert_eq!(op.state, OperationState::Queued);
    assert!(matches!(
        op.step(Input::Claimed(&[]), at(9)),
        Step::SaveThenSend(_)
    ));
}

#[test]
fn an_operation_reads_back_from_its_document() {
    let op = accepted();
    let text = serde_json::to_string(&op).unwrap();
    assert_eq!(serde_json::from_str::<Operation>(&text).unwrap(), op);
    for state in OperationState::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
}

#[test]
fn waits_double_up_to_a_limit() {
    assert_eq!(retry_delay(1), limits::RETRY_DELAY_MIN);
    assert_eq!(retry_delay(2), 2 * limits::RETRY_DELAY_MIN);
    assert_eq!(retry_delay(u32::MAX), limits::RETRY_DELAY_MAX);
}

#[test]
fn an_operation_keeps_a_bounded_number_of_values() {
    let mut op = operation(Request::Get {
        paths: vec!["Device.".into()],
        max_depth: 0,
    });
    op.step(Input::Claimed(&[]), at(1));
    let many: Vec<String> = (0..=limits::OPERATION_VALUES_MAX)
        .map(|n| format!("Device.P{n}"))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|p| (p.as_str(), "v")).collect();
    op.step(ok(values(&many)), at(2));
    assert_eq!(op.state, OperationState::Succeeded);
    assert_eq!(op.outcome.after.len(), limits::OPERATION_VALUES_MAX);
}
