//! Whole sessions that break, and requests that are too much: what they teach, and what they must not.

use std::collections::BTreeMap;

use cwmp::rpc::Method;
use cwmp::value::Value;
use cwmp::{FaultCode, Request as Rpc};
use fleet::operation::{OperationState as State, Request};
use fleet::southbound::PathValue;

use super::fake::{Asked, Fake, gateway};
use super::limits::BATCH_BLAMED_MIN;
use super::memory::TREE;
use super::world::{PATIENCE, PERIODIC, World};
use crate::state::now;

#[tokio::test]
async fn a_session_that_breaks_before_a_command_is_asked_leaves_it_to_be_asked() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let damaged = b"no tree".to_vec();
    world
        .store
        .state_put(&world.tenant, world.device, TREE, damaged, now())
        .await
        .unwrap();
    let command = "Device.Reboot()".into();
    let args = BTreeMap::new();
    let id = world.ask(Request::Operate { command, args }).await;
    let breaks = asked.again().loses(Method::GetParameterNames);
    world.session(breaks, PERIODIC).await;
    let told = async {
        loop {
            let operation = world.operation(id).await;
            if operation.outcome.cause.is_some() {
                return operation;
            }
            tokio::task::yield_now().await;
        }
    };
    let operation = tokio::time::timeout(PATIENCE, told).await.expect("in time");
    let is_over = operation.state.is_final();
    assert!(!is_over, "{:?} {:?}", operation.state, operation.outcome);
    assert!(operation.progress.sent_at.is_none());
}

const WRITES: usize = 20;

fn own(n: usize) -> String {
    format!("Device.X_ACME_Thing.Own{n}")
}

/// A gateway with many parameters that can be set, of a firmware.
fn large(software: &str) -> Fake {
    let version = "Device.DeviceInfo.SoftwareVersion";
    (0..WRITES).fold(
        gateway().with_param(version, Value::string(software)),
        |fake, n| fake.with_param(&own(n), Value::string("")),
    )
}

/// It takes no more at once than the smallest request whose size is blamed, and calls more an
/// internal error.
fn short(fake: Fake) -> Fake {
    fake.values_max(BATCH_BLAMED_MIN)
        .writes_max(BATCH_BLAMED_MIN)
        .too_much_is(FaultCode::INTERNAL_ERROR)
}

/// How many parameters were read or set, request by request.
fn sizes(asked: &Asked, method: Method) -> Vec<usize> {
    let size = |request: &Rpc| match request {
        Rpc::GetParameterValues(get) if method == Method::GetParameterValues => {
            Some(get.names.len())
        }
        Rpc::SetParameterValues(set) if method == Method::SetParameterValues => {
            Some(set.parameters.len())
        }
        _ => None,
    };
    asked.requests().iter().filter_map(size).collect()
}

/// What the first device of a model teaches by internal errors, another of it need not, and one with
/// another firmware has to teach anew.
async fn taught(method: Method, request: impl Fn() -> Request) {
    let (mut world, asked) = World::known(large("1.0"), "Device.").await;
    let id = world.ask(request()).await;
    world.session(short(asked.again()), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
    let first = sizes(&asked, method);
    assert!(first[0] >= WRITES, "{first:?}");
    let refused = first.iter().filter(|size| **size > BATCH_BLAMED_MIN);
    assert!(refused.count() >= 2, "{first:?}");
    world.node.take().unwrap().kill();
    for (software, knows) in [("1.0", true), ("2.0", false)] {
        let mut next = World::another(&world.store, "Device.").await;
        next.software = software;
        let events = [("0 BOOTSTRAP", ""), ("1 BOOT", "")];
        let asked = next.session(large(software), &events).await;
        asked.clear();
        let id = next.ask(request()).await;
        next.session(short(asked.again()), PERIODIC).await;
        next.ends(id, State::Succeeded).await;
        let sizes = sizes(&asked, method);
        let most = sizes.iter().max().unwrap();
        assert_eq!(*most <= BATCH_BLAMED_MIN, knows, "{software}: {sizes:?}");
        if method == Method::SetParameterValues {
            assert_eq!(asked.get(&own(WRITES - 1)).as_deref(), Some("x"));
        }
        next.node.take().unwrap().kill();
    }
}

#[tokio::test]
async fn a_read_that_is_an_internal_error_is_done_in_halves_and_that_is_remembered_of_the_model() {
    let paths: Vec<String> = (0..WRITES).map(own).collect();
    let get = || Request::Get {
        paths: paths.clone(),
        max_depth: 0,
    };
    taught(Method::GetParameterValues, get).await;
}

#[tokio::test]
async fn a_large_write_that_is_an_internal_error_is_done_in_halves_and_that_is_remembered() {
    let set = || Request::Set {
        values: (0..WRITES).map(|n| PathValue::new(own(n), "x")).collect(),
        allow_partial: false,
    };
    taught(Method::SetParameterValues, set).await;
}
