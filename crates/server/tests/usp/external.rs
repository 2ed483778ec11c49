//! Agents behind a broker of somebody else, a real Mosquitto: managed like all others, and nobody reaches what is
//! another's.

use std::time::Duration;

use agent::{ControllerConfig, MemoryStorage, MqttConfig};
use bytes::Bytes;
use fleet::southbound::{Answer, ObjectSettings, Op, Setting};
use fleet::{Fact, Notice};
use mtp::limits::{MQTT_PROPERTIES_MAX, MQTT_TEXT_BYTES_MAX, RECORD_BYTES_MAX};
use mtp::mqtt::{Connect, DialConfig, DialError, Packet, Pipe, Properties, Publish, Version, dial};
use mtp::stream::Stream;
use server::config::{Broker, Tenants};
use server::state::now;
use store::testing::{databases, sqlite};
use usp::EndpointId;

use crate::mosquitto::Mosquitto;
use crate::rig::{PATIENCE, Real, World, get, secret_file, until};

pub const US: (&str, &str) = ("headend", "ours");
pub const M1: (&str, &str) = ("acme/m1", "one");
pub const M2: (&str, &str) = ("other/m2", "two");

/// What the documentation says of access: each device its own two topics, the server all of them.
pub const ACL: &str = "\
user headend
topic read usp/+/controller/+/#
topic write usp/+/agent/+/#
user acme/m1
topic write usp/acme/controller/os::00256D-M1/#
topic read usp/acme/agent/os::00256D-M1/#
user other/m2
topic write usp/other/controller/os::00256D-M2/#
topic read usp/other/agent/os::00256D-M2/#
";

pub async fn mosquitto() -> Mosquitto {
    Mosquitto::start(&[US, M1, M2], ACL).await
}

/// The configuration of a server for this broker.
pub fn to(broker: &Mosquitto, more: &str) -> Vec<Broker> {
    let file = secret_file("ours\n");
    let text = format!(
        "[[usp.brokers]]\nname = \"north\"\nurl = \"mqtt://{}\"\nusername = \"headend\"\n\
         password_file = {file:?}\nregisters = true\ntenants = [\"acme\", \"other\"]\n{more}\n",
        broker.addr
    );
    server::Config::parse(&text).unwrap().usp.brokers
}

pub fn agent(
    world: &World,
    broker: &Mosquitto,
    version: &str,
    serial: &str,
    who: (&str, &str),
) -> Real {
    agent_at(world, &broker.addr.to_string(), version, serial, who)
}

/// The same at this address.
pub fn agent_at(
    world: &World,
    address: &str,
    version: &str,
    serial: &str,
    who: (&str, &str),
) -> Real {
    let controller = ControllerConfig {
        endpoint_id: world.own.clone(),
        url: format!("mqtt://{address}"),
        retry_min_wait: 1,
        mqtt: Some(MqttConfig {
            version: version.into(),
            username: who.0.into(),
            password: who.1.into(),
            ..MqttConfig::default()
        }),
        ..ControllerConfig::default()
    };
    let configure = |config: &mut agent::AgentConfig| config.controllers = vec![controller];
    Real::run(serial, MemoryStorage::new(), configure).0
}

async fn managed(mut world: World, broker: &Mosquitto, version: &str) {
    let agent = agent(&world, broker, version, "M1", M1);
    world.connected().await;
    let device = world.onboarded(&agent.endpoint).await.device.id;
    let path = world.store.path(&world.tenant, device, "mqtt").await;
    let path = path.unwrap().unwrap();
    assert_eq!(path.authenticated_by, "broker");
    assert_eq!(path.info["broker"], "north");
    assert_eq!(path.info["mqtt"], version);
    // Its credential is the broker's business.
    assert!(!path.has_current && path.pending_at.is_none());
    world.reads(device, "M1").await;
    let set = Op::Set {
        objects: vec![ObjectSettings {
            object: "Device.WiFi.SSID.1.".into(),
            settings: vec![Setting {
                name: "SSID".into(),
                value: "behind a broker".into(),
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
    world
        .fact("it tells that it started", |fact| match fact {
            Fact::Notified {
                notice: Notice::Boot(boot),
                ..
            } => Some(boot.clone()),
            _ => None,
        })
        .await;
    // The agent is told when the server stops, and need not notice that it is back.
    world.restart().await;
    world.connected().await;
    world.reads_soon(device, "M1").await;
    agent.stop().await;
    let reason = world.gone().await;
    assert!(reason.contains("took its leave"), "{reason}");
    assert_eq!(world.reasons().await, Vec::<String>::new());
}

async fn each(version: &str, ours: &str) {
    for db in databases().await.unwrap() {
        let broker = mosquitto().await;
        let brokers = to(&broker, &format!("version = \"{ours}\""));
        let world = World::with(db, |config, _| config.usp.brokers = brokers).await;
        managed(world, &broker, version).await;
    }
}

#[tokio::test]
async fn an_agent_behind_mosquitto_is_managed_and_found_again_after_a_restart_of_the_server() {
    each("5.0", "5.0").await;
}

#[tokio::test]
async fn an_agent_that_speaks_mqtt_3_1_1_is_managed_by_a_server_that_speaks_mqtt_5() {
    each("3.1.1", "5.0").await;
}

#[tokio::test]
async fn server_and_agent_both_speak_mqtt_3_1_1_with_mosquitto() {
    each("3.1.1", "3.1.1").await;
}

/// Nobody tells the server: the broker keeps it to itself.
#[tokio::test]
async fn an_agent_behind_a_broker_that_falls_silent_is_asked_and_then_gone() {
    let broker = mosquitto().await;
    let brokers = to(&broker, "");
    let mut world = World::with(sqlite().await.unwrap(), |config, _| {
        config.usp.brokers = brokers;
        config.presence.silent_after_seconds = 6;
    })
    .await;
    let agent = agent(&world, &broker, "5.0", "M1", M1);
    world.connected().await;
    let device = world.onboarded(&agent.endpoint).await.device.id;
    // While it answers it stays, for longer than silence is borne.
    let later = now().plus(Duration::from_secs(7));
    until(
        "it has answered what nobody but the server asked",
        async || {
            let heard = server::south::Links::heard(&*world.adapter, device)?;
            (heard >= later).then_some(())
        },
    )
    .await;
    world.reads(device, "M1").await;
    agent.kill().await;
    let reason = world.gone().await;
    // Mosquitto says that of the next question.
    assert!(reason.contains("nobody is subscribed"), "{reason}");
    // What is asked now does not leave.
    let unsent = world.ask(device, get()).await;
    let failed = matches!(unsent, Err(fleet::southbound::Failure::Unsent { .. }));
    assert!(failed, "{unsent:?}");
}

#[tokio::test]
async fn a_broker_that_was_killed_and_comes_back_brings_its_devices_back() {
    let mut broker = mosquitto().await;
    let brokers = to(&broker, "");
    let mut world = World::with(sqlite().await.unwrap(), |config, limits| {
        config.usp.brokers = brokers;
        limits.broker_retry_min = Duration::from_millis(100);
    })
    .await;
    let agent = agent(&world, &broker, "5.0", "M1", M1);
    world.connected().await;
    let device = world.onboarded(&agent.endpoint).await.device.id;
    broker.kill();
    let reason = world.gone().await;
    assert!(reason.contains("the broker north was lost"), "{reason}");
    let health = world.brokers[0].health();
    assert!(!health.connected && health.last_error.is_some() && health.devices == 0);
    broker.again().await;
    world.connected().await;
    world.reads(device, "M1").await;
    let health = world.brokers[0].health();
    assert!(health.connected && health.failures == 0 && health.devices == 1);
    agent.stop().await;
}

#[tokio::test]
async fn doctor_and_system_say_how_it_stands_with_a_broker() {
    let mut broker = mosquitto().await;
    let brokers = to(&broker, "");
    let mut world = crate::api_world::World::with(sqlite().await.unwrap(), |config| {
        config.usp.listen = None;
        config.usp.brokers = brokers;
    })
    .await;
    world.populate().await;
    let found = async |code: &str| {
        until(code, async || {
            let page = world.read("/api/v1/doctor").await;
            let mut all = page["findings"].as_array().unwrap().iter();
            all.find(|one| one["code"] == code).cloned()
        })
        .await
    };
    found("broker-connected").await;
    let system = world.read("/api/v1/system").await;
    assert_eq!(system["brokers"][0]["connected"], true, "{system}");
    assert_eq!(system["brokers"][0]["devices"], 0, "{system}");
    broker.kill();
    let lost = found("broker-lost").await;
    assert!(lost["title"].as_str().unwrap().contains("north"), "{lost}");
    let system = world.read("/api/v1/system").await;
    let error = system["brokers"][0]["last_error"].as_str();
    assert!(error.is_some_and(|error| !error.is_empty()), "{system}");
    // Where it is, and as whom the server comes there, is the platform's business.
    let asked = world.http.get(format!("{}/api/v1/system", world.url));
    let told = asked.bearer_auth(&world.other).send().await.unwrap();
    let told: serde_json::Value = told.json().await.unwrap();
    let north = &told["brokers"][0];
    assert_eq!(
        (&north["name"], &north["url"]),
        (&"north".into(), &"".into())
    );
    assert!(
        north["last_error"].is_null() && north["devices"].is_null(),
        "{told}"
    );
}

/// The server's own way to the broker is not the device's.
#[tokio::test]
async fn where_a_device_behind_a_broker_is_and_whether_it_speaks_encrypted_is_not_known() {
    let broker = mosquitto().await;
    let brokers = to(&broker, "");
    let mut world = crate::api_world::World::with(sqlite().await.unwrap(), |config| {
        config.usp.brokers = brokers;
    })
    .await;
    world.populate().await;
    let controller = ControllerConfig {
        endpoint_id: world.endpoint.clone(),
        url: format!("mqtt://{}", broker.addr),
        retry_min_wait: 1,
        mqtt: Some(MqttConfig {
            username: M2.0.into(),
            password: M2.1.into(),
            ..MqttConfig::default()
        }),
        ..ControllerConfig::default()
    };
    let configure = |config: &mut agent::AgentConfig| config.controllers = vec![controller];
    let (agent, _) = Real::run("M2", MemoryStorage::new(), configure);
    let read = async |path: &str| {
        let asked = world.http.get(format!("{}/api/v1/{path}", world.url));
        let told = asked.bearer_auth(&world.other).send().await.unwrap();
        told.json::<serde_json::Value>().await.unwrap()
    };
    let path = until("it is connected", async || {
        let page = read("devices").await;
        let id = page["items"][0]["id"].as_str()?;
        let reach = read(&format!("devices/{id}/reach")).await;
        let path = reach["paths"][0].clone();
        (path["connected"] == true).then_some(path)
    })
    .await;
    let north = "the broker north (address not known)";
    assert_eq!(
        (&path["peer"], &path["tls"]),
        (&north.into(), &serde_json::Value::Null)
    );
    let events = read("events?kind=device.connected").await;
    assert_eq!(events["items"][0]["data"]["peer"], north, "{events}");
    // These words are no address, and nothing by which a device is looked for.
    let (all, named) = (read("devices").await, read("devices?q=north").await);
    assert_eq!(all["items"][0]["ip"], serde_json::Value::Null, "{all}");
    assert_eq!(named["items"].as_array().unwrap().len(), 0, "{named}");
    agent.stop().await;
}

#[tokio::test]
async fn a_device_that_nobody_registered_needs_a_broker_that_may_register() {
    let broker = mosquitto().await;
    let mut brokers = to(&broker, "");
    brokers[0].registers = false;
    let world = World::with(sqlite().await.unwrap(), |config, _| {
        config.usp.brokers = brokers
    })
    .await;
    let agent = agent(&world, &broker, "5.0", "M1", M1);
    world.refused("not_registered").await;
    agent.stop().await;
    crate::rig::registered(&world, "os::00256D-M1").await;
    let client = client(&world, &broker, M1, "os::00256D-M1").await;
    drop(client.unwrap());
}

/// A client by hand, which listens where its own answers go.
pub async fn client(
    world: &World,
    broker: &Mosquitto,
    who: (&str, &str),
    endpoint: &str,
) -> Result<mtp::mqtt::Link, DialError> {
    let tenant = who.0.split('/').next().unwrap();
    listen(
        world,
        broker,
        who,
        &format!("usp/{tenant}/agent/{endpoint}"),
    )
    .await
}

pub async fn listen(
    world: &World,
    broker: &Mosquitto,
    (user, password): (&str, &str),
    filter: &str,
) -> Result<mtp::mqtt::Link, DialError> {
    let own = EndpointId::parse(&world.own).unwrap();
    let (host, port) = (broker.addr.ip().to_string(), broker.addr.port());
    let mut config = DialConfig::controller(host, port, own, vec![filter.to_owned()]);
    (config.username, config.password) = (Some(user.into()), Some(password.into()));
    config.client_id = format!("by-hand-{filter}").replace(['/', '+', '#'], "-");
    dial(&config).await
}

/// What one of them may publish must not take the others away. Each version of MQTT shows us two of the three: with
/// 5.0 the broker keeps what is too large for us, with 3.1.1 there are no properties.
#[tokio::test]
async fn a_message_beyond_a_limit_is_named_and_all_devices_behind_the_broker_stay() {
    for version in ["5.0", "3.1.1"] {
        let broker = mosquitto().await;
        let brokers = to(&broker, &format!("version = {version:?}"));
        let mut world = World::with(sqlite().await.unwrap(), |config, _| {
            config.usp.brokers = brokers
        })
        .await;
        let agent = agent(&world, &broker, version, "M1", M1);
        world.connected().await;
        let device = world.onboarded(&agent.endpoint).await.device.id;
        let since = world.brokers[0].health().since;
        let tcp = tokio::net::TcpStream::connect(broker.addr).await.unwrap();
        let mut other = Pipe::new(Stream::Plain(tcp), Version::V5, 64 * 1024);
        other.enqueue(&Packet::Connect(Box::new(Connect {
            clean: true,
            client_id: "by-hand".into(),
            username: Some(M2.0.into()),
            password: Some(M2.1.into()),
            ..Connect::default()
        })));
        let topic = "usp/other/controller/os::00256D-M2";
        let of = |topic: String, bytes, properties| Publish {
            qos: 1,
            topic,
            properties,
            payload: vec![0; bytes].into(),
            ..Publish::default()
        };
        let none = Properties::default;
        let user = |all: Properties, _| all.user("a", "b");
        let sent = [
            of(topic.into(), RECORD_BYTES_MAX + 64 * 1024, none()),
            of(
                format!("{topic}/{}", "x".repeat(MQTT_TEXT_BYTES_MAX)),
                1,
                none(),
            ),
            of(
                topic.into(),
                1,
                (0..=MQTT_PROPERTIES_MAX).fold(none(), user),
            ),
        ];
        for (n, publish) in (1..).zip(sent) {
            other.enqueue(&Packet::Publish(Publish { id: n, ..publish }));
        }
        let acknowledged = async {
            other.flush().await.unwrap();
            let first = other.packet().await.unwrap();
            assert!(matches!(first, Packet::ConnAck(ack) if ack.code == 0));
            for n in 1..=3 {
                assert_eq!(other.packet().await.unwrap(), Packet::PubAck(n, 0));
            }
        };
        tokio::time::timeout(PATIENCE, acknowledged).await.unwrap();
        // What the broker has for us it sends in its order.
        world.reads(device, "M1").await;
        let health = world.brokers[0].health();
        assert_eq!((health.since, health.last_error), (since, None));
        world.refused("message-not-taken").await;
        let all = world
            .store
            .refusal_list(None, fleet::Timestamp::default(), 100);
        let all = all.await.unwrap();
        let named = |one: &&store::RefusalRecord| one.last.reason == "message-not-taken";
        let named = &all.iter().find(named).unwrap().last;
        assert!(named.detail.contains(topic), "{named:?}");
        assert_eq!(named.endpoint_id, "os::00256D-M2");
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_broker_speaks_for_its_own_tenants_alone() {
    let broker = mosquitto().await;
    let mut brokers = to(&broker, "");
    let theirs = fleet::TenantId::parse("other").unwrap();
    brokers[0].tenants = Some(Tenants::These(vec![theirs]));
    let world = World::with(sqlite().await.unwrap(), |config, _| {
        config.usp.brokers = brokers
    })
    .await;
    crate::rig::registered(&world, "os::00256D-M1").await;
    let known = world.device("os::00256D-M1").await;
    let agent = agent(&world, &broker, "5.0", "M1", M1);
    world.refused("tenant-not-behind-broker").await;
    let path = world
        .store
        .path(&world.tenant, known, "mqtt")
        .await
        .unwrap();
    assert!(path.is_none_or(|path| path.connected_at.is_none()));
    assert_eq!(world.brokers[0].health().devices, 0);
    agent.stop().await;
}

#[tokio::test]
async fn a_broker_without_named_tenants_speaks_for_the_only_one_there_is() {
    let broker = mosquitto().await;
    let mut brokers = to(&broker, "");
    brokers[0].tenants = None;
    let mut world = World::with(sqlite().await.unwrap(), |config, _| {
        config.usp.brokers = brokers
    })
    .await;
    let first = agent(&world, &broker, "5.0", "M1", M1);
    world.connected().await;
    // One that comes later is not meant.
    let other = world.other_tenant().await;
    let second = agent(&world, &broker, "5.0", "M2", M2);
    world.refused("tenant-not-behind-broker").await;
    let identity = fleet::Identity::endpoint("os::00256D-M2");
    let theirs = world.store.device_by_identity(&other, &identity).await;
    assert_eq!(theirs.unwrap(), None);
    // When the broker is dialled again nobody can know whose devices are behind it.
    world.restart().await;
    let error = until("it says what is missing", async || {
        world.brokers[0].health().last_error
    })
    .await;
    assert!(error.1.contains("tenants is missing"), "{error:?}");
    assert!(!world.brokers[0].health().connected);
    first.kill().await;
    second.kill().await;
}

#[tokio::test]
async fn behind_mosquitto_one_tenant_reaches_nothing_of_another() {
    let broker = mosquitto().await;
    let brokers = to(&broker, "");
    let mut world = World::with(sqlite().await.unwrap(), |config, _| {
        config.usp.brokers = brokers
    })
    .await;
    let other = world.other_tenant().await;
    let agent = agent(&world, &broker, "5.0", "M1", M1);
    world.connected().await;
    let device = world.onboarded(&agent.endpoint).await.device.id;
    // It listens to nothing but its own, with whatever name.
    for filter in [
        "#",
        "usp/#",
        "usp/acme/#",
        "usp/+/agent/os::00256D-M1",
        "usp/acme/agent/os::00256D-M1",
        "usp/acme/controller/os::00256D-M1",
        "usp/other/agent/os::00256D-M1",
    ] {
        let refused = listen(&world, &broker, M2, filter).await;
        let no = matches!(refused, Err(DialError::SubscriptionsRefused(_)));
        // Mosquitto grants some filters and delivers nothing by them.
        if !no {
            let mut open = refused.unwrap();
            world.reads(device, "M1").await;
            let heard = tokio::time::timeout(Duration::from_millis(300), open.recv()).await;
            assert!(heard.is_err(), "{filter}: {heard:?}");
        }
    }
    let impostor = listen(
        &world,
        &broker,
        (M1.0, M2.1),
        "usp/acme/agent/os::00256D-M1",
    )
    .await;
    assert!(matches!(impostor, Err(DialError::Refused(_))));
    // It speaks nowhere but at its own.
    let mut link = client(&world, &broker, M2, "os::00256D-M2").await.unwrap();
    let own = EndpointId::parse(&world.own).unwrap();
    let forged = |from: &str| {
        let from = EndpointId::parse(from).unwrap();
        let leave = usp::record::DisconnectRecord::new(usp::ErrorCode(0), "forged");
        let forged = usp::Record::new(usp::Version::V1_0, &from, &own, leave);
        Bytes::from(usp::codec::encode_record(&forged))
    };
    let victims = "usp/acme/agent/os::00256D-M1";
    for topic in [
        "usp/acme/controller/os::00256D-M1",
        "usp/other/controller/os::00256D-M1",
        victims,
    ] {
        let sent = link.send_to(forged("os::00256D-M1"), topic, "usp/x", Version::V5);
        assert!(sent.await.unwrap());
    }
    // Where it may speak it is not believed to be another, and the victim hears no answer of ours.
    let mine = "usp/other/controller/os::00256D-M2";
    let sent = link.send_to(forged("os::00256D-M1"), mine, victims, Version::V5);
    assert!(sent.await.unwrap());
    world.refused("record-of-another-endpoint").await;
    world.reads(device, "M1").await;
    let path = world.store.path(&world.tenant, device, "mqtt").await;
    assert!(path.unwrap().unwrap().connected_at.is_some());
    let since = fleet::Timestamp::default();
    let ours = world.store.refusal_list(Some(&world.tenant), since, 100);
    assert!(ours.await.unwrap().is_empty());
    let identity = fleet::Identity::endpoint("os::00256D-M1");
    let theirs = world.store.device_by_identity(&other, &identity).await;
    assert_eq!(theirs.unwrap(), None);
    agent.stop().await;
}

#[tokio::test]
async fn where_a_device_behind_a_broker_wants_answers_is_its_own_topic_or_below() {
    let broker = mosquitto().await;
    let brokers = to(&broker, "");
    let world = World::with(sqlite().await.unwrap(), |config, _| {
        config.usp.brokers = brokers
    })
    .await;
    let endpoint = "os::00256D-M1";
    let mut link = client(&world, &broker, M1, endpoint).await.unwrap();
    let own = EndpointId::parse(&world.own).unwrap();
    let from = EndpointId::parse(endpoint).unwrap();
    let hello = usp::record::MqttConnectRecord {
        subscribed_topic: "usp/other/agent/os::00256D-M2".into(),
        ..Default::default()
    };
    let hello = usp::Record::new(usp::Version::V1_3, &from, &own, hello);
    let hello = Bytes::from(usp::codec::encode_record(&hello));
    let (topic, elsewhere) = (
        "usp/acme/controller/os::00256D-M1",
        "usp/other/agent/os::00256D-M2",
    );
    let mut victim = client(&world, &broker, M2, "os::00256D-M2").await.unwrap();
    let sent = link.send_to(hello, topic, elsewhere, Version::V5);
    assert!(sent.await.unwrap());
    world.refused("wrong-reply-topic").await;
    // It is asked who it is, at its own topic, and told where to answer.
    let asked = tokio::time::timeout(PATIENCE, link.recv()).await;
    let asked = asked.unwrap().unwrap();
    assert_eq!(asked.topic, "usp/acme/agent/os::00256D-M1");
    assert_eq!(asked.reply.as_deref(), Some(topic));
    let heard = tokio::time::timeout(Duration::from_millis(200), victim.recv()).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// What a device says by itself reaches one of them, whichever; who asks it is answered.
#[tokio::test]
async fn two_servers_share_what_devices_behind_one_broker_say() {
    const NOTIFICATIONS: usize = 12;
    for db in databases().await.unwrap() {
        let broker = mosquitto().await;
        let brokers = to(&broker, "shared_group = \"headend\"");
        let mut world = World::with(db, |config, _| config.usp.brokers = brokers).await;
        let mut second = world.beside().await;
        for one in [&world.brokers[0], &second.brokers[0]] {
            until("both are connected", async || {
                one.health().connected.then_some(())
            })
            .await;
        }
        let endpoint = "os::00256D-M1";
        let mut device = client(&world, &broker, M1, endpoint).await.unwrap();
        let own = EndpointId::parse(&world.own).unwrap();
        let from = EndpointId::parse(endpoint).unwrap();
        let topic = "usp/acme/controller/os::00256D-M1";
        let reply = "usp/acme/agent/os::00256D-M1";
        let record = |what: usp::record::RecordType| {
            let record = usp::Record::new(usp::Version::V1_3, &from, &own, what);
            Bytes::from(usp::codec::encode_record(&record))
        };
        let plain = |msg: usp::msg::Msg| {
            let payload = usp::codec::encode_msg(&msg);
            record(usp::record::NoSessionContextRecord::new(payload).into())
        };
        let mut answered = std::collections::BTreeSet::new();
        let mut inboxes = std::collections::BTreeSet::new();
        for round in 1..=2 {
            if round == 2 {
                // It takes its leave, which one of them hears, and goes on: no other connect record need reach that one.
                let leave = usp::record::DisconnectRecord::new(usp::ErrorCode(0), "later");
                let leave = record(leave.into());
                let sent = device.send_to(leave, topic, reply, Version::V5);
                assert!(sent.await.unwrap());
            }
            for n in answered.len()..round * NOTIFICATIONS {
                let event = usp::msg::Event {
                    obj_path: "Device.".into(),
                    event_name: "Boot!".into(),
                    params: Default::default(),
                };
                let mut notify = usp::msg::notify(format!("s{n}"), event);
                notify.send_resp = true;
                let notify = plain(usp::msg::Msg::request(format!("n{n}"), notify));
                let sent = device.send_to(notify, topic, reply, Version::V5);
                assert!(sent.await.unwrap());
            }
            // Each is answered once, and where answers go is the server that asks.
            let all = async {
                while answered.len() < round * NOTIFICATIONS || inboxes.len() < 2 {
                    let heard = device.recv().await.unwrap();
                    let inbox = heard.reply.unwrap();
                    assert!(inbox.starts_with(&format!("{topic}/node/")), "{inbox}");
                    inboxes.insert(inbox);
                    let record = usp::codec::decode_record(&heard.record).unwrap();
                    let usp::record::RecordType::NoSessionContext(payload) = record.record_type
                    else {
                        continue;
                    };
                    let msg = usp::codec::decode_msg(&payload.payload).unwrap();
                    if msg.body.msg_type() == usp::msg::MsgType::NOTIFY_RESP {
                        assert!(answered.insert(msg.header.msg_id), "answered twice");
                    }
                }
            };
            let all = tokio::time::timeout(PATIENCE, all).await;
            assert!(all.is_ok(), "{answered:?} {inboxes:?}");
        }
        let health = [&world.brokers[0], &second.brokers[0]].map(|one| one.health().devices);
        assert_eq!(health, [1, 1]);
        drop(device);
        // A real one is asked by both.
        let real = agent(&world, &broker, "5.0", "M1", M1);
        let id = world.device(endpoint).await;
        for _ in 0..2 {
            let end = tokio::time::Instant::now() + PATIENCE;
            while world.ask(id, get()).await.is_err() {
                assert!(tokio::time::Instant::now() < end, "it is not answered");
            }
            world.swap(&mut second);
        }
        real.stop().await;
        second.shutdown.cancel();
    }
}
