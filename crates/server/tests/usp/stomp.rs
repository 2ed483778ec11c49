//! Agents over STOMP, behind a RabbitMQ that runs: managed like all others, and nobody reaches what is another's.

use agent::{ControllerConfig, MemoryStorage, StompConfig};
use bytes::Bytes;
use fleet::southbound::{Answer, ObjectSettings, Op, Setting};
use fleet::{Fact, Notice};
use mtp::limits::{RECORD_BYTES_MAX, STOMP_HEAD_BYTES_MAX, STOMP_HEADERS_MAX};
use mtp::stomp::{Command, DialConfig, DialError, Frame, Link, Pipe, dial};
use mtp::stream::Stream;
use server::config::Broker;
use store::testing::{databases, sqlite};
use usp::EndpointId;

use crate::rabbitmq::{RabbitMq, User};
use crate::rig::{PATIENCE, Real, World, secret_file};

const S1: (&str, &str) = ("acme/s1", "one");
const S2: (&str, &str) = ("other/s2", "two");

/// What the documentation says of access: each device its own two topics, the server all of them.
fn rabbitmq() -> RabbitMq {
    let users = [
        User::topics(
            "headend",
            "ours",
            "^usp\\.[^.]+\\.agent\\.",
            "^usp\\.\\*\\.controller\\.#$",
        ),
        User::topics(
            S1.0,
            S1.1,
            "^usp\\.acme\\.controller\\.os::00256D-S1$",
            "^usp\\.acme\\.agent\\.os::00256D-S1$",
        ),
        User::topics(
            S2.0,
            S2.1,
            "^usp\\.other\\.controller\\.os::00256D-S2$",
            "^usp\\.other\\.agent\\.os::00256D-S2$",
        ),
    ];
    RabbitMq::start(&users, None, "").unwrap()
}

/// The configuration of a server for this broker.
fn to(rabbit: &RabbitMq) -> Vec<Broker> {
    let file = secret_file("ours\n");
    let text = format!(
        "[[usp.brokers]]\nname = \"rabbit\"\nurl = \"stomp://127.0.0.1:{}\"\nusername = \"headend\"\n\
         password_file = {file:?}\nregisters = true\ntenants = [\"acme\", \"other\"]\nvirtual_host = \"/\"\n",
        rabbit.stomp
    );
    server::Config::parse(&text).unwrap().usp.brokers
}

fn agent(world: &World, rabbit: &RabbitMq, serial: &str, who: (&str, &str)) -> Real {
    let controller = ControllerConfig {
        endpoint_id: world.own.clone(),
        url: format!("stomp://127.0.0.1:{}", rabbit.stomp),
        retry_min_wait: 1,
        stomp: Some(StompConfig {
            username: who.0.into(),
            password: who.1.into(),
            ..StompConfig::default()
        }),
        ..ControllerConfig::default()
    };
    let configure = |config: &mut agent::AgentConfig| config.controllers = vec![controller];
    Real::run(serial, MemoryStorage::new(), configure).0
}

#[tokio::test]
async fn an_agent_over_stomp_is_managed_and_found_again_after_a_restart_of_the_server() {
    for db in databases().await.unwrap() {
        let rabbit = rabbitmq();
        let brokers = to(&rabbit);
        let mut world = World::with(db, |config, _| config.usp.brokers = brokers).await;
        let agent = agent(&world, &rabbit, "S1", S1);
        world.connected().await;
        let device = world.onboarded(&agent.endpoint).await.device.id;
        let path = world.store.path(&world.tenant, device, "stomp").await;
        let path = path.unwrap().unwrap();
        assert_eq!(path.authenticated_by, "broker");
        assert_eq!(path.info["broker"], "rabbit");
        assert_eq!(path.info["stomp"], "1.2");
        // Its credential is the broker's business.
        assert!(!path.has_current && path.pending_at.is_none());
        world.reads(device, "S1").await;
        let set = Op::Set {
            objects: vec![ObjectSettings {
                object: "Device.WiFi.SSID.1.".into(),
                settings: vec![Setting {
                    name: "SSID".into(),
                    value: "over STOMP".into(),
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
        // The agent does not notice that the server was away, and says nothing by itself.
        world.restart().await;
        world.connected().await;
        world.reads(device, "S1").await;
        agent.stop().await;
        let reason = world.gone().await;
        assert!(reason.contains("took its leave"), "{reason}");
        assert_eq!(world.reasons().await, Vec::<String>::new());
    }
}

/// A client by hand.
async fn client(
    rabbit: &RabbitMq,
    (user, password): (&str, &str),
    listen: &str,
) -> Result<Link, DialError> {
    let own = EndpointId::parse("os::00256D-S2").unwrap();
    let mut config = DialConfig::new("127.0.0.1", rabbit.stomp, own, "");
    config.login = Some(user.into());
    config.passcode = Some(password.into());
    config.own_destination = Some(listen.into());
    dial(&config).await
}

#[tokio::test]
async fn behind_rabbitmq_one_tenant_reaches_nothing_of_another_over_stomp() {
    let rabbit = rabbitmq();
    let brokers = to(&rabbit);
    let mut world = World::with(sqlite().await.unwrap(), |config, _| {
        config.usp.brokers = brokers
    })
    .await;
    let other = world.other_tenant().await;
    let agent = agent(&world, &rabbit, "S1", S1);
    world.connected().await;
    let device = world.onboarded(&agent.endpoint).await.device.id;
    // It listens to nothing but its own, with whatever name.
    for destination in [
        "/topic/#",
        "/topic/usp.#",
        "/topic/usp.acme.#",
        "/topic/usp.*.agent.os::00256D-S2",
        "/topic/usp.acme.agent.os::00256D-S1",
        "/topic/usp.acme.controller.os::00256D-S1",
        "/topic/usp.other.agent.os::00256D-S1",
        "/exchange/amq.topic/usp.acme.agent.os::00256D-S1",
        "/exchange/amq.rabbitmq.trace/#",
        "/queue/x",
    ] {
        let refused = client(&rabbit, S2, destination).await.unwrap_err();
        let no = matches!(refused, DialError::SubscriptionRefused { .. });
        assert!(no, "{destination}: {refused}");
    }
    let mine = "/topic/usp.other.agent.os::00256D-S2";
    let impostor = client(&rabbit, (S1.0, S2.1), mine).await;
    assert!(matches!(impostor, Err(DialError::Refused(_))));
    let own = EndpointId::parse(&world.own).unwrap();
    let forged = |from: &str| {
        let from = EndpointId::parse(from).unwrap();
        let leave = usp::record::DisconnectRecord::new(usp::ErrorCode(0), "forged");
        let forged = usp::Record::new(usp::Version::V1_0, &from, &own, leave);
        Bytes::from(usp::codec::encode_record(&forged))
    };
    // It speaks nowhere but at its own: what it tries ends its connection.
    let victims = "/topic/usp.acme.agent.os::00256D-S1";
    for destination in [
        "/topic/usp.acme.controller.os::00256D-S1",
        "/topic/usp.other.controller.os::00256D-S1",
        "/exchange/amq.topic/usp.acme.controller.os::00256D-S1",
        victims,
    ] {
        let mut link = client(&rabbit, S2, mine).await.unwrap();
        let sent = link.send_as(forged("os::00256D-S1"), destination, mine);
        sent.await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, link.recv()).await.unwrap();
        let words = ended.unwrap_err().to_string();
        assert!(words.contains("refused"), "{destination}: {words}");
    }
    // Where it may speak it is not believed to be another, and the victim hears no answer of ours.
    let mut link = client(&rabbit, S2, mine).await.unwrap();
    let theirs = "/topic/usp.other.controller.os::00256D-S2";
    let sent = link.send_as(forged("os::00256D-S1"), theirs, victims);
    sent.await.unwrap();
    world.refused("record-of-another-endpoint").await;
    world.reads(device, "S1").await;
    let path = world.store.path(&world.tenant, device, "stomp").await;
    assert!(path.unwrap().unwrap().connected_at.is_some());
    let identity = fleet::Identity::endpoint("os::00256D-S1");
    let taken = world.store.device_by_identity(&other, &identity).await;
    assert_eq!(taken.unwrap(), None);
    agent.stop().await;
}

/// What one of them may send must not take the others away.
#[tokio::test]
async fn a_message_over_stomp_beyond_a_limit_is_named_and_all_devices_behind_the_broker_stay() {
    let rabbit = rabbitmq();
    let brokers = to(&rabbit);
    let mut world = World::with(sqlite().await.unwrap(), |config, _| {
        config.usp.brokers = brokers
    })
    .await;
    let agent = agent(&world, &rabbit, "S1", S1);
    world.connected().await;
    let device = world.onboarded(&agent.endpoint).await.device.id;
    let since = world.brokers[0].health().since;
    let address = ("127.0.0.1", rabbit.stomp);
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut other = Pipe::new(Stream::Plain(tcp), 1024);
    let login = Frame::new(Command::Stomp)
        .with("accept-version", "1.2")
        .with("host", "/")
        .with("login", S2.0)
        .with("passcode", S2.1);
    other.enqueue(&login);
    other.flush().await.unwrap();
    let connected = other.frame().await.unwrap();
    assert_eq!(connected.command, Command::Connected);
    let send = |n: usize| {
        Frame::new(Command::Send)
            .with("destination", "/topic/usp.other.controller.os::00256D-S2")
            .with("receipt", n.to_string())
    };
    let many = (0..STOMP_HEADERS_MAX).fold(send(1), |frame, n| frame.with(&format!("h{n}"), "x"));
    let long = send(2).with("long", "x".repeat(STOMP_HEAD_BYTES_MAX));
    let large = send(3).body(vec![0; RECORD_BYTES_MAX + 1].into());
    for frame in [many, long, large] {
        other.enqueue(&frame);
        other.flush().await.unwrap();
        let receipt = tokio::time::timeout(PATIENCE, other.frame()).await;
        assert_eq!(receipt.unwrap().unwrap().command, Command::Receipt);
    }
    // What the broker has for us it sends in its order.
    world.reads(device, "S1").await;
    let health = world.brokers[0].health();
    assert_eq!((health.since, health.last_error), (since, None));
    world.refused("message-not-taken").await;
    let all = world.store.refusal_list(None, Default::default(), 100);
    let all = all.await.unwrap();
    let named = |one: &&store::RefusalRecord| one.last.reason == "message-not-taken";
    let named = &all.iter().find(named).unwrap().last;
    assert_eq!(named.endpoint_id, "os::00256D-S2", "{named:?}");
    agent.stop().await;
}

#[tokio::test]
async fn a_device_over_stomp_is_answered_at_its_own_destination_whatever_it_says() {
    let rabbit = rabbitmq();
    let brokers = to(&rabbit);
    let world = World::with(sqlite().await.unwrap(), |config, _| {
        config.usp.brokers = brokers
    })
    .await;
    let mine = "/topic/usp.acme.agent.os::00256D-S1";
    let mut link = client(&rabbit, S1, mine).await.unwrap();
    let victims = "/topic/usp.other.agent.os::00256D-S2";
    let mut victim = client(&rabbit, S2, victims).await.unwrap();
    let own = EndpointId::parse(&world.own).unwrap();
    let from = EndpointId::parse("os::00256D-S1").unwrap();
    let hello = usp::record::StompConnectRecord {
        subscribed_destination: victims.into(),
        ..Default::default()
    };
    let hello = usp::Record::new(usp::Version::V1_3, &from, &own, hello);
    let hello = Bytes::from(usp::codec::encode_record(&hello));
    let to = "/topic/usp.acme.controller.os::00256D-S1";
    link.send_as(hello, to, victims).await.unwrap();
    world.refused("wrong-reply-topic").await;
    // It is asked who it is, at its own destination, and told where to answer.
    let asked = tokio::time::timeout(PATIENCE, link.recv()).await;
    let asked = asked.unwrap().unwrap();
    assert_eq!(asked.destination, mine);
    assert_eq!(asked.reply.as_deref(), Some(to));
    let quiet = std::time::Duration::from_millis(200);
    let heard = tokio::time::timeout(quiet, victim.recv()).await;
    assert!(heard.is_err(), "{heard:?}");
}
