//! The dispatcher by itself: its window, its leases. Its promises in a world of devices, stores and bad luck are
//! tested in `sim`.

use super::*;
use crate::operation::Request;
use std::collections::BTreeMap;

#[test]
fn a_window_bounds_what_is_driven_at_the_same_time() {
    let mut dispatcher = Dispatcher::new(Config {
        in_flight_max: 2,
        ..Config::default()
    });
    let tenant = TenantId::parse("acme").unwrap();
    let now = Timestamp::from_millis(1);
    for n in 0..5u128 {
        let device = DeviceId(uuid::Uuid::from_u128(n));
        dispatcher.handle(Input::Reachable(tenant.clone(), device), now);
    }
    let claims = std::iter::from_fn(|| dispatcher.poll()).count();
    assert_eq!((claims, dispatcher.busy()), (2, 2));
    dispatcher.handle(
        Input::Claimed(DeviceId(uuid::Uuid::from_u128(0)), None),
        now,
    );
    assert_eq!(std::iter::from_fn(|| dispatcher.poll()).count(), 1);
}

#[test]
fn a_node_that_lost_its_lease_sends_nothing() {
    let mut dispatcher = Dispatcher::new(Config::default());
    let tenant = TenantId::parse("acme").unwrap();
    let device = DeviceId(uuid::Uuid::from_u128(1));
    let now = Timestamp::from_millis(1_000);
    dispatcher.handle(Input::Reachable(tenant.clone(), device), now);
    assert!(matches!(dispatcher.poll(), Some(Command::Claim { .. })));
    let id = OperationId(uuid::Uuid::from_u128(7));
    let request = Request::Operate {
        command: "Device.Sync()".into(),
        args: BTreeMap::new(),
    };
    let expires = now.plus(limits::EXPIRY_DEFAULT);
    let operation = Operation::new(id, tenant, device, request, "t", now, expires);
    let claimed = Claimed {
        operation,
        fence: 1,
        evidence: Vec::new(),
    };
    dispatcher.handle(Input::Claimed(device, Some(Box::new(claimed))), now);
    assert!(matches!(dispatcher.poll(), Some(Command::Save { .. })));
    dispatcher.handle(Input::Saved(device, id, 1, Saved::Fenced), now);
    assert_eq!(dispatcher.poll(), None);
    assert_eq!(dispatcher.busy(), 0);
}

#[test]
fn an_operation_that_is_cancelled_while_it_is_claimed_is_not_sent() {
    let mut dispatcher = Dispatcher::new(Config::default());
    let tenant = TenantId::parse("acme").unwrap();
    let device = DeviceId(uuid::Uuid::from_u128(1));
    let now = Timestamp::from_millis(1_000);
    dispatcher.handle(Input::Reachable(tenant.clone(), device), now);
    assert!(matches!(dispatcher.poll(), Some(Command::Claim { .. })));
    let id = OperationId(uuid::Uuid::from_u128(7));
    dispatcher.handle(Input::Cancel(device, id), now);
    let request = Request::Operate {
        command: "Device.Sync()".into(),
        args: BTreeMap::new(),
    };
    let expires = now.plus(limits::EXPIRY_DEFAULT);
    let claimed = Claimed {
        operation: Operation::new(id, tenant, device, request, "t", now, expires),
        fence: 1,
        evidence: Vec::new(),
    };
    dispatcher.handle(Input::Claimed(device, Some(Box::new(claimed))), now);
    let Some(Command::Save { operation, .. }) = dispatcher.poll() else {
        panic!("its end is stored");
    };
    assert_eq!(operation.state, OperationState::Cancelled);
}

#[test]
fn a_claim_is_renewed_while_the_device_thinks() {
    let mut dispatcher = Dispatcher::new(Config::default());
    let tenant = TenantId::parse("acme").unwrap();
    let device = DeviceId(uuid::Uuid::from_u128(1));
    let now = Timestamp::from_millis(1_000);
    dispatcher.handle(Input::Reachable(tenant.clone(), device), now);
    dispatcher.poll();
    let id = OperationId(uuid::Uuid::from_u128(7));
    let request = Request::Get {
        paths: vec!["Device.S".into()],
        max_depth: 0,
    };
    let expires = now.plus(limits::EXPIRY_DEFAULT);
    let operation = Operation::new(id, tenant, device, request, "t", now, expires);
    let claimed = Claimed {
        operation,
        fence: 1,
        evidence: Vec::new(),
    };
    dispatcher.handle(Input::Claimed(device, Some(Box::new(claimed))), now);
    assert!(matches!(dispatcher.poll(), Some(Command::Submit { .. })));
    let later = dispatcher.poll_timeout().unwrap();
    assert!(later < now.plus(limits::LEASE));
    dispatcher.handle(Input::Tick, later);
    assert!(matches!(dispatcher.poll(), Some(Command::Renew { .. })));
    dispatcher.handle(Input::Renewed(device, id, 1, Saved::Durable), later);
    assert!(dispatcher.poll_timeout().unwrap() > later);
}

#[test]
fn the_answer_to_a_renewal_is_not_taken_for_a_write() {
    let mut dispatcher = Dispatcher::new(Config::default());
    let tenant = TenantId::parse("acme").unwrap();
    let device = DeviceId(uuid::Uuid::from_u128(1));
    let now = Timestamp::from_millis(1_000);
    dispatcher.handle(Input::Reachable(tenant.clone(), device), now);
    dispatcher.poll();
    let id = OperationId(uuid::Uuid::from_u128(7));
    let request = Request::Add {
        object: "Device.Table.".into(),
        values: BTreeMap::new(),
    };
    let expires = now.plus(limits::EXPIRY_DEFAULT);
    let operation = Operation::new(id, tenant, device, request, "t", now, expires);
    let claimed = Claimed {
        operation,
        fence: 1,
        evidence: Vec::new(),
    };
    dispatcher.handle(Input::Claimed(device, Some(Box::new(claimed))), now);
    let Some(Command::Submit { job, .. }) = dispatcher.poll() else {
        panic!("the table is listed first");
    };
    let later = dispatcher.poll_timeout().unwrap();
    dispatcher.handle(Input::Tick, later);
    assert!(matches!(dispatcher.poll(), Some(Command::Renew { .. })));
    let fact = crate::southbound::Fact::Done {
        job: job.id,
        result: Ok(crate::southbound::Answer::Instances(Vec::new())),
    };
    dispatcher.handle(Input::Fact(device, fact), later);
    assert!(matches!(dispatcher.poll(), Some(Command::Save { .. })));
    // The Add may not leave before it is stored as sent.
    dispatcher.handle(Input::Renewed(device, id, 1, Saved::Durable), later);
    assert_eq!(dispatcher.poll(), None);
    dispatcher.handle(Input::Saved(device, id, 1, Saved::Durable), later);
    let Some(Command::Submit { job, .. }) = dispatcher.poll() else {
        panic!("the Add is sent once it is stored");
    };
    // And a late answer to a write does not end the wait for the device's.
    dispatcher.handle(Input::Saved(device, id, 1, Saved::Durable), later);
    let fact = crate::southbound::Fact::Done {
        job: job.id,
        result: Err(Failure::Lost {
            reason: "gone".into(),
        }),
    };
    dispatcher.handle(Input::Fact(device, fact), later);
    assert!(matches!(dispatcher.poll(), Some(Command::Submit { .. })));
}
