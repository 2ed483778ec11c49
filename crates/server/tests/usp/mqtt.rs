//! Agents over MQTT, through the broker inside: managed like those over WebSocket, in both versions; and nobody reaches
//! what is another's.

use std::net::SocketAddr;

use agent::{ControllerConfig, MemoryStorage, MqttConfig};
use bytes::Bytes;
use fleet::southbound::{Answer, ObjectSettings, Op, Setting};
use fleet::{Fact, NodeId, Notice, Timestamp};
use mtp::mqtt::{Connect, Packet, Pipe, Properties, Publish, Value, Version, code};
use mtp::stream::Stream;
use server::config::DeviceTls;
use server::state::now;
use store::testing::databases;
use store::{PathEnd, PathLink};
use usp::EndpointId;

use crate::mosquitto::free;
use crate::rig::{PATIENCE, Real, World, add_key, registered, until};
use crate::secure::Authority;

/// Runs a test on every database, with a broker.
async fn each<F: Future<Output = ()>>(test: impl Fn(World) -> F) {
    for db in databases().await.unwrap() {
        let world = World::with(db, |config, _| config.mqtt.listen = Some(free()));
        test(world.await).await;
    }
}

/// An agent that comes with the setup key, inside of a WebSocket where it can.
pub fn dial(world: &World, serial: &str, version: &str, session_mode: &str) -> Real {
    let there = world.mqtt.listeners().last().unwrap();
    let controller = ControllerConfig {
        endpoint_id: world.own.clone(),
        url: format!("{}://{}", there.scheme, there.addr),
        retry_min_wait: 1,
        mqtt: Some(MqttConfig {
            version: version.into(),
            username: format!("{}/setup", world.tenant),
            password: world.key.clone(),
            ..MqttConfig::default()
        }),
        session_mode: session_mode.into(),
        record_bytes_max: 512,
        ..ControllerConfig::default()
    };
    let configure = |config: &mut agent::AgentConfig| config.controllers = vec![controller];
    Real::run(serial, MemoryStorage::new(), configure).0
}

async fn managed(mut world: World, version: &str, session_mode: &str) {
    let agent = dial(&world, "M1", version, session_mode);
    world.connected().await;
    let device = world.onboarded(&agent.endpoint).await.device.id;
    // The setup key is swapped for a credential of its own, with which it comes back.
    let own = async || {
        let paths = world.store.path_list(&world.tenant, device).await.unwrap();
        assert_eq!(paths.len(), 1);
        assert_eq!(paths[0].transport, "mqtt");
        let ours = paths[0].has_current && paths[0].authenticated_by == "device_token";
        (ours && paths[0].connected_at.is_some()).then_some(())
    };
    until("it comes back with its own credential", own).await;
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
    // From now on the setup key opens it no more.
    let shared = enter(&world, Version::V5, "acme/setup", &world.key).await;
    assert_eq!(shared.err(), Some(code::NOT_AUTHORIZED));
    world.refused("readmit_needed").await;
}

#[tokio::test]
async fn an_agent_is_managed_over_mqtt_5_and_comes_back_after_a_restart_of_the_server() {
    each(|world| managed(world, "5.0", "Allow")).await;
}

#[tokio::test]
async fn an_agent_is_managed_over_mqtt_3_1_1_and_comes_back_after_a_restart_of_the_server() {
    each(|world| managed(world, "3.1.1", "Allow")).await;
}

#[tokio::test]
async fn an_agent_is_managed_over_mqtt_inside_of_a_websocket() {
    let database = store::testing::sqlite().await.unwrap();
    let world = World::with(database, |config, _| {
        config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.mqtt.ws_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    });
    managed(world.await, "5.0", "Allow").await;
}

/// Messages in pieces, through a broker that knows nothing of them.
#[tokio::test]
async fn an_agent_that_requires_session_contexts_is_managed_over_mqtt_too() {
    for version in ["5.0", "3.1.1"] {
        each(|world| managed(world, version, "Require")).await;
    }
}

#[tokio::test]
async fn a_device_comes_over_tls_with_nothing_but_its_certificate() {
    // R-MQTT.43, R-MQTT.48
    let dir = tempfile::tempdir().unwrap();
    let ca = Authority::new(dir.path(), "our-ca");
    let (own, shown) = (
        ca.issue("server", None, false),
        ca.issue("device", Some(VICTIM), false),
    );
    let client_ca = Some(ca.file.clone());
    let mut world = World::with(store::testing::sqlite().await.unwrap(), |config, _| {
        config.mqtt.tls_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.mqtt.tls = Some(DeviceTls {
            certificate: own.certificate,
            key: own.key,
            client_ca,
        });
    })
    .await;
    let device = registered(&world, VICTIM).await;
    let controller = ControllerConfig {
        endpoint_id: world.own.clone(),
        url: format!("mqtts://{}", world.mqtt.tls.unwrap()),
        retry_min_wait: 1,
        mqtt: Some(MqttConfig {
            username: format!("{}/{device}", world.tenant),
            ..MqttConfig::default()
        }),
        ..ControllerConfig::default()
    };
    let (agent, _) = Real::run("M1", MemoryStorage::new(), |config| {
        config.tls.ca_file = Some(ca.file.clone());
        config.tls.certificate = Some(shown.certificate);
        config.tls.key = Some(shown.key);
        config.controllers = vec![controller];
    });
    world.connected().await;
    let path = world.store.path(&world.tenant, device, "mqtt").await;
    let path = path.unwrap().unwrap();
    assert_eq!(path.authenticated_by, "certificate");
    assert_eq!(path.info["tls"], true);
    agent.stop().await;
}

#[tokio::test]
async fn the_doctor_shows_where_the_broker_listens_and_that_only_this_machine_reaches_it() {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = crate::api_world::World::with(database, |config| {
        config.usp.listen = None;
        config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.mqtt.tls_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    })
    .await;
    world.populate().await;
    let page = world.read("/api/v1/doctor").await;
    let findings = page["findings"].as_array().unwrap().iter();
    let codes: Vec<&str> = findings.filter_map(|one| one["code"].as_str()).collect();
    for code in ["mqtt-listener", "mqtt-listener-local", "mqtt-certificate"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    assert!(!codes.contains(&"no-device-listener"), "{codes:?}");
    let body = serde_json::json!({"name": "van"});
    let made = world.post("/api/v1/setup-keys", body).await;
    let made: serde_json::Value = made.json().await.unwrap();
    let access = &made["mqtt"];
    assert_eq!(access["username"], "default/setup", "{made}");
    assert_eq!(access["agent_topic"], "usp/default/agent/ENDPOINT");
    assert_eq!(
        access["controller_topic"],
        "usp/default/controller/ENDPOINT"
    );
    let first = access["urls"][0].as_str().unwrap();
    assert!(first.starts_with("mqtts://127.0.0.1:"), "{access}");
    let controller = ControllerConfig {
        endpoint_id: world.endpoint.clone(),
        url: access["urls"][1].as_str().unwrap().to_owned(),
        retry_min_wait: 1,
        mqtt: Some(MqttConfig {
            username: "default/setup".into(),
            password: made["secret"].as_str().unwrap().to_owned(),
            ..MqttConfig::default()
        }),
        ..ControllerConfig::default()
    };
    let configure = |config: &mut agent::AgentConfig| config.controllers = vec![controller];
    let (agent, _) = Real::run("M1", MemoryStorage::new(), configure);
    let reach = until("it has its own credential", async || {
        let page = world.read("/api/v1/devices").await;
        let id = page["items"][0]["id"].as_str()?.to_owned();
        let reach = world.read(&format!("/api/v1/devices/{id}/reach")).await;
        (reach["paths"][0]["credential"] == "its own credential").then_some(reach)
    })
    .await;
    let path = &reach["paths"][0];
    assert_eq!(
        (path["protocol"].as_str(), path["transport"].as_str()),
        (Some("usp"), Some("mqtt")),
        "{reach}"
    );
    assert_eq!(
        path["methods"],
        serde_json::json!([{"method": "link", "address": null, "problem": null}])
    );
    agent.stop().await;
    let system = world.read("/api/v1/system").await.to_string();
    assert!(system.contains("mqtt://127.0.0.1:"), "{system}");
    assert!(system.contains("mqtts://127.0.0.1:"), "{system}");
}

/// The connect record of that device, in MQTT 3.1.1.
fn said(world: &World, agent: &str, hello: usp::record::MqttConnectRecord) -> Packet {
    let own = EndpointId::parse(&world.own).unwrap();
    let victim = EndpointId::parse(VICTIM).unwrap();
    let hello = usp::Record::new(usp::Version::V1_0, &victim, &own, hello);
    let (topic, properties) =
        mtp::mqtt::addressed(Version::V311, "usp/acme/controller/os::00256D-M1", agent);
    Packet::Publish(Publish {
        qos: 1,
        id: 2,
        topic,
        properties,
        payload: Bytes::from(usp::codec::encode_record(&hello)),
        ..Publish::default()
    })
}

/// A client of MQTT 3.1.1 with this keep-alive, of a device that announces itself and says nothing more.
async fn quiet(world: &World, keep_alive: u16) -> Pipe {
    let connect = Connect {
        version: Version::V311,
        clean: true,
        keep_alive,
        client_id: VICTIM.into(),
        username: Some("acme/setup".into()),
        password: Some(Bytes::copy_from_slice(world.key.as_bytes())),
        ..Connect::default()
    };
    let mut pipe = connect_with(world, connect).await.unwrap();
    let agent = "usp/acme/agent/os::00256D-M1";
    pipe.enqueue(&Packet::Subscribe(1, vec![(format!("{agent}/#"), 1)]));
    assert_eq!(answer(&mut pipe).await, Some(Packet::SubAck(1, vec![1])));
    let hello = usp::record::MqttConnectRecord {
        subscribed_topic: agent.into(),
        ..Default::default()
    };
    pipe.enqueue(&said(world, agent, hello));
    assert_eq!(answer(&mut pipe).await, Some(Packet::PubAck(2, 0)));
    pipe
}

/// Its device need not answer: that its client acknowledges the question shows that the connection lives.
#[tokio::test]
async fn a_client_of_mqtt_3_1_1_that_is_quiet_for_long_is_asked_and_is_heard_then() {
    let database = store::testing::sqlite().await.unwrap();
    let world = World::with(database, |config, _| {
        config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.presence.silent_after_seconds = 2;
    })
    .await;
    let mut pipe = quiet(&world, 600).await;
    let device = world.device(VICTIM).await;
    for _ in 0..2 {
        let asked = loop {
            let Some(Packet::Publish(publish)) = answer(&mut pipe).await else {
                panic!("it is sent something else");
            };
            let at = now();
            pipe.enqueue(&Packet::PubAck(publish.id, 0));
            let question = String::from_utf8_lossy(&publish.payload);
            if question.contains("Device.LocalAgent.EndpointID") {
                break at;
            }
        };
        pipe.flush().await.unwrap();
        until("it was heard", async || {
            let record = world.store.device(&world.tenant, device).await.unwrap();
            let asked = asked.minus(std::time::Duration::from_millis(100));
            (record.device.evidence.heard_at > Some(asked)).then_some(())
        })
        .await;
    }
    world.shutdown.cancel();
}

#[tokio::test]
async fn a_client_of_mqtt_5_is_told_to_ping_before_it_counts_as_silent() {
    let database = store::testing::sqlite().await.unwrap();
    let world = World::with(database, |config, _| {
        config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.presence.silent_after_seconds = 30;
    })
    .await;
    let tcp = tokio::net::TcpStream::connect(world.mqtt.plain.unwrap()).await;
    let mut pipe = Pipe::new(Stream::Plain(tcp.unwrap()), Version::V5, 64 * 1024);
    let connect = Connect {
        version: Version::V5,
        clean: true,
        keep_alive: 120,
        client_id: VICTIM.into(),
        username: Some("acme/setup".into()),
        password: Some(Bytes::copy_from_slice(world.key.as_bytes())),
        ..Connect::default()
    };
    pipe.enqueue(&Packet::Connect(Box::new(connect)));
    let Some(Packet::ConnAck(ack)) = answer(&mut pipe).await else {
        panic!("no CONNACK");
    };
    let keep_alive = mtp::mqtt::property::id::SERVER_KEEP_ALIVE;
    assert_eq!(ack.properties.number(keep_alive), Some(15));
}

/// A client of MQTT 3.1.1 says itself how long it may be silent, or that it may for ever.
#[tokio::test]
async fn a_link_over_mqtt_3_1_1_is_there_in_silence_for_as_long_as_it_is_open() {
    for keep_alive in [0, 600] {
        let database = store::testing::sqlite().await.unwrap();
        let world = World::with(database, |config, _| {
            config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            config.presence.silent_after_seconds = 1;
        })
        .await;
        let _pipe = quiet(&world, keep_alive).await;
        let device = world.device(VICTIM).await;
        let (store, tenant) = (&world.store, &world.tenant);
        let path = async || store.path(tenant, device, "mqtt").await.unwrap().unwrap();
        let held_since = async |since: Option<Timestamp>| {
            until("its server says that it holds it", async || {
                let record = store.device(tenant, device).await.unwrap();
                let held = path().await.heard_at;
                let heard = record.device.evidence.heard_at.max(since);
                held.filter(|held| Some(*held) > heard)
            })
            .await
        };
        let held = held_since(None).await;
        let lapse = async |since| store.path_lapse(tenant, since, now(), 10).await.unwrap();
        assert!(lapse(held).await.is_empty());
        // Another one did not know better.
        let far = now().plus(std::time::Duration::from_secs(60));
        assert_eq!(lapse(far).await, [device]);
        until("it is taken back", async || path().await.node).await;
        held_since(path().await.connected_at).await;
        world.shutdown.cancel();
    }
}

/// Nothing says that the connection is dead: with this keep-alive nobody looks.
#[tokio::test]
async fn a_silent_link_is_over_where_it_is_held_once_its_device_has_come_to_another_server() {
    for left in [false, true] {
        let database = store::testing::sqlite().await.unwrap();
        let world = World::with(database, |config, _| {
            config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            config.presence.silent_after_seconds = 1;
        })
        .await;
        let mut pipe = quiet(&world, 0).await;
        let device = world.device(VICTIM).await;
        let (store, tenant) = (&world.store, &world.tenant);
        let path = async || store.path(tenant, device, "mqtt").await.unwrap().unwrap();
        let elsewhere = PathLink {
            transport: "mqtt".to_owned(),
            endpoint_id: VICTIM.to_owned(),
            node: NodeId::parse("elsewhere").unwrap(),
            peer: "192.0.2.7:1234".to_owned(),
            authenticated_by: "setup_key".to_owned(),
            setup_key: None,
            info: serde_json::json!({}),
            at: now(),
        };
        let link = store.path_connected(tenant, device, elsewhere, vec![]);
        let link = link.await.unwrap();
        if left {
            let end = PathEnd {
                transport: "mqtt".to_owned(),
                link,
                reason: "closed".to_owned(),
                at: now(),
                back_by: None,
            };
            let ended = store.path_disconnected(tenant, device, end, vec![]);
            assert!(ended.await.unwrap());
        }
        // It is asked things until then. Whoever ends it has written down all there is to write.
        while answer(&mut pipe).await.is_some() {}
        let path = path().await;
        assert_eq!((path.link, path.node.is_none()), (link, left));
        world.shutdown.cancel();
    }
}

/// What it was sent to, it would never have heard.
#[tokio::test]
async fn a_device_is_asked_nothing_until_it_is_subscribed_to_where_it_is_asked() {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config, limits| {
        config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        limits.connect_record_time = std::time::Duration::from_millis(50);
    })
    .await;
    let mut pipe = enter(&world, Version::V311, "acme/setup", &world.key).await;
    let pipe = pipe.as_mut().unwrap();
    let agent = "usp/acme/agent/os::00256D-M1";
    // Without what is below, where records of MQTT 3.1.1 go.
    pipe.enqueue(&Packet::Subscribe(1, vec![(agent.into(), 1)]));
    assert_eq!(answer(pipe).await, Some(Packet::SubAck(1, vec![1])));
    let hello = usp::record::MqttConnectRecord {
        subscribed_topic: agent.into(),
        ..Default::default()
    };
    pipe.enqueue(&said(&world, agent, hello));
    assert_eq!(answer(pipe).await, Some(Packet::PubAck(2, 0)));
    world.refused("not-subscribed").await;
    let device = world.device(VICTIM).await;
    let get = || Op::Get {
        paths: vec!["Device.DeviceInfo.SerialNumber".into()],
        max_depth: 0,
    };
    let unsent = world.ask(device, get()).await;
    let failed = matches!(unsent, Err(fleet::southbound::Failure::Unsent { .. }));
    assert!(failed, "{unsent:?}");
    // Then it is, and is asked who it is.
    pipe.enqueue(&Packet::Subscribe(3, vec![(format!("{agent}/#"), 1)]));
    assert_eq!(answer(pipe).await, Some(Packet::SubAck(3, vec![1])));
    let asked = answer(pipe).await;
    assert!(matches!(asked, Some(Packet::Publish(_))), "{asked:?}");
}

/// Nobody waits for the answer to what cannot be sent, and what can be sent still is.
#[tokio::test]
async fn what_is_too_large_for_a_device_fails_at_once_and_says_so() {
    const MAX: u32 = 2000;
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config, _| {
        config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    })
    .await;
    let property = mtp::mqtt::property::id::MAXIMUM_PACKET_SIZE;
    let few = Properties::default().with(property, Value::U32(MAX));
    let pipe = enter_with(&world, Version::V5, "acme/setup", &world.key, few).await;
    let mut pipe = pipe.unwrap();
    let pipe = &mut pipe;
    let agent = "usp/acme/agent/os::00256D-M1";
    pipe.enqueue(&Packet::Subscribe(1, vec![(agent.into(), 0)]));
    assert_eq!(answer(pipe).await, Some(Packet::SubAck(1, vec![0])));
    let hello = usp::record::MqttConnectRecord {
        subscribed_topic: agent.into(),
        ..Default::default()
    };
    let own = EndpointId::parse(&world.own).unwrap();
    let device = EndpointId::parse(VICTIM).unwrap();
    let hello = usp::Record::new(usp::Version::V1_4, &device, &own, hello);
    let (topic, properties) =
        mtp::mqtt::addressed(Version::V5, "usp/acme/controller/os::00256D-M1", agent);
    pipe.enqueue(&Packet::Publish(Publish {
        topic,
        properties,
        payload: Bytes::from(usp::codec::encode_record(&hello)),
        ..Publish::default()
    }));
    // It is asked who it is, and never says.
    let asked = answer(pipe).await;
    assert!(matches!(asked, Some(Packet::Publish(_))), "{asked:?}");
    let device = world.device(VICTIM).await;
    let set = |bytes: usize| Op::Set {
        objects: vec![ObjectSettings {
            object: "Device.DeviceInfo.".into(),
            settings: vec![Setting {
                name: "ProvisioningCode".into(),
                value: "x".repeat(bytes),
                required: true,
            }],
        }],
        allow_partial: false,
    };
    // Its time limit is far away.
    let large = world.ask_within(device, set(MAX as usize), 10 * PATIENCE);
    let failed = large.await.unwrap_err();
    let fleet::southbound::Failure::Impossible { reason } = &failed else {
        panic!("{failed:?}");
    };
    assert!(reason.contains("takes 2000"), "{reason}");
    world.refused("record-too-large-for-device").await;
    world.submit(device, set(10));
    let small = async {
        loop {
            let Some(Packet::Publish(publish)) = answer(pipe).await else {
                panic!("the link is gone");
            };
            let record = usp::codec::decode_record(&publish.payload).unwrap();
            if let usp::record::RecordType::NoSessionContext(content) = record.record_type
                && String::from_utf8_lossy(&content.payload).contains("ProvisioningCode")
            {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, small)
        .await
        .expect("it comes");
}

/// A client that writes packets by hand, let in with this user name and password.
async fn enter(world: &World, version: Version, user: &str, key: &str) -> Result<Pipe, u8> {
    enter_with(world, version, user, key, Properties::default()).await
}

/// The same, with properties.
async fn enter_with(
    world: &World,
    version: Version,
    user: &str,
    key: &str,
    properties: Properties,
) -> Result<Pipe, u8> {
    let connect = Connect {
        version,
        clean: true,
        client_id: VICTIM.into(),
        username: Some(user.into()),
        password: Some(Bytes::copy_from_slice(key.as_bytes())),
        properties,
        ..Connect::default()
    };
    connect_with(world, connect).await
}

async fn connect_with(world: &World, connect: Connect) -> Result<Pipe, u8> {
    let tcp = tokio::net::TcpStream::connect(world.mqtt.plain.unwrap()).await;
    let mut pipe = Pipe::new(Stream::Plain(tcp.unwrap()), connect.version, 64 * 1024);
    pipe.enqueue(&Packet::Connect(Box::new(connect)));
    match answer(&mut pipe).await {
        Some(Packet::ConnAck(ack)) if ack.code == 0 => Ok(pipe),
        Some(Packet::ConnAck(ack)) => Err(ack.code),
        other => panic!("{other:?}"),
    }
}

async fn answer(pipe: &mut Pipe) -> Option<Packet> {
    let talk = async {
        pipe.flush().await.ok()?;
        pipe.packet().await.ok()
    };
    tokio::time::timeout(PATIENCE, talk)
        .await
        .expect("no answer")
}

const VICTIM: &str = "os::00256D-M1";

async fn apart(mut world: World, version: Version) {
    let five = version == Version::V5;
    let agent = dial(&world, "M1", if five { "5.0" } else { "3.1.1" }, "Allow");
    world.connected().await;
    let device = world.onboarded(&agent.endpoint).await.device.id;
    assert_eq!(agent.endpoint, VICTIM);
    let other = fleet::TenantId::parse("other").unwrap();
    let record = store::TenantRecord {
        id: other.clone(),
        name: "Other".into(),
        created_at: now(),
        disabled_at: None,
    };
    world.store.tenant_insert(record, vec![]).await.unwrap();
    let id = fleet::SetupKeyId::new(now(), server::secret::id_bits());
    let key = add_key(&world.store, &other, id, None).await;
    // It comes in nowhere but at its own tenant's.
    let refused = if five { code::BAD_CREDENTIAL } else { 4 };
    for user in ["acme/setup", &format!("acme/{device}"), "setup", "other"] {
        let entered = enter(&world, version, user, &key).await;
        assert_eq!(entered.err(), Some(refused), "{user}");
    }
    // With the victim's endpoint id it is a device of its own tenant.
    let mut pipe = enter(&world, version, "other/setup", &key).await.unwrap();
    let filters = [
        "#",
        "usp/#",
        "usp/acme/#",
        "usp/+/agent/os::00256D-M1",
        "usp/acme/agent/os::00256D-M1",
        "usp/acme/controller/os::00256D-M1",
    ];
    let wanted = filters.map(|filter| (filter.to_owned(), 1)).to_vec();
    pipe.enqueue(&Packet::Subscribe(1, wanted));
    let no = if five { code::NOT_AUTHORIZED } else { 0x80 };
    let told = answer(&mut pipe).await;
    assert_eq!(told, Some(Packet::SubAck(1, vec![no; filters.len()])));
    // In the victim's name, to where it publishes, and to where it listens.
    let leave = usp::record::DisconnectRecord::new(usp::ErrorCode(0), "forged");
    let own = EndpointId::parse(&world.own).unwrap();
    let victim = EndpointId::parse(VICTIM).unwrap();
    let forged = usp::Record::new(usp::Version::V1_0, &victim, &own, leave);
    let forged = Bytes::from(usp::codec::encode_record(&forged));
    for topic in [
        "usp/acme/controller/os::00256D-M1",
        "usp/acme/agent/os::00256D-M1",
    ] {
        pipe.enqueue(&Packet::Publish(Publish {
            qos: 1,
            id: 2,
            topic: topic.into(),
            payload: forged.clone(),
            ..Publish::default()
        }));
        let code = if five { code::NOT_AUTHORIZED } else { 0 };
        assert_eq!(answer(&mut pipe).await, Some(Packet::PubAck(2, code)));
    }
    // And not by way of the controller.
    let victims = "usp/acme/agent/os::00256D-M1";
    let (topic, properties) =
        mtp::mqtt::addressed(version, "usp/other/controller/os::00256D-M1", victims);
    pipe.enqueue(&Packet::Publish(Publish {
        qos: 1,
        id: 3,
        topic,
        properties,
        payload: forged,
        ..Publish::default()
    }));
    let code = if five { code::NOT_AUTHORIZED } else { 0 };
    assert_eq!(answer(&mut pipe).await, Some(Packet::PubAck(3, code)));
    // The victim is where it was, and answers.
    let get = Op::Get {
        paths: vec!["Device.DeviceInfo.SerialNumber".into()],
        max_depth: 0,
    };
    let answered = world.ask(device, get).await;
    assert!(matches!(answered, Ok(Answer::Values(_))), "{answered:?}");
    // Who tried is told, to whom it concerns.
    for reason in ["wrong-topic", "wrong-reply-topic"] {
        until(reason, async || {
            let since = fleet::Timestamp::default();
            let found = world.store.refusal_list(Some(&other), since, 100).await;
            let mut found = found.unwrap().into_iter();
            found.find(|one| one.last.reason == reason && one.last.endpoint_id == VICTIM)
        })
        .await;
    }
    let since = fleet::Timestamp::default();
    let ours = world.store.refusal_list(Some(&world.tenant), since, 100);
    let ours = ours.await.unwrap();
    let wrong = ours.iter().any(|one| one.last.reason.starts_with("wrong"));
    assert!(!wrong, "{ours:?}");
    world.refused("unknown_credential").await;
    world.refused("bare-username").await;
    agent.stop().await;
}

#[tokio::test]
async fn a_tenants_credential_reaches_nothing_of_another_over_mqtt_5() {
    each(|world| apart(world, Version::V5)).await;
}

#[tokio::test]
async fn a_tenants_credential_reaches_nothing_of_another_over_mqtt_3_1_1() {
    each(|world| apart(world, Version::V311)).await;
}

#[tokio::test]
async fn a_setup_key_is_counted_together_whatever_devices_come_over() {
    let database = store::testing::sqlite().await.unwrap();
    let world = World::with(database, |config, limits| {
        config.mqtt.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        (limits.setup_key_burst, limits.setup_key_per_second) = (1.0, 0.001);
    })
    .await;
    let url = world.url(&world.key);
    let first = crate::puppet::Puppet::dial(&url, "os::00256D-M2", &world.own);
    assert!(first.await.is_ok());
    let second = enter(&world, Version::V5, "acme/setup", &world.key).await;
    assert!(second.is_err());
    world.refused("setup_key_limited").await;
}

#[tokio::test]
async fn a_device_with_a_credential_of_its_own_is_not_opened_by_the_setup_key_on_another_way_in() {
    each(|world| async move {
        let token = crate::admission::give_token(&world, VICTIM).await;
        let own = enter(&world, Version::V5, "acme/anything", &token).await;
        assert!(own.is_ok());
        let key = world.key.clone();
        let shared = enter(&world, Version::V5, "acme/setup", &key).await;
        assert_eq!(shared.err(), Some(code::NOT_AUTHORIZED));
    })
    .await;
}
