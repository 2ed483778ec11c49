//! What a device says may reach another node, or come over another link: the log is looked at before an operation ends
//! without its proof.

use super::tests::{Bench, boot, reboot, sent_reboot};
use super::*;
use crate::operation::Phase;
use crate::southbound::{Answer, CommandOutcome, CommandResult, Failure, Fault};
use std::collections::BTreeMap;
use std::time::Duration;

/// A reboot that the device has accepted.
fn accepted() -> (Bench, OperationId, String) {
    let mut bench = Bench::claiming();
    let operation = bench.operation(reboot());
    let (id, key) = (operation.id, operation.command_key());
    bench.claimed(operation, 1);
    let sent = bench.written();
    bench.saved(&sent, Saved::Durable);
    let job = bench.submitted();
    let outcome = CommandOutcome::Accepted {
        request: "Device.LocalAgent.Request.1.".into(),
    };
    let result = Ok(Answer::Operated(vec![CommandResult {
        command: "Device.Reboot()".into(),
        outcome,
    }]));
    bench.answered(job.id, result);
    let accepted = bench.written();
    bench.saved(&accepted, Saved::Durable);
    assert!(matches!(bench.next(), Some(Command::Rest { .. })));
    (bench, id, key)
}

fn look(bench: &mut Bench) {
    let looks = bench.next();
    assert!(matches!(looks, Some(Command::Look { .. })), "{looks:?}");
}

fn looked(bench: &mut Bench, id: OperationId, found: Option<Vec<(Timestamp, Notice)>>) {
    let found = found.map(|notices| Said {
        notices,
        ..Said::default()
    });
    bench.tell(Input::Looked(bench.device, id, 1, found));
}

#[test]
fn what_another_node_heard_ends_an_operation_here() {
    let (mut bench, id, key) = accepted();
    let at = bench.now.wall;
    bench.pass(limits::EVIDENCE_LOOK_EVERY);
    look(&mut bench);
    looked(&mut bench, id, Some(vec![]));
    assert!(matches!(bench.next(), Some(Command::Rest { .. })));
    bench.pass(limits::EVIDENCE_LOOK_EVERY);
    look(&mut bench);
    looked(&mut bench, id, Some(vec![(at, boot(&key))]));
    let written = std::iter::from_fn(|| bench.next()).find_map(|command| match command {
        Command::Save { operation, .. } => Some(operation),
        _ => None,
    });
    assert_eq!(written.unwrap().state, OperationState::Succeeded);
}

#[test]
fn each_look_goes_on_from_where_the_last_one_ended() {
    let (mut bench, id, key) = accepted();
    let at = bench.now.wall;
    let mut read_to = Place::default();
    let others = Notice::CommandCompleted {
        object: "Device.".into(),
        command: "Reboot()".into(),
        key: "another's".into(),
        result: Ok(BTreeMap::new()),
    };
    // Fewer than were heard before: each of them counts all the same.
    for (seq, notices) in [(8, vec![others; 2]), (9, vec![]), (11, vec![boot(&key)])] {
        bench.pass(limits::EVIDENCE_LOOK_EVERY);
        let looks = std::iter::from_fn(|| bench.next()).find_map(|command| match command {
            Command::Look { after, .. } => Some(after),
            _ => None,
        });
        let after = looks.expect("the log is not looked at");
        assert_eq!(after, read_to);
        read_to = Place { seq, former: 0 };
        let said = Said {
            notices: notices.into_iter().map(|notice| (at, notice)).collect(),
            to: read_to,
        };
        bench.tell(Input::Looked(bench.device, id, 1, Some(said)));
    }
    assert_eq!(bench.written().state, OperationState::Succeeded);
}

/// How often it is asked and how it ends when each answer is this failure, and each look at the log fails so often.
fn ends(failure: &Failure, unreadable: usize) -> (u32, OperationState) {
    let (mut bench, id, _) = accepted();
    let (mut asked, mut tried) = (0, 0);
    loop {
        match bench.asked() {
            Command::Submit { job, .. } => {
                asked += 1;
                assert!(asked <= limits::ATTEMPTS_MAX, "no answer counts");
                bench.answered(job.id, Err(failure.clone()));
            }
            Command::Look { .. } => {
                tried = (tried + 1) % (unreadable + 1);
                looked(&mut bench, id, (tried == 0).then(Vec::new));
            }
            Command::Save { operation, .. } => return (asked, operation.state),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_answer_outlasts_a_log_that_cannot_be_read() {
    let reason = "nobody answers".to_owned();
    let failures = [
        Failure::Lost {
            reason: reason.clone(),
        },
        Failure::Refused {
            fault: Fault::new(7004, reason.clone()),
            paths: Vec::new(),
        },
        Failure::Impossible { reason },
    ];
    for failure in failures {
        assert_eq!(ends(&failure, 2), ends(&failure, 0), "{failure:?}");
    }
}

#[test]
fn the_last_lost_answer_ends_nothing_before_the_log_was_looked_at() {
    for proved in [true, false] {
        let (mut bench, id, key) = accepted();
        let mut lost = 0;
        let ended = loop {
            match bench.asked() {
                Command::Submit { job, .. } => {
                    lost += 1;
                    let reason = "nobody answers".to_owned();
                    bench.answered(job.id, Err(Failure::Lost { reason }));
                }
                Command::Look { .. } => {
                    let last = lost == limits::ATTEMPTS_MAX && proved;
                    let at = bench.now.wall;
                    let found = last.then(|| (at, boot(&key)));
                    looked(&mut bench, id, Some(found.into_iter().collect()));
                }
                Command::Save { operation, .. } => break *operation,
                other => panic!("{other:?}"),
            }
            assert!(lost <= limits::ATTEMPTS_MAX);
        };
        let wanted = match proved {
            true => OperationState::Succeeded,
            false => OperationState::Unconfirmed,
        };
        assert_eq!(ended.state, wanted);
    }
}

#[test]
fn while_the_log_cannot_be_read_nothing_is_decided() {
    let mut bench = Bench::claiming();
    let mut waiting = sent_reboot(&bench);
    waiting.state = OperationState::Verifying;
    waiting.progress.phase = Phase::Await;
    let (id, key) = (waiting.id, waiting.command_key());
    let end = bench.now.wall.plus(Duration::from_secs(1));
    (waiting.progress.deadline, waiting.progress.not_before) = (Some(end), Some(end));
    bench.claimed(waiting, 1);
    while bench.next().is_some() {}
    bench.pass(Duration::from_secs(2));
    for _ in 0..3 {
        look(&mut bench);
        looked(&mut bench, id, None);
        assert!(bench.next().is_none());
        bench.pass(limits::STORE_RETRY);
    }
    look(&mut bench);
    // What is said meanwhile is heard, and what the log says then changes nothing.
    bench.says(boot(&key));
    assert_eq!(bench.written().state, OperationState::Succeeded);
    looked(&mut bench, id, Some(vec![]));
    assert!(bench.next().is_none());
}
