//! Whole sessions that break: what they teach, and what they must not.

use std::collections::BTreeMap;

use cwmp::rpc::Method;
use fleet::operation::Request;

use super::fake::gateway;
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
