//! What becomes of an operation that somebody stops.

use std::collections::BTreeMap;

use super::tests::{accepted, acting, add, at, completed, lost, operate, operation, ran, rows};
use super::*;
use crate::limits;
use crate::southbound::{CommandOutcome, Failure, Fault, Op};

#[test]
fn cancelling_before_anything_was_sent_stops_it() {
    let mut op = operation(add());
    assert_eq!(op.step(Input::Cancel, at(1)), Step::Finished);
    assert_eq!(op.state, OperationState::Cancelled);
}

#[test]
fn cancelling_a_running_command_asks_the_device_once() {
    let mut op = accepted();
    let Step::SaveThenSend(Op::Operate { command, .. }) = op.step(Input::Cancel, at(5)) else {
        panic!("not asked")
    };
    assert_eq!(command, "Device.LocalAgent.Request.4.Cancel()");
    assert!(matches!(op.step(Input::Cancel, at(6)), Step::Wait(_)));
    let notice = completed(&op, Err(Fault::new(7023, "canceled")));
    op.step(Input::Notice(at(7), &notice), at(7));
    assert_eq!(op.state, OperationState::Cancelled);
}

#[test]
fn a_command_that_the_device_refuses_to_stop_is_given_up_unless_its_end_comes_at_once() {
    let fault = || Fault::new(9021, "cancellation is not permitted");
    let refused = |whole| match whole {
        true => Input::Answer(Err(Failure::Refused {
            fault: fault(),
            paths: Vec::new(),
        })),
        false => ran(
            "Device.LocalAgent.Request.4.Cancel()",
            CommandOutcome::Failed { fault: fault() },
        ),
    };
    for (comes, whole) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut op = accepted();
        assert!(matches!(
            op.step(Input::Cancel, at(5)),
            Step::SaveThenSend(_)
        ));
        op.step(refused(whole), at(6));
        assert!(!op.state.is_final());
        assert_eq!(op.due(), at(6).plus(limits::AWAIT_GRACE));
        if comes {
            let notice = completed(&op, Ok(BTreeMap::new()));
            op.step(Input::Notice(at(7), &notice), at(7));
            assert_eq!(op.state, OperationState::Succeeded);
            continue;
        }
        // The device may go away meanwhile.
        op.pause("the device went away");
        assert_eq!(op.due(), at(6).plus(limits::AWAIT_GRACE));
        // Also where it is still in the table, and where nobody works on it by then.
        op.expire(op.due());
        assert_eq!(op.state, OperationState::Unconfirmed);
        assert!(op.outcome.cause.unwrap().contains("may carry it out yet"));
    }
}

#[test]
fn a_start_that_never_comes_keeps_nothing_waiting_once_somebody_stopped_it() {
    for answered in [true, false] {
        let mut op = operate("Device.Reboot()");
        let done = CommandOutcome::Done {
            outputs: BTreeMap::new(),
        };
        match answered {
            true => op.step(ran("Device.Reboot()", done), at(3)),
            false => op.step(lost(), at(3)),
        };
        // Nobody works on it: the device is away.
        op.pause("the device went away");
        op.cancel(at(5));
        assert_eq!(op.due(), at(5).plus(limits::AWAIT_GRACE), "{answered}");
        op.expire(op.due());
        assert_eq!(op.state, OperationState::Unconfirmed);
        assert!(op.outcome.cause.unwrap().contains("may carry it out yet"));
    }
}

#[test]
fn what_may_have_been_lost_is_looked_for_before_it_is_given_up() {
    let row = acting(add(), Some(rows(&["Device.T.1."])));
    for mut op in [operate("Device.X.Go()"), row] {
        op.step(lost(), at(3));
        assert_eq!(op.progress.phase, Phase::Reconcile);
        op.pause("the device went away");
        op.cancel(at(5));
        assert_eq!(op.due(), op.expires);
        assert!(!op.state.is_final());
    }
}

#[test]
fn the_question_to_stop_is_asked_again_when_it_was_lost_and_not_once_it_was_answered() {
    let asks = |step: &Step| matches!(step, Step::SaveThenSend(Op::Operate { .. }));
    let mut op = accepted();
    assert!(asks(&op.step(Input::Cancel, at(5))));
    let mut time = 6;
    for _ in 1..limits::ATTEMPTS_MAX {
        assert!(matches!(op.step(lost(), at(time)), Step::Wait(_)));
        time += 100;
        assert!(asks(&op.step(Input::Proceed, at(time))));
    }
    op.step(lost(), at(time));
    assert_eq!(op.state, OperationState::Unconfirmed);
    // It was answered, and then a look at the row was lost.
    let mut op = accepted();
    op.step(Input::Cancel, at(5));
    let done = CommandOutcome::Done {
        outputs: BTreeMap::new(),
    };
    op.step(ran("Device.LocalAgent.Request.4.Cancel()", done), at(6));
    op.step(lost(), at(40));
    assert!(!asks(&op.step(Input::Proceed, at(200))));
    assert!(!asks(&op.step(Input::Claimed(&[]), at(300))));
}
