//! What a broker of somebody else may do to the devices of others, and what is made of what it says.

use bytes::Bytes;
use mtp::mqtt::{Connect, Packet, Pipe, Publish, Version};
use mtp::stream::Stream;
use server::config::Broker;
use server::state::now;
use store::testing::{databases, sqlite};
use usp::EndpointId;

use crate::external::{M1, M2, US, agent, client, mosquitto, to};
use crate::mosquitto::Mosquitto;
use crate::rig::{PATIENCE, Real, World, until};

const EID: &str = "os::00256D-M1";

async fn world(brokers: Vec<Broker>) -> World {
    let db = sqlite().await.unwrap();
    World::with(db, |config, _| config.usp.brokers = brokers).await
}

/// A connect record.
fn hello(world: &World) -> Bytes {
    hello_of(world, &EndpointId::parse(EID).unwrap())
}

fn hello_of(world: &World, from: &EndpointId) -> Bytes {
    let own = EndpointId::parse(&world.own).unwrap();
    let connect = usp::record::MqttConnectRecord {
        subscribed_topic: format!("usp/acme/agent/{EID}"),
        ..Default::default()
    };
    let record = usp::Record::new(usp::Version::V1_3, from, &own, connect);
    usp::codec::encode_record(&record).into()
}

#[tokio::test]
async fn a_setup_key_does_not_open_a_device_that_has_its_credential_at_a_broker() {
    for db in databases().await.unwrap() {
        let broker = mosquitto().await;
        let brokers = to(&broker, "");
        let mut world = World::with(db, |config, _| config.usp.brokers = brokers).await;
        let real = agent(&world, &broker, "5.0", "M1", M1);
        world.connected().await;
        let device = world.onboarded(EID).await.device.id;
        real.kill().await;
        world.gone_when_asked(device).await;
        let other = Real::dial("M1", &world.own, &world.url(&world.key));
        world.refused("token_expected").await;
        // Unless an operator says so.
        let until = Some(now().plus(PATIENCE));
        let readmitted = world
            .store
            .path_readmit(&world.tenant, device, until, vec![]);
        readmitted.await.unwrap();
        world.connected().await;
        other.kill().await;
    }
}

#[tokio::test]
async fn what_was_retained_makes_no_device_connected() {
    for (version, named) in [("5.0", false), ("3.1.1", true)] {
        let broker = mosquitto().await;
        let mut world = world(vec![]).await;
        let device = crate::rig::registered(&world, EID).await;
        let tcp = tokio::net::TcpStream::connect(broker.addr).await.unwrap();
        let mut gone = Pipe::new(Stream::Plain(tcp), Version::V311, 64 * 1024);
        gone.enqueue(&Packet::Connect(Box::new(Connect {
            version: Version::V311,
            clean: true,
            client_id: "gone".into(),
            username: Some(M1.0.into()),
            password: Some(M1.1.into()),
            ..Connect::default()
        })));
        let retained = Publish {
            qos: 1,
            id: 1,
            retain: true,
            topic: format!("usp/acme/controller/{EID}/reply-to=usp%2Facme%2Fagent%2F{EID}"),
            payload: hello(&world),
            ..Publish::default()
        };
        gone.enqueue(&Packet::Publish(retained));
        gone.flush().await.unwrap();
        assert!(matches!(gone.packet().await, Ok(Packet::ConnAck(_))));
        assert_eq!(gone.packet().await.unwrap(), Packet::PubAck(1, 0));
        drop(gone);
        world.config.usp.brokers = to(&broker, &format!("version = {version:?}"));
        world.restart().await;
        until("it is connected", async || {
            world.brokers[0].health().connected.then_some(())
        })
        .await;
        // Another one comes after that: what was kept would have come before.
        let mut live = client(&world, &broker, M2, "os::00256D-M2").await.unwrap();
        let to = "usp/other/controller/os::00256D-M2";
        let to = match version {
            "5.0" => to.to_owned(),
            _ => format!("{to}/reply-to=usp%2Fother%2Fagent%2Fos::00256D-M2"),
        };
        let from = EndpointId::parse("os::00256D-M2").unwrap();
        let record = hello_of(&world, &from);
        let sent = live.send_to(record, &to, "usp/x", Version::V5);
        assert!(sent.await.unwrap());
        world.refused("tenant_missing").await;
        let path = world.store.path(&world.tenant, device, "mqtt").await;
        assert_eq!(path.unwrap(), None);
        if named {
            world.refused("message-not-taken").await;
        }
    }
}

#[tokio::test]
async fn a_device_that_nobody_listens_for_is_gone_as_soon_as_it_is_asked() {
    let broker = mosquitto().await;
    let mut world = world(to(&broker, "")).await;
    let real = agent(&world, &broker, "5.0", "M1", M1);
    world.connected().await;
    let device = world.onboarded(EID).await.device.id;
    real.kill().await;
    let reason = world.gone_when_asked(device).await;
    assert!(reason.contains("nobody is subscribed"), "{reason}");
}

#[tokio::test]
async fn a_broker_that_does_not_let_the_server_publish_is_named() {
    const DEAF: &str = "\
user headend
topic read usp/+/controller/+/#
user acme/m1
topic write usp/acme/controller/os::00256D-M1/#
topic read usp/acme/agent/os::00256D-M1/#
";
    let broker = Mosquitto::start(&[US, M1], DEAF).await;
    let world = world(to(&broker, "")).await;
    let real = agent(&world, &broker, "5.0", "M1", M1);
    world.refused("broker-refuses-record").await;
    real.kill().await;
}

#[tokio::test]
async fn a_device_of_mqtt_5_behind_a_broker_to_which_we_speak_3_1_1_is_told_apart() {
    let broker = mosquitto().await;
    let world = world(to(&broker, "version = \"3.1.1\"")).await;
    let real = agent(&world, &broker, "5.0", "M1", M1);
    world.refused("mqtt-version-mismatch").await;
    assert_eq!(world.brokers[0].health().devices, 0);
    real.kill().await;
}

#[tokio::test]
async fn a_device_that_is_heard_through_one_broker_is_not_taken_over_through_another() {
    let north = mosquitto().await;
    let south = mosquitto().await;
    let mut brokers = to(&north, "");
    brokers.extend(to(&south, ""));
    brokers[1].name = "south".into();
    let mut world = World::with(sqlite().await.unwrap(), |config, limits| {
        config.usp.brokers = brokers;
        limits.broker_refused_for = std::time::Duration::from_millis(200);
    })
    .await;
    let real = agent(&world, &north, "5.0", "M1", M1);
    world.connected().await;
    let device = world.onboarded(EID).await.device.id;
    let mut impostor = client(&world, &south, M1, EID).await.unwrap();
    let topic = format!("usp/acme/controller/{EID}");
    let reply = format!("usp/acme/agent/{EID}");
    let sent = impostor.send_to(hello(&world), &topic, &reply, Version::V5);
    assert!(sent.await.unwrap());
    world.refused("behind_another_broker").await;
    world.reads(device, "M1").await;
    // Once it has left there it may come here.
    real.kill().await;
    world.gone_when_asked(device).await;
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let sent = impostor.send_to(hello(&world), &topic, &reply, Version::V5);
        assert!(sent.await.unwrap());
        let path = world.store.path(&world.tenant, device, "mqtt").await;
        if path.unwrap().unwrap().info["broker"] == "south" {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "it is not let in");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Who may be whoever he says.
const WIDE: &str = "\
user headend
topic read usp/+/controller/+/#
topic write usp/+/agent/+/#
user acme/m1
topic write usp/#
topic read usp/acme/agent/#
";

#[tokio::test]
async fn a_broker_registers_only_so_many_devices_of_a_tenant_at_a_time() {
    let broker = Mosquitto::start(&[US, M1], WIDE).await;
    let brokers = to(&broker, "");
    let world = World::with(sqlite().await.unwrap(), |config, limits| {
        config.usp.brokers = brokers;
        limits.broker_registration_burst = 1.0;
        limits.broker_registrations_per_second = 0.0;
    })
    .await;
    let other = world.other_tenant().await;
    let mut many = client(&world, &broker, M1, EID).await.unwrap();
    let mut says = async |tenant: &str, endpoint: &str| {
        let hello = hello_of(&world, &EndpointId::parse(endpoint).unwrap());
        let to = format!("usp/{tenant}/controller/{endpoint}");
        let sent = many.send_to(hello, &to, "usp/x", Version::V5);
        assert!(sent.await.unwrap());
    };
    says("acme", EID).await;
    world.device(EID).await;
    says("acme", "os::00256D-X2").await;
    world.refused("registrations_limited").await;
    // Each tenant has its own.
    says("other", "os::00256D-X3").await;
    let theirs = fleet::Identity::endpoint("os::00256D-X3");
    until("it is registered", async || {
        let found = world.store.device_by_identity(&other, &theirs);
        found.await.unwrap()
    })
    .await;
}

/// Names that somebody made up are never onboarded; real devices are.
#[tokio::test]
async fn a_broker_has_only_so_many_devices_of_a_tenant_registered_that_are_never_onboarded() {
    for db in databases().await.unwrap() {
        let broker = Mosquitto::start(&[US, M1], WIDE).await;
        let brokers = to(&broker, "");
        let world = World::with(db, |config, limits| {
            config.usp.brokers = brokers;
            limits.broker_unfinished_max = 2;
            limits.broker_refused_for = std::time::Duration::from_millis(100);
        })
        .await;
        let mut many = client(&world, &broker, M1, EID).await.unwrap();
        let mut says = async |endpoint: &str| {
            let hello = hello_of(&world, &EndpointId::parse(endpoint).unwrap());
            let to = format!("usp/acme/controller/{endpoint}");
            let sent = many.send_to(hello, &to, "usp/x", Version::V5);
            assert!(sent.await.unwrap());
        };
        let mut known = Vec::new();
        for endpoint in ["os::00256D-X1", "os::00256D-X2"] {
            says(endpoint).await;
            let device = world.device(endpoint).await;
            until("it is linked", async || {
                let path = world.store.path(&world.tenant, device, "mqtt").await;
                path.unwrap().map(drop)
            })
            .await;
            known.push(device);
        }
        says("os::00256D-X3").await;
        world.refused("too_many_unfinished").await;
        // One of them is removed: a real device has the room.
        let removed = world.store.device_delete(
            &world.tenant,
            known[0],
            store::Revocation::default(),
            vec![],
        );
        removed.await.unwrap();
        let real = agent(&world, &broker, "5.0", "R1", M1);
        world.onboarded("os::00256D-R1").await;
        // And leaves it to the next.
        let other = agent(&world, &broker, "5.0", "R2", M1);
        world.onboarded("os::00256D-R2").await;
        real.stop().await;
        other.stop().await;
    }
}

#[tokio::test]
async fn at_a_stop_devices_behind_a_broker_are_told() {
    let broker = mosquitto().await;
    let world = world(to(&broker, "")).await;
    let mut device = client(&world, &broker, M1, EID).await.unwrap();
    let (topic, reply) = (
        format!("usp/acme/controller/{EID}"),
        format!("usp/acme/agent/{EID}"),
    );
    let sent = device.send_to(hello(&world), &topic, &reply, Version::V5);
    assert!(sent.await.unwrap());
    // It has a session: it is asked something.
    let asked = tokio::time::timeout(PATIENCE, device.recv()).await;
    asked.unwrap().unwrap();
    world.shutdown.cancel();
    let told = async {
        loop {
            let heard = device.recv().await.unwrap();
            let record = usp::codec::decode_record(&heard.record).unwrap();
            if let usp::record::RecordType::Disconnect(leave) = record.record_type {
                break leave.reason;
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert!(told.contains("shuts down"), "{told}");
}
