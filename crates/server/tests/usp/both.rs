//! One RabbitMQ that asks, with devices over MQTT and over STOMP: an entry of the configuration for each, with topics
//! of its own.

use std::net::SocketAddr;

use agent::{ControllerConfig, MemoryStorage, StompConfig};
use fleet::Timestamp;
use fleet::southbound::{Answer, ObjectSettings, Op, Setting};
use serde_json::json;
use store::testing::{TestDatabase, databases, sqlite};

use crate::asked::{Asks, SECRET, agent, other, rabbitmq};
use crate::mosquitto::free;
use crate::rabbitmq::RabbitMq;
use crate::rig::{Real, World, secret_file, until};

const M1: &str = "os::00256D-M1";
const M2: &str = "os::00256D-M2";

/// An entry of the configuration for this protocol.
fn entry(protocol: &str, port: u16, prefix: &str) -> String {
    let password = secret_file("ours");
    format!(
        "[[usp.brokers]]\nname = \"rabbit-{protocol}\"\nurl = \"{protocol}://127.0.0.1:{port}\"\nversion = \"3.1.1\"\n\
         username = \"headend\"\npassword_file = {password:?}\nasks = true\ntenants = [\"acme\", \"other\"]\n\
         topic_prefix = \"{prefix}\"\n"
    )
}

fn both(mqtt: u16, stomp: u16) -> String {
    entry("mqtt", mqtt, "usp") + &entry("stomp", stomp, "stomp")
}

/// A server that is asked there, with these entries.
async fn world(db: TestDatabase, asks: SocketAddr, entries: &str) -> World {
    let secret = secret_file(SECRET);
    let listen = format!("[broker_auth]\nlisten = \"{asks}\"\nsecret_file = {secret:?}\n");
    let given = server::Config::parse(&(listen + entries)).unwrap();
    World::with(db, |config, _| {
        config.broker_auth = given.broker_auth;
        config.usp.brokers = given.usp.brokers;
    })
    .await
}

async fn connected(world: &World) {
    until("it is connected over all of them", async || {
        let mut all = world.brokers.iter();
        all.all(|one| one.health().connected).then_some(())
    })
    .await;
}

/// The device [`M2`], over STOMP, below the prefix of that.
fn over_stomp(world: &World, rabbit: &RabbitMq) -> Real {
    let at = |whose: &str| format!("/topic/stomp.acme.{whose}.{M2}");
    let controller = ControllerConfig {
        endpoint_id: world.own.clone(),
        url: format!("stomp://127.0.0.1:{}", rabbit.stomp),
        retry_min_wait: 1,
        stomp: Some(StompConfig {
            username: format!("acme/setup/{M2}"),
            password: world.key.clone(),
            virtual_host: "/".into(),
            destination: at("controller"),
            own_destination: at("agent"),
        }),
        ..ControllerConfig::default()
    };
    let configure = |config: &mut agent::AgentConfig| config.controllers = vec![controller];
    Real::run("M2", MemoryStorage::new(), configure).0
}

#[tokio::test]
async fn at_one_rabbitmq_that_asks_devices_over_mqtt_and_over_stomp_are_managed_and_blamed_for_nothing()
 {
    for db in databases().await.unwrap() {
        let asks = free();
        let rabbit = rabbitmq(asks);
        let mut world = world(db, asks, &both(rabbit.mqtt, rabbit.stomp)).await;
        connected(&world).await;
        let agents = [
            ("mqtt", "M1", agent(&world, rabbit.mqtt)),
            ("stomp", "M2", over_stomp(&world, &rabbit)),
        ];
        for (transport, serial, agent) in &agents {
            let device = world.onboarded(&agent.endpoint).await.device.id;
            until("it comes back with its own credential", async || {
                let path = world.store.path(&world.tenant, device, transport).await;
                path.unwrap()
                    .filter(|path| path.has_current && path.connected_at.is_some())
            })
            .await;
            world.reads_soon(device, serial).await;
            let set = Op::Set {
                objects: vec![ObjectSettings {
                    object: "Device.WiFi.SSID.1.".into(),
                    settings: vec![Setting {
                        name: "SSID".into(),
                        value: "one of two".into(),
                        required: true,
                    }],
                }],
                allow_partial: false,
            };
            let set = world.ask(device, set).await;
            assert!(matches!(set, Ok(Answer::Set(_))), "{set:?}");
            // It is known over its own transport, and no other.
            let paths = world.store.path_list(&world.tenant, device).await.unwrap();
            let over: Vec<&str> = paths.iter().map(|path| path.transport.as_str()).collect();
            assert_eq!(over, [*transport]);
        }
        assert_eq!(world.reasons().await, Vec::<String>::new());
        for (.., agent) in agents {
            agent.stop().await;
        }
    }
}

#[tokio::test]
async fn a_device_has_its_own_topics_below_each_prefix_and_nothing_of_another() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asks = free();
    // Nobody is there.
    let world = world(sqlite().await.unwrap(), asks, &both(9, 9)).await;
    let (_, key) = other(&world).await;
    let ask = Asks::at(asks);
    for (user, key) in [
        (format!("acme/setup/{M1}"), &world.key),
        (format!("other/setup/{M2}"), &key),
    ] {
        let come = json!({"username": user, "password": key});
        assert_eq!(ask.json("rabbitmq/user", "", come).await.1, "allow");
    }
    let user = format!("acme/setup/{M1}");
    let may = async |permission: &str, key: &str| {
        let body = json!({
            "username": user, "vhost": "/", "resource": "topic", "name": "amq.topic",
            "permission": permission, "routing_key": key,
        });
        ask.json("rabbitmq/topic", "", body).await.1
    };
    for prefix in ["usp", "stomp"] {
        let own = |whose: &str| format!("{prefix}.acme.{whose}.{M1}");
        assert_eq!(may("write", &own("controller")).await, "allow");
        assert_eq!(may("read", &own("agent")).await, "allow");
        assert_eq!(may("write", &own("agent")).await, "deny");
        assert_eq!(may("read", &own("controller")).await, "deny");
        for others in [
            format!("{prefix}.acme.agent.{M2}"),
            format!("{prefix}.acme.controller.{M2}"),
            format!("{prefix}.other.agent.{M1}"),
            format!("{prefix}.other.agent.{M2}"),
            format!("{prefix}.other.controller.{M2}"),
            format!("{prefix}.*.agent.{M1}"),
            format!("{prefix}.#"),
            format!("other.acme.agent.{M1}"),
            "#".to_owned(),
        ] {
            for permission in ["write", "read"] {
                assert_eq!(may(permission, &others).await, "deny", "{others}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_whose_prefixes_stand_below_one_another_does_not_start() {
    let asks = free();
    let mut world = world(sqlite().await.unwrap(), asks, &both(9, 9)).await;
    let entries = entry("mqtt", 9, "usp") + &entry("stomp", 9, "usp/acme");
    world.config.usp.brokers = server::Config::parse(&entries).unwrap().usp.brokers;
    let why = world.refuses_to_start().await;
    let named = why.contains("topic_prefix") && why.contains("usp/acme");
    assert!(named, "{why}");
}

#[tokio::test]
async fn a_device_over_mqtt_is_told_where_the_server_listens_over_stomp_alone() {
    let asks = free();
    let rabbit = rabbitmq(asks);
    let entries = entry("stomp", rabbit.stomp, "usp");
    let world = world(sqlite().await.unwrap(), asks, &entries).await;
    connected(&world).await;
    let agent = agent(&world, rabbit.mqtt);
    world.refused("mqtt-over-stomp").await;
    assert_eq!(world.reasons().await, ["mqtt-over-stomp"]);
    let since = Timestamp::default();
    let told = world.store.refusal_list(Some(&world.tenant), since, 10);
    let told = &told.await.unwrap()[0].last;
    let device = world.device(M1).await;
    assert_eq!(
        (told.endpoint_id.as_str(), told.source.as_str()),
        (M1, format!("device {device}").as_str())
    );
    agent.stop().await;
}
