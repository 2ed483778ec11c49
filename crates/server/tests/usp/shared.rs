//! Two servers of one database, and devices behind a broker that both hear.

use std::collections::BTreeMap;

use fleet::operation::Request;
use fleet::{EventKind, NodeId, Operation, OperationId, OperationState};
use server::dispatch::{self, Dispatch};
use server::state::now;
use store::testing::databases;
use store::{EventFilter, EventOrder};
use tokio::sync::mpsc;

use crate::asked::{self, asked, rabbitmq};
use crate::external::{M1, agent, mosquitto, to};
use crate::mosquitto::free;
use crate::rig::{Second, World, until};

/// Starts the dispatcher of a server, which hears all that its devices say.
fn dispatch(world: &mut World, node: &str) -> Dispatch {
    let facts = std::mem::replace(&mut world.facts, mpsc::channel(1).1);
    dispatch::start(dispatch::Setup {
        store: world.store.clone(),
        southbound: world.adapter.clone(),
        facts,
        shutdown: world.shutdown.clone(),
        node: NodeId::parse(node).unwrap(),
        presence: Default::default(),
    })
}

async fn both_connected(world: &World, second: &Second) {
    for one in [&world.brokers[0], &second.brokers[0]] {
        until("both are connected", async || {
            one.health().connected.then_some(())
        })
        .await;
    }
}

/// The proof of a command reaches either of them, whichever has sent it.
#[tokio::test]
async fn what_one_server_hears_ends_what_another_has_sent() {
    for db in databases().await.unwrap() {
        let broker = mosquitto().await;
        let brokers = to(&broker, "shared_group = \"headend\"");
        let mut world = World::with(db, |config, _| config.usp.brokers = brokers).await;
        let mut second = world.beside().await;
        both_connected(&world, &second).await;
        let first = dispatch(&mut world, "one");
        world.swap(&mut second);
        let other = dispatch(&mut world, "two");
        let real = agent(&world, &broker, "5.0", "M1", M1);
        let device = world.onboarded(&real.endpoint).await.device.id;
        for round in 0..5 {
            let id = OperationId(uuid::Uuid::now_v7());
            let request = Request::Operate {
                command: "Device.Reboot()".into(),
                args: BTreeMap::new(),
            };
            let at = now();
            let expires = at.plus(fleet::limits::EXPIRY_DEFAULT);
            let tenant = world.tenant.clone();
            let operation = Operation::new(id, tenant, device, request, "test", at, expires);
            let stored = world
                .store
                .operation_insert(&world.tenant, operation, None, vec![]);
            stored.await.unwrap();
            // Whoever is woken first takes it up.
            let handles = [&first.handle, &other.handle];
            handles[round % 2].wake(device);
            let ended = until("it ends", async || {
                handles[round % 2].wake(device);
                let record = world.store.operation(&world.tenant, id).await.unwrap();
                let operation = record.operation;
                operation.state.is_final().then_some(operation)
            })
            .await;
            let (state, cause) = (ended.state, ended.outcome.cause);
            assert_eq!(state, OperationState::Succeeded, "{round}: {cause:?}");
        }
        real.stop().await;
        second.shutdown.cancel();
        world.shutdown.cancel();
    }
}

/// Both hear all that it says, and both find that it came with a setup key.
#[tokio::test]
async fn of_two_servers_one_swaps_the_setup_key_of_a_new_device() {
    for db in databases().await.unwrap() {
        let asks = free();
        let broker = rabbitmq(asks);
        let mut world = asked(db, asks, Some(broker.mqtt)).await;
        let mut second = world.beside().await;
        both_connected(&world, &second).await;
        let agent = asked::agent(&world, broker.mqtt);
        let device = world.onboarded(&agent.endpoint).await.device.id;
        asked::swapped(&world, device).await;
        for _ in 0..2 {
            let end = tokio::time::Instant::now() + crate::rig::PATIENCE;
            while world.ask(device, crate::rig::get()).await.is_err() {
                assert!(tokio::time::Instant::now() < end, "it is not answered");
            }
            world.swap(&mut second);
        }
        let filter = EventFilter {
            device: Some(device),
            kinds: vec![EventKind::DeviceCredential],
            ..EventFilter::default()
        };
        let order = EventOrder::After(0);
        let page = world.store.events(&world.tenant, order, &filter, 100);
        let said: Vec<_> = page.await.unwrap().events;
        let said = said.iter().map(|one| one.event.data["state"].to_string());
        assert_eq!(said.collect::<Vec<_>>(), ["\"pending\"", "\"current\""]);
        assert_eq!(world.reasons().await, Vec::<String>::new());
        agent.stop().await;
        second.shutdown.cancel();
    }
}
