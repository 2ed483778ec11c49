//! A broker that breaks off while devices behind it are asked things: nothing that was acknowledged is lost, and nothing
//! is done twice.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::OperationState;
use fleet::operation::Request;
use fleet::southbound::{Answer, Op, PathValue};
use store::testing::databases;

use crate::external::{M1, agent, mosquitto, to};
use crate::rig::World;
use crate::shared::{dispatch, ended, stored};

const TABLE: &str = "Device.WiFi.SSID.";

/// How many rows its table has.
async fn rows(world: &mut World, device: fleet::DeviceId) -> usize {
    let get = || Op::Get {
        paths: vec![format!("{TABLE}*.SSID")],
        max_depth: 0,
    };
    let end = tokio::time::Instant::now() + crate::rig::PATIENCE;
    loop {
        match world.ask(device, get()).await {
            Ok(Answer::Values(read)) => {
                return read.into_iter().flat_map(|one| one.result.unwrap()).count();
            }
            other => assert!(tokio::time::Instant::now() < end, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_under_way_when_a_broker_is_killed_is_done_once_or_said_to_be_unconfirmed() {
    for db in databases().await.unwrap() {
        let mut broker = mosquitto().await;
        let brokers = to(&broker, "");
        let mut world = World::with(db, |config, limits| {
            config.usp.brokers = brokers;
            limits.broker_retry_min = Duration::from_millis(100);
        })
        .await;
        let real = agent(&world, &broker, "5.0", "M1", M1);
        let device = world.onboarded(&real.endpoint).await.device.id;
        let before = rows(&mut world, device).await;
        let running = dispatch(&mut world, "one");
        let (mut added, mut unconfirmed) = (0, 0);
        for (round, wait) in [0, 5, 15, 30].into_iter().enumerate() {
            let name = format!("round {round}");
            let add = Request::Add {
                object: TABLE.into(),
                values: BTreeMap::from([("SSID".into(), name.clone())]),
            };
            let set = Request::Set {
                values: vec![PathValue::new("Device.WiFi.SSID.1.SSID", &name)],
                allow_partial: false,
            };
            let add = stored(&world, device, add).await;
            let set = stored(&world, device, set).await;
            running.handle.wake(device);
            tokio::time::sleep(Duration::from_millis(wait)).await;
            broker.kill();
            broker.again().await;
            let add = ended(&world, device, &running.handle, add).await;
            match add.state {
                OperationState::Succeeded => added += 1,
                OperationState::Unconfirmed => unconfirmed += 1,
                other => panic!("{other:?}: {:?}", add.outcome),
            }
            // What may be sent again is.
            let set = ended(&world, device, &running.handle, set).await;
            assert_eq!(set.state, OperationState::Succeeded, "{:?}", set.outcome);
        }
        let table = Request::Get {
            paths: vec![format!("{TABLE}*.SSID")],
            max_depth: 0,
        };
        let table = stored(&world, device, table).await;
        let table = ended(&world, device, &running.handle, table).await;
        assert_eq!(table.state, OperationState::Succeeded);
        let now = table.outcome.after.len();
        let most = before + added + unconfirmed;
        assert!(
            (before + added..=most).contains(&now),
            "{before} {added} {unconfirmed} {now}"
        );
        real.stop().await;
        world.shutdown.cancel();
    }
}
