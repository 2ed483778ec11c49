//! What becomes of an operation that somebody stops.

use std::collections::BTreeMap;

use super::tests::{accepted, add, at, completed, operation, ran};
use super::*;
use crate::limits;
use crate::southbound::{CommandOutcome, Fault, Op};

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
    let refused = || {
        let fault = Fault::new(9021, "cancellation is not permitted");
        let outcome = CommandOutcome::Failed { fault };
        ran("Device.LocalAgent.Request.4.Cancel()", outcome)
    };
    for comes in [false, true] {
        let mut op = accepted();
        assert!(matches!(
            op.step(Input::Cancel, at(5)),
            Step::SaveThenSend(_)
        ));
        op.step(refused(), at(6));
        assert!(!op.state.is_final());
        assert_eq!(op.due(), at(6).plus(limits::AWAIT_GRACE));
        if comes {
            let notice = completed(&op, Ok(BTreeMap::new()));
            op.step(Input::Notice(at(7), &notice), at(7));
            assert_eq!(op.state, OperationState::Succeeded);
            continue;
        }
        // Also where it is still in the table, and where nobody works on it by then.
        op.expire(op.due());
        assert_eq!(op.state, OperationState::Unconfirmed);
        assert!(op.outcome.cause.unwrap().contains("may carry it out yet"));
    }
}
