//! Agents over MQTT, through the broker inside: managed like those over WebSocket, in both versions; and nobody reaches
//! what is another's.

use std::net::SocketAddr;

use agent::{ControllerConfig, MemoryStorage, MqttConfig};
use fleet::southbound::{Answer, ObjectSettings, Op, Setting};
use fleet::{Fact, Notice};
use store::testing::databases;

use crate::rig::{Real, World};

/// Runs a test on every database, with a broker.
async fn each<F: Future<Output = ()>>(test: impl Fn(World) -> F) {
    for db in databases().await.unwrap() {
        let world = World::with(db, |config, _| {
            config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        });
        test(world.await).await;
    }
}

/// An agent that comes with the setup key.
fn dial(world: &World, serial: &str, version: &str) -> Real {
    let controller = ControllerConfig {
        endpoint_id: world.own.clone(),
        url: format!("mqtt://{}", world.mqtt.plain.unwrap()),
        retry_min_wait: 1,
        mqtt: Some(MqttConfig {
            version: version.into(),
            username: format!("{}/setup", world.tenant),
            password: world.key.clone(),
            ..MqttConfig::default()
        }),
        ..ControllerConfig::default()
    };
    let configure = |config: &mut agent::AgentConfig| config.controllers = vec![controller];
    Real::run(serial, MemoryStorage::new(), configure).0
}

async fn managed(mut world: World, version: &str) {
    let agent = dial(&world, "M1", version);
    world.connected().await;
    let device = world.onboarded(&agent.endpoint).await.device.id;
    let get = || Op::Get {
        paths: vec!["Device.DeviceInfo.SerialNumber".into()],
        max_depth: 0,
    };
    let Ok(Answer::Values(read)) = world.ask(device, get()).await else {
        panic!("no values");
    };
    assert!(format!("{read:?}").contains("M1"), "{read:?}");
    let set = Op::Set {
        objects: vec![ObjectSettings {
            object: "Device.WiFi.SSID.1.".into(),
            settings: vec![Setting {
                name: "SSID".into(),
                value: "x".repeat(30),
                required: true,
            }],
        }],
        allow_partial: false,
    };
    let set = world.ask(device, set).await;
    assert!(matches!(set, Ok(Answer::Set(_))), "{set:?}");
    let operate = Op::Operate {
        command: "Device.Reboot()".into(),
        key: "reboot-1".into(),
        args: Default::default(),
    };
    world.ask(device, operate).await.unwrap();
    // A notification over the new connection: the link of before has ended by itself.
    world
        .fact("it tells that it started", |fact| match fact {
            Fact::Notified {
                notice: Notice::Boot(boot),
                ..
            } => Some(boot.clone()),
            _ => None,
        })
        .await;
    let paths = world.store.path_list(&world.tenant, device).await.unwrap();
    assert_eq!(paths.len(), 1);
    assert_eq!(paths[0].transport, "mqtt");
    world.restart().await;
    world.connected().await;
    assert!(world.ask(device, get()).await.is_ok());
    agent.stop().await;
    world
        .fact("it is gone", |fact| {
            matches!(fact, Fact::Disconnected { .. }).then_some(())
        })
        .await;
    assert_eq!(world.reasons().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_agent_is_managed_over_mqtt_5_and_comes_back_after_a_restart_of_the_server() {
    each(|world| managed(world, "5.0")).await;
}

#[tokio::test]
async fn an_agent_is_managed_over_mqtt_3_1_1_and_comes_back_after_a_restart_of_the_server() {
    each(|world| managed(world, "3.1.1")).await;
}
