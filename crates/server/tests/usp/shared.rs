//! Two servers of one database, and devices behind a broker that both hear.

use std::time::Duration;

use fleet::operation::Request;
use fleet::{DeviceId, EventKind, Fact, NodeId, Operation, OperationId, OperationState};
use server::dispatch::reconcile::unheard;
use server::dispatch::{self, Dispatch};
use server::southbound::usp::limits::Limits;
use server::state::now;
use store::testing::{databases, sqlite};
use store::{EventFilter, EventOrder};
use tokio::sync::mpsc;

use crate::asked::{self, asked, rabbitmq};
use crate::external::{M1, agent, mosquitto, to};
use crate::mosquitto::{Mosquitto, free};
use crate::puppet::{Puppet, Reply, Seen};
use crate::rig::{PATIENCE, Real, Second, World, get, soon, until};

/// Starts the dispatcher of a server, which hears all that its devices say.
pub fn dispatch(world: &mut World, node: &str) -> Dispatch {
    let facts = std::mem::replace(&mut world.facts, mpsc::channel(1).1);
    dispatch::start(dispatch::Setup {
        store: world.store.clone(),
        southbound: world.adapter.clone(),
        facts,
        shutdown: world.shutdown.clone(),
        node: NodeId::parse(node).unwrap(),
        presence: fleet::presence::PresenceConfig {
            silent_after: Duration::from_secs(world.config.presence.silent_after_seconds),
        },
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

/// Stores a command.
async fn command(
    world: &World,
    device: DeviceId,
    command: &str,
    args: &[(&str, &str)],
) -> OperationId {
    let args = args.iter();
    let request = Request::Operate {
        command: command.into(),
        args: args.map(|(n, v)| ((*n).into(), (*v).into())).collect(),
    };
    stored(world, device, request).await
}

/// Stores an operation.
pub async fn stored(world: &World, device: DeviceId, request: Request) -> OperationId {
    let id = OperationId(uuid::Uuid::now_v7());
    let at = now();
    let expires = at.plus(fleet::limits::EXPIRY_DEFAULT);
    let tenant = world.tenant.clone();
    let operation = Operation::new(id, tenant, device, request, "test", at, expires);
    let stored = world
        .store
        .operation_insert(&world.tenant, operation, None, vec![]);
    stored.await.unwrap();
    id
}

/// The operation, when it has ended.
pub async fn ended(
    world: &World,
    device: DeviceId,
    handle: &dispatch::Handle,
    id: OperationId,
) -> Operation {
    until("it ends", async || {
        handle.wake(device);
        let record = world.store.operation(&world.tenant, id).await.unwrap();
        let operation = record.operation;
        operation.state.is_final().then_some(operation)
    })
    .await
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
            let id = command(&world, device, "Device.Reboot()", &[]).await;
            // Whoever is woken first takes it up.
            let handles = [&first.handle, &other.handle];
            handles[round % 2].wake(device);
            let ended = ended(&world, device, handles[round % 2], id).await;
            let (state, cause) = (ended.state, ended.outcome.cause);
            assert_eq!(state, OperationState::Succeeded, "{round}: {cause:?}");
        }
        real.stop().await;
        second.shutdown.cancel();
        world.shutdown.cancel();
    }
}

/// What became of the credentials of a device, in order.
async fn credentials(world: &World, device: DeviceId) -> Vec<String> {
    let filter = EventFilter {
        device: Some(device),
        kinds: vec![EventKind::DeviceCredential],
        ..EventFilter::default()
    };
    let order = EventOrder::After(0);
    let page = world.store.events(&world.tenant, order, &filter, 100);
    let states = page.await.unwrap().events.into_iter();
    let states = states.map(|one| one.event.data["state"].as_str().unwrap().to_owned());
    states.collect()
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
            let end = tokio::time::Instant::now() + PATIENCE;
            while world.ask(device, get()).await.is_err() {
                assert!(tokio::time::Instant::now() < end, "it is not answered");
            }
            world.swap(&mut second);
        }
        assert_eq!(credentials(&world, device).await, ["pending", "current"]);
        assert_eq!(world.reasons().await, Vec::<String>::new());
        agent.stop().await;
        second.shutdown.cancel();
    }
}

/// Both have a command of their own for it, which takes its time.
#[tokio::test]
async fn a_command_of_each_of_two_servers_ends_once_whoever_hears_of_its_end() {
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
        let mut all = Vec::new();
        for _ in 0..2 {
            let mut both = Vec::new();
            for handle in [&first.handle, &other.handle] {
                let args = [("DelaySeconds", "1")];
                both.push(command(&world, device, "Device.ScheduleTimer()", &args).await);
                handle.wake(device);
            }
            for (id, handle) in both.iter().zip([&other.handle, &first.handle]) {
                let operation = ended(&world, device, handle, *id).await;
                let (state, cause) = (operation.state, operation.outcome.cause);
                assert_eq!(state, OperationState::Succeeded, "{cause:?}");
            }
            all.append(&mut both);
        }
        for id in &all {
            let finished = EventFilter {
                operation: Some(*id),
                kinds: vec![EventKind::OperationFinished],
                ..EventFilter::default()
            };
            let page = world
                .store
                .events(&world.tenant, EventOrder::After(0), &finished, 10);
            assert_eq!(page.await.unwrap().events.len(), 1);
            let said = world
                .store
                .transcript_list(&world.tenant, *id)
                .await
                .unwrap();
            let sent = said
                .iter()
                .filter(|one| one.direction == "out" && one.what.eq_ignore_ascii_case("operate"));
            assert_eq!(sent.count(), 1, "{said:?}");
        }
        // And the device has run each once.
        let completed = EventFilter {
            device: Some(device),
            kinds: vec![EventKind::DeviceCommandCompleted],
            ..EventFilter::default()
        };
        let page = world
            .store
            .events(&world.tenant, EventOrder::After(0), &completed, 100);
        let keys = page.await.unwrap().events.into_iter();
        let keys = keys.map(|one| one.event.data["key"].to_string());
        let mut keys: Vec<_> = keys.collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all.len());
        real.stop().await;
        second.shutdown.cancel();
        world.shutdown.cancel();
    }
}

/// Silence is borne for as long: a server that is held up for a while hears its devices all the same.
const SILENT_AFTER: Duration = Duration::from_secs(15);

/// Two servers with a device between them that the second one has linked last.
async fn behind_both(
    db: store::testing::TestDatabase,
) -> (World, Second, Dispatch, Mosquitto, Real, DeviceId) {
    let broker = mosquitto().await;
    let brokers = to(&broker, "shared_group = \"headend\"");
    let mut world = World::with(db, |config, _| {
        config.usp.brokers = brokers;
        config.presence.silent_after_seconds = SILENT_AFTER.as_secs();
    })
    .await;
    let first = dispatch(&mut world, "one");
    let real = agent(&world, &broker, "5.0", "M1", M1);
    let device = world.onboarded(&real.endpoint).await.device.id;
    let before = holder(&world, device).await;
    assert!(before.is_some());
    let second = world.beside().await;
    until("the second one has a link to it", async || {
        let holder = holder(&world, device).await;
        (holder.is_some() && holder != before).then_some(())
    })
    .await;
    (world, second, first, broker, real, device)
}

/// Who has linked it last.
async fn holder(world: &World, device: DeviceId) -> Option<NodeId> {
    let path = world.store.path(&world.tenant, device, "mqtt").await;
    path.unwrap().unwrap().node
}

async fn is_linked(world: &World, device: DeviceId) -> bool {
    let record = world.store.device(&world.tenant, device).await.unwrap();
    record.device.evidence.linked()
}

async fn is_written_off(world: &World, device: DeviceId) {
    until("it is written off", async || {
        (!is_linked(world, device).await).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_device_is_written_off_after_the_server_that_had_linked_it_last_is_gone() {
    for db in databases().await.unwrap() {
        let (world, second, _first, _broker, real, device) = behind_both(db).await;
        let holder_before = holder(&world, device).await;
        // It says nothing of its devices: the others go on.
        second.shutdown.cancel();
        until("it has left the broker", async || {
            (!second.brokers[0].health().connected).then_some(())
        })
        .await;
        let left = now();
        until(
            "it is heard by the first one, which writes that down",
            async || {
                let record = world.store.device(&world.tenant, device).await.unwrap();
                (record.device.evidence.heard_at > Some(left)).then_some(())
            },
        )
        .await;
        // When the device is overdue, had nobody heard it since.
        let presence = fleet::presence::PresenceConfig {
            silent_after: SILENT_AFTER,
        };
        let overdue = left.plus(presence.lapses_after());
        unheard(&world.store, presence, overdue).await.unwrap();
        assert!(is_linked(&world, device).await);
        assert_eq!(holder(&world, device).await, holder_before);
        real.kill().await;
        let overdue = now().plus(2 * presence.lapses_after());
        unheard(&world.store, presence, overdue).await.unwrap();
        assert!(!is_linked(&world, device).await);
        world.shutdown.cancel();
    }
}

#[tokio::test]
async fn a_link_that_another_server_has_written_off_is_taken_back_by_who_hears_its_device() {
    for db in databases().await.unwrap() {
        let (world, second, _first, _broker, real, device) = behind_both(db).await;
        let (store, tenant) = (&world.store, &world.tenant);
        let far = now().plus(Duration::from_secs(60));
        let lapsed = store.path_lapse(tenant, far, now(), 10).await.unwrap();
        assert_eq!(lapsed, [device]);
        until("it is taken back", async || {
            is_linked(&world, device).await.then_some(())
        })
        .await;
        // Whoever took it back ends it.
        real.kill().await;
        is_written_off(&world, device).await;
        second.shutdown.cancel();
        world.shutdown.cancel();
    }
}

#[tokio::test]
async fn a_device_is_not_gone_because_one_of_its_servers_loses_the_broker_or_starts_again() {
    let db = sqlite().await.unwrap();
    let (world, second, _first, _broker, real, device) = behind_both(db).await;
    second.shutdown.cancel();
    until("it has left the broker", async || {
        (!second.brokers[0].health().connected).then_some(())
    })
    .await;
    let again = world.again(&second).await;
    both_connected(&world, &again).await;
    assert!(is_linked(&world, device).await);
    let lost = EventFilter {
        device: Some(device),
        kinds: vec![EventKind::DeviceDisconnected],
        ..EventFilter::default()
    };
    let page = world
        .store
        .events(&world.tenant, EventOrder::After(0), &lost, 10);
    assert!(page.await.unwrap().events.is_empty());
    real.stop().await;
    again.shutdown.cancel();
    world.shutdown.cancel();
}

/// It was held up: the other one has given the device its credential, and the device has come back with it.
#[tokio::test]
async fn a_server_that_is_late_does_not_swap_what_another_has_swapped() {
    for db in databases().await.unwrap() {
        let asks = free();
        let broker = rabbitmq(asks);
        let url = format!("mqtt://127.0.0.1:{}", broker.mqtt);
        let one_at_a_time = |limits: &mut Limits| limits.onboardings_at_once = 1;
        let mut world = asked::asked_within(db, asks, Some(url), true, one_at_a_time).await;
        // It leaves open what it is asked first: as long as it is there nobody else is onboarded.
        let url = world.url(&world.key);
        let mut slow = Puppet::dial(&url, "os::00256D-P1", &world.own)
            .await
            .unwrap();
        let asked = soon(slow.serve(|_| Reply::Stop)).await;
        assert!(matches!(asked, Seen::Event(_)), "{asked:?}");
        let slow = tokio::spawn(async move { slow.serve(|_| Reply::Not).await });
        let agent = asked::agent(&world, broker.mqtt);
        let device = world.device(&agent.endpoint).await;
        until("it is linked, and came with a setup key", async || {
            let path = world.store.path(&world.tenant, device, "mqtt").await;
            path.unwrap().filter(|path| path.node.is_some())
        })
        .await;
        let second = world.beside().await;
        asked::swapped(&world, device).await;
        slow.abort();
        let connected = async {
            loop {
                let (_, of, fact) = world.facts.recv().await.unwrap();
                if of == device && matches!(fact, Fact::Connected { .. }) {
                    break;
                }
            }
        };
        // It is onboarded here, too.
        soon(connected).await;
        assert_eq!(credentials(&world, device).await, ["pending", "current"]);
        agent.stop().await;
        second.shutdown.cancel();
    }
}
