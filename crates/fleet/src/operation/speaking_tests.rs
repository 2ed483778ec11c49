//! Commands on devices that speak first, as those of CWMP do: what such a device has not said when
//! it can be asked, it does not say any more.

use std::collections::BTreeMap;

use super::tests::{acting, at, ok, values};
use super::*;
use crate::limits;
use crate::southbound::{Answer, CommandOutcome, CommandResult, Failure, Op};

const ROW: &str = "Device.LocalAgent.Request.3.";

fn download() -> Operation {
    let request = Request::Operate {
        command: "Device.DeviceInfo.FirmwareImage.1.Download()".into(),
        args: BTreeMap::new(),
    };
    acting(request, None)
}

fn lost() -> Input<'static> {
    let reason = "the session broke off".into();
    Input::Answer(Err(Failure::Lost { reason }))
}

fn listed(op: &Operation) -> Answer {
    let key = op.command_key();
    values(&[(&format!("{ROW}CommandKey"), key.as_str())])
}

#[test]
fn a_command_whose_answer_was_lost_and_that_the_device_does_not_know_ends_unconfirmed_at_once() {
    let mut op = download();
    let step = op.step(lost(), at(3));
    assert!(matches!(step, Step::Send(Op::Get { .. })), "{step:?}");
    // Before it was looked for nothing is decided.
    op.hear(Input::SaidAll, at(3));
    assert!(!op.state.is_final());
    assert!(matches!(op.step(ok(values(&[])), at(4)), Step::Wait(_)));
    assert_eq!(op.step(Input::SaidAll, at(4)), Step::Finished);
    assert_eq!(op.state, OperationState::Unconfirmed);
    assert!(op.outcome.cause.unwrap().contains("knows nothing"));
}

#[test]
fn a_command_that_the_device_works_on_goes_on_whatever_else_it_said() {
    let mut op = download();
    op.step(lost(), at(3));
    let found = listed(&op);
    assert_eq!(op.step(ok(found), at(4)), Step::Save);
    op.step(Input::Proceed, at(4));
    op.step(Input::SaidAll, at(4));
    assert_eq!(
        (op.state, op.progress.phase),
        (OperationState::Running, Phase::Await)
    );
}

#[test]
fn a_command_that_is_gone_without_a_word_ends_unconfirmed_at_once() {
    let mut op = download();
    let accepted = CommandResult {
        command: "Device.DeviceInfo.FirmwareImage.1.Download()".into(),
        outcome: CommandOutcome::Accepted {
            request: ROW.into(),
        },
    };
    op.step(ok(Answer::Operated(vec![accepted])), at(3));
    op.pause("the session ended");
    assert!(matches!(
        op.step(Input::Claimed(&[]), at(600)),
        Step::Send(_)
    ));
    assert!(matches!(op.step(ok(values(&[])), at(601)), Step::Wait(_)));
    assert_eq!(op.step(Input::SaidAll, at(601)), Step::Finished);
    assert_eq!(op.state, OperationState::Unconfirmed);
}

#[test]
fn a_restart_is_waited_for_also_when_all_was_said() {
    let request = Request::Operate {
        command: "Device.Reboot()".into(),
        args: BTreeMap::new(),
    };
    let mut op = acting(request, None);
    op.step(lost(), at(3));
    op.step(ok(values(&[])), at(4));
    op.step(Input::Proceed, at(4));
    op.step(Input::SaidAll, at(4));
    assert!(!op.state.is_final());
    assert_eq!(
        op.progress.deadline,
        Some(at(1).plus(limits::BOOT_WAIT_MAX))
    );
}

#[test]
fn resources_that_are_exceeded_are_tried_again_in_the_code_of_either_protocol() {
    for code in [7005, 9004] {
        let request = Request::Set {
            values: vec![PathValue::new("Device.A", "1")],
            allow_partial: false,
        };
        let mut op = acting(request, Some(values(&[("Device.A", "0")])));
        let fault = Fault::new(code, "busy");
        let paths = Vec::new();
        let step = op.step(Input::Answer(Err(Failure::Refused { fault, paths })), at(3));
        assert!(matches!(step, Step::Wait(_)), "{code}: {step:?}");
    }
}
