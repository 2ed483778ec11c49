//! A broker that breaks off while devices behind it are asked things: nothing that was acknowledged is lost, and nothing
//! is done twice.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::operation::Request;
use fleet::southbound::PathValue;
use fleet::{DeviceId, OperationState};
use server::dispatch::Handle;
use store::testing::databases;

use crate::external::{M1, agent_at, mosquitto, to};
use crate::rig::World;
use crate::shared::{dispatch, ended, stored};
use crate::wire::{By, Fate, Wire};

const TABLE: &str = "Device.WiFi.SSID.";

/// How many rows its table has.
async fn rows(world: &World, device: DeviceId, handle: &Handle) -> usize {
    let get = Request::Get {
        paths: vec![format!("{TABLE}*.SSID")],
        max_depth: 0,
    };
    let get = stored(world, device, get).await;
    let get = ended(world, device, handle, get).await;
    assert_eq!(get.state, OperationState::Succeeded, "{:?}", get.outcome);
    get.outcome.after.len()
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
        // It hears that the device has connected.
        let running = dispatch(&mut world, "one");
        let wire = Wire::start(&broker.addr.to_string()).await;
        let real = agent_at(&world, &wire.address, "5.0", "M1", M1);
        let device = world.onboarded(&real.endpoint).await.device.id;
        let before = rows(&world, device, &running.handle).await;
        let (mut added, mut unconfirmed) = (0, 0);
        // The broker is killed on what it has on its way to the device, or when the device has answered it.
        for (round, (met, fate)) in [
            ("add", Fate::Lost),
            ("add", Fate::Unanswered),
            ("set", Fate::Lost),
            ("set", Fate::Unanswered),
        ]
        .into_iter()
        .enumerate()
        {
            let name = |kind: &str| format!("{kind}-{round}");
            let add = Request::Add {
                object: TABLE.into(),
                values: BTreeMap::from([("SSID".into(), name("add"))]),
            };
            let set = Request::Set {
                values: vec![PathValue::new("Device.WiFi.SSID.1.SSID", name("set"))],
                allow_partial: false,
            };
            let under_way = wire.meet(By::Server, &name(met), fate);
            let add = stored(&world, device, add).await;
            let set = stored(&world, device, set).await;
            let woken = async {
                loop {
                    running.handle.wake(device);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::select! {
                () = under_way => {}
                () = woken => {}
            }
            broker.kill();
            broker.again().await;
            let add = ended(&world, device, &running.handle, add).await;
            match add.state {
                OperationState::Succeeded => added += 1,
                OperationState::Unconfirmed if met == "add" => unconfirmed += 1,
                // It never came to the device, whose table shows that.
                OperationState::Failed if (met, fate) == ("add", Fate::Lost) => {}
                other => panic!("{met} {fate:?}: {other:?}: {:?}", add.outcome),
            }
            // What may be sent again is.
            let set = ended(&world, device, &running.handle, set).await;
            assert_eq!(set.state, OperationState::Succeeded, "{:?}", set.outcome);
        }
        let now = rows(&world, device, &running.handle).await;
        let most = before + added + unconfirmed;
        assert!(
            (before + added..=most).contains(&now),
            "{before} {added} {unconfirmed} {now}"
        );
        real.stop().await;
        world.shutdown.cancel();
    }
}
