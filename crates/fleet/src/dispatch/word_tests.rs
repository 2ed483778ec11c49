//! The word of a device that may decide an operation, while that cannot be claimed: the device may be gone by then, or may
//! never have been linked here.

use std::time::Duration;

use super::tests::{Bench, boot, sent_reboot};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Whether a claim is asked for now, and nothing else.
fn claims(bench: &mut Bench) -> bool {
    let claims = matches!(bench.next(), Some(Command::Claim { .. }));
    assert!(bench.next().is_none());
    claims
}

/// The device says that it has started for this operation, and is linked nowhere here.
fn heard() -> (Bench, Operation) {
    let mut bench = Bench::idle();
    let operation = sent_reboot(&bench);
    bench.says(boot(&operation.command_key()));
    (bench, operation)
}

/// The operation is claimed, with what the log has by now.
fn claimed(bench: &mut Bench, operation: &Operation) {
    let notice = boot(&operation.command_key());
    let claimed = Claimed {
        operation: operation.clone(),
        fence: 2,
        evidence: Said {
            notices: vec![(bench.now.wall, notice)],
            to: Place::default(),
        },
        cancelled: false,
    };
    bench.tell(Input::Claimed(bench.device, Some(Box::new(claimed))));
}

fn failed(bench: &mut Bench) {
    bench.tell(Input::ClaimFailed(bench.device));
    assert!(bench.next().is_none(), "it is tried without a rest");
    bench.pass(limits::STORE_RETRY);
}

fn gone(bench: &mut Bench) {
    let over = Protocol::Usp;
    bench.tell(Input::Unreachable(bench.device, over, "gone".into()));
}

#[test]
fn what_a_device_said_ends_its_operation_once_that_can_be_claimed_though_it_is_not_linked() {
    let (mut bench, operation) = heard();
    assert!(bench.next().is_none(), "it is about to be linked");
    bench.pass(limits::STORE_RETRY);
    for _ in 0..5 {
        assert!(claims(&mut bench));
        failed(&mut bench);
    }
    assert!(claims(&mut bench));
    claimed(&mut bench, &operation);
    let ended = bench.written();
    assert_eq!(ended.state, OperationState::Succeeded);
    bench.saved(&ended, Saved::Durable);
    // One answer is enough.
    assert!(bench.next().is_none());
    assert_eq!(
        (bench.dispatcher.told, bench.dispatcher.devices.len()),
        (0, 0)
    );
    assert_eq!(bench.dispatcher.poll_timeout(), None);
}

#[test]
fn what_a_device_said_before_it_left_ends_its_operation_once_that_can_be_claimed() {
    // While it was claimed, and after the claim had failed.
    for during in [true, false] {
        let mut bench = Bench::claiming();
        let operation = sent_reboot(&bench);
        if !during {
            bench.tell(Input::ClaimFailed(bench.device));
        }
        bench.says(boot(&operation.command_key()));
        gone(&mut bench);
        if during {
            bench.tell(Input::ClaimFailed(bench.device));
        }
        bench.pass(limits::STORE_RETRY);
        assert!(claims(&mut bench));
        claimed(&mut bench, &operation);
        assert_eq!(bench.written().state, OperationState::Succeeded);
    }
}

#[test]
fn what_a_device_said_while_its_operation_was_given_back_is_looked_for_though_it_has_left() {
    let mut bench = Bench::claiming();
    let mut waiting = sent_reboot(&bench);
    waiting.progress.phase = crate::operation::Phase::Await;
    bench.claimed(waiting, 1);
    while bench.next().is_some() {}
    gone(&mut bench);
    let given_back = bench.written();
    bench.says(boot(&given_back.command_key()));
    bench.saved(&given_back, Saved::Durable);
    assert!(claims(&mut bench));
    claimed(&mut bench, &given_back);
    assert_eq!(bench.written().state, OperationState::Succeeded);
}

#[test]
fn the_end_that_a_lost_claim_did_not_write_is_looked_for_though_the_device_has_left() {
    let mut bench = Bench::claiming();
    let mut waiting = sent_reboot(&bench);
    waiting.progress.phase = crate::operation::Phase::Await;
    bench.claimed(waiting, 1);
    while bench.next().is_some() {}
    bench.says(boot(&sent_reboot(&bench).command_key()));
    let ended = bench.written();
    gone(&mut bench);
    bench.saved(&ended, Saved::Fenced);
    assert!(bench.next().is_none());
    bench.pass(limits::STORE_RETRY);
    assert!(claims(&mut bench));
}

#[test]
fn a_claim_with_which_the_word_came_and_that_ended_nothing_is_not_repeated() {
    let (mut bench, mut other) = heard();
    bench.pass(limits::STORE_RETRY);
    assert!(claims(&mut bench));
    other.id = OperationId(uuid::Uuid::from_u128(8));
    bench.claimed(other, 1);
    let given_back = bench.written();
    assert!(!given_back.state.is_final());
    bench.saved(&given_back, Saved::Durable);
    assert!(bench.next().is_none());
    assert!(bench.dispatcher.devices.is_empty());
}

#[test]
fn a_device_that_comes_after_its_word_is_claimed_at_once() {
    let (mut bench, _) = heard();
    let over = Protocol::Usp;
    bench.tell(Input::Reachable(bench.tenant.clone(), bench.device, over));
    assert!(claims(&mut bench));
    bench.tell(Input::Claimed(bench.device, None));
    assert!(matches!(bench.next(), Some(Command::Rest { .. })));
    bench.pass(limits::STORE_RETRY);
    assert!(bench.next().is_none(), "it was looked at");
}

/// `WORD_KEPT`
#[test]
fn what_cannot_be_claimed_for_long_is_not_kept_in_mind() {
    let (mut bench, _) = heard();
    bench.pass(limits::STORE_RETRY);
    let mut tried = Duration::ZERO;
    while claims(&mut bench) {
        failed(&mut bench);
        tried += limits::STORE_RETRY;
        assert!(tried <= limits::WORD_KEPT);
    }
    assert!(tried >= limits::LEASE + 10 * SECOND);
    assert!(bench.dispatcher.devices.is_empty());
}

/// `WORDS_MAX`
#[test]
fn so_many_devices_that_are_not_linked_are_kept_in_mind_and_no_more() {
    let mut bench = Bench::idle();
    for n in 0..=limits::WORDS_MAX {
        bench.device = DeviceId(uuid::Uuid::from_u128(n as u128));
        bench.says(boot(""));
    }
    assert_eq!(bench.dispatcher.devices.len(), limits::WORDS_MAX);
    // What says nothing of operations is not kept at all.
    let mut bench = Bench::idle();
    bench.says(Notice::Periodic);
    assert!(bench.dispatcher.devices.is_empty());
}
