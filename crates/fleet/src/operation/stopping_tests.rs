//! What becomes of an operation that somebody stops.

use std::collections::BTreeMap;

use super::tests::{accepted, add, at, completed, lost, operate, operation, ran};
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
    let mut op = operate("Device.Reboot()");
    let done = CommandOutcome::Done {
        outputs: BTreeMap::new(),
    };
    op.step(ran("Device.Reboot()", done), at(3));
    assert_eq!(op.state, OperationState::Verifying);
    // Nobody works on it: the device is away.
    op.cancel(at(5));
    assert_eq!(op.due(), at(5).plus(limits::AWAIT_GRACE));
    op.expire(op.due());
    assert_eq!(op.state, OperationState::Unconfirmed);
    assert!(op.outcome.cause.unwrap().contains("may carry it out yet"));
}

#[test]
fn the_question_to_stop_is_asked_again_when_it_was_lost() {
    let mut op = accepted();
    let asks = |step: &Step| matches!(step, Step::SaveThenSend(Op::Operate { .. }));
    let mut step = op.step(Input::Cancel, at(5));
    for time in 6.. {
        if op.state.is_final() {
            break;
        }
        assert!(asks(&step), "{step:?}");
        assert!(time < 6 + i64::from(limits::ATTEMPTS_MAX));
        step = op.step(lost(), at(time));
    }
    assert_eq!(op.state, OperationState::Unconfirmed);
}
