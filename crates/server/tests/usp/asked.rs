//! Brokers that ask the server who may come in: a real RabbitMQ with agents behind it, and the words of the others.

use std::net::SocketAddr;
use std::time::Duration;

use agent::{ControllerConfig, MemoryStorage, MqttConfig, StompConfig};
use bytes::Bytes;
use fleet::southbound::{Answer, ObjectSettings, Op, Setting};
use fleet::{DeviceId, TenantId};
use mtp::mqtt::{DialConfig, DialError, Version, dial};
use serde_json::{Value, json};
use server::southbound::usp::limits::Limits;
use server::state::now;
use store::testing::{TestDatabase, databases, sqlite};
use usp::EndpointId;

use crate::mosquitto::free;
use crate::rabbitmq::{RabbitMq, User};
use crate::rig::{Real, World, add_key, secret_file, until};

pub const SECRET: &str = "a-secret-that-is-long-enough-to-be-one";
const M1: &str = "os::00256D-M1";
const M2: &str = "os::00256D-M2";

/// A RabbitMQ that asks at this address.
pub fn rabbitmq(asks: SocketAddr) -> RabbitMq {
    let path =
        |what: &str| format!("auth_http.{what}_path = http://{asks}/{SECRET}/rabbitmq/{what}\n");
    let paths: String = ["user", "vhost", "resource", "topic"].map(path).concat();
    let more = format!(
        "auth_backends.1 = internal\nauth_backends.2 = http\nauth_http.http_method = post\n{paths}"
    );
    RabbitMq::start(&[User::all("headend", "ours")], None, &more).unwrap()
}

/// A server that is asked there, and is a client of that broker.
pub async fn asked(db: TestDatabase, asks: SocketAddr, broker: Option<u16>) -> World {
    let broker = broker.map(|port| format!("mqtt://127.0.0.1:{port}"));
    let connects = broker.is_some();
    asked_by(db, asks, broker, connects).await
}

/// The same with the broker at this URL, which need not be there.
pub async fn asked_by(
    db: TestDatabase,
    asks: SocketAddr,
    broker: Option<String>,
    connects: bool,
) -> World {
    asked_within(db, asks, broker, connects, |_| {}).await
}

/// The same within other limits.
pub async fn asked_within(
    db: TestDatabase,
    asks: SocketAddr,
    broker: Option<String>,
    connects: bool,
    change: impl FnOnce(&mut Limits),
) -> World {
    let (password, secret) = (secret_file("ours"), secret_file(SECRET));
    let mut text = format!("[broker_auth]\nlisten = \"{asks}\"\nsecret_file = {secret:?}\n");
    if let Some(url) = broker {
        text += &format!(
            "[[usp.brokers]]\nname = \"rabbit\"\nurl = \"{url}\"\nversion = \"3.1.1\"\n\
             username = \"headend\"\npassword_file = {password:?}\nasks = true\ntenants = [\"acme\", \"other\"]\n"
        );
    }
    let given = server::Config::parse(&text).unwrap();
    let world = World::with(db, |config, limits| {
        config.broker_auth = given.broker_auth;
        config.usp.brokers = given.usp.brokers;
        limits.broker_retry_min = Duration::from_millis(100);
        change(limits);
    })
    .await;
    if connects {
        until("it is connected to the broker", async || {
            world.brokers[0].health().connected.then_some(())
        })
        .await;
    }
    world
}

pub fn agent(world: &World, port: u16) -> Real {
    let controller = ControllerConfig {
        endpoint_id: world.own.clone(),
        url: format!("mqtt://127.0.0.1:{port}"),
        retry_min_wait: 1,
        mqtt: Some(MqttConfig {
            version: "3.1.1".into(),
            username: "acme/setup".into(),
            password: world.key.clone(),
            ..MqttConfig::default()
        }),
        ..ControllerConfig::default()
    };
    let configure = |config: &mut agent::AgentConfig| config.controllers = vec![controller];
    Real::run("M1", MemoryStorage::new(), configure).0
}

pub async fn swapped(world: &World, device: DeviceId) {
    until("it comes back with its own credential", async || {
        let path = world.store.path(&world.tenant, device, "mqtt").await;
        path.unwrap().filter(|path| path.has_current).map(drop)
    })
    .await;
}

/// Another tenant, with a setup key.
pub async fn other(world: &World) -> (TenantId, String) {
    let other = world.other_tenant().await;
    let id = fleet::SetupKeyId::new(now(), server::secret::id_bits());
    let key = add_key(&world.store, &other, id, None).await;
    (other, key)
}

#[tokio::test]
async fn an_agent_behind_rabbitmq_swaps_its_setup_key_and_is_managed() {
    for db in databases().await.unwrap() {
        let asks = free();
        let broker = rabbitmq(asks);
        let mut world = asked(db, asks, Some(broker.mqtt)).await;
        let agent = agent(&world, broker.mqtt);
        world.connected().await;
        let device = world.onboarded(&agent.endpoint).await.device.id;
        swapped(&world, device).await;
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
        until("it is set with its new credential", async || {
            let path = world.store.path(&world.tenant, device, "mqtt").await;
            path.unwrap().filter(|path| path.connected_at.is_some())
        })
        .await;
        let set = world.ask(device, set).await;
        assert!(matches!(set, Ok(Answer::Set(_))), "{set:?}");
        // From now on the setup key opens it no more.
        let shared = client(
            broker.mqtt,
            "acme/setup",
            &world.key,
            M1,
            "usp/acme/agent/os::00256D-M1",
        );
        assert!(matches!(shared.await, Err(DialError::Refused(_))));
        world.refused("readmit_needed").await;
        agent.stop().await;
    }
}

#[tokio::test]
async fn an_agent_over_stomp_swaps_its_setup_key_at_a_rabbitmq_that_asks() {
    for db in databases().await.unwrap() {
        let asks = free();
        let broker = rabbitmq(asks);
        let url = format!("stomp://127.0.0.1:{}", broker.stomp);
        let mut world = asked_by(db, asks, Some(url.clone()), true).await;
        let controller = ControllerConfig {
            endpoint_id: world.own.clone(),
            url,
            retry_min_wait: 1,
            stomp: Some(StompConfig {
                username: format!("acme/setup/{M1}"),
                password: world.key.clone(),
                virtual_host: "/".into(),
                ..StompConfig::default()
            }),
            ..ControllerConfig::default()
        };
        let configure = |config: &mut agent::AgentConfig| config.controllers = vec![controller];
        let agent = Real::run("M1", MemoryStorage::new(), configure).0;
        let device = world.onboarded(&agent.endpoint).await.device.id;
        until("it comes back with its own credential", async || {
            let path = world.store.path(&world.tenant, device, "stomp").await;
            path.unwrap().filter(|path| path.has_current).map(drop)
        })
        .await;
        world.reads_soon(device, "M1").await;
        // From now on the setup key opens it no more, and it is nobody else.
        for user in [format!("acme/setup/{M1}"), "acme/setup".to_owned()] {
            let refused = stomp(&broker, &user, &world.key, M1).await;
            let no = matches!(refused, Err(mtp::stomp::DialError::Refused(_)));
            assert!(no, "{user}: {refused:?}");
        }
        let other = format!("acme/setup/{M2}");
        let refused = stomp(&broker, &other, &world.key, M1).await.unwrap_err();
        let no = matches!(refused, mtp::stomp::DialError::SubscriptionRefused { .. });
        assert!(no, "{refused}");
        stomp(&broker, &other, &world.key, M2).await.unwrap();
        world.refused("readmit_needed").await;
        agent.stop().await;
    }
}

/// What is below its own name is allowed to it there: it is no name of a device.
#[tokio::test]
async fn a_device_over_stomp_is_nobody_whose_name_begins_with_its_own() {
    let asks = free();
    let broker = rabbitmq(asks);
    let url = format!("stomp://127.0.0.1:{}", broker.stomp);
    let world = asked_by(sqlite().await.unwrap(), asks, Some(url), true).await;
    let victim = format!("{M1}.B");
    let device = crate::rig::registered(&world, &victim).await;
    let mut link = stomp(&broker, &format!("acme/setup/{M1}"), &world.key, M1)
        .await
        .unwrap();
    let from = EndpointId::parse(&victim).unwrap();
    let own = EndpointId::parse(&world.own).unwrap();
    let connect = usp::record::StompConnectRecord::default();
    let hello = usp::Record::new(usp::Version::V1_3, &from, &own, connect);
    let to = format!("/topic/usp.acme.controller.{victim}");
    let reply = format!("/topic/usp.acme.agent.{victim}");
    let sent = link.send_as(usp::codec::encode_record(&hello).into(), &to, &reply);
    sent.await.unwrap();
    let pushed = async {
        loop {
            if link.recv_some().await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = pushed => panic!("it is not let publish there: nothing is tried"),
        () = world.refused("wrong-topic") => {}
    }
    let path = world.store.path(&world.tenant, device, "stomp").await;
    assert_eq!(path.unwrap(), None);
}

/// A client of STOMP, which listens where answers to this device go.
async fn stomp(
    broker: &RabbitMq,
    user: &str,
    password: &str,
    listens: &str,
) -> Result<mtp::stomp::Link, mtp::stomp::DialError> {
    let own = EndpointId::parse(M2).unwrap();
    let mut config = mtp::stomp::DialConfig::new("127.0.0.1", broker.stomp, own, "");
    (config.login, config.passcode) = (Some(user.into()), Some(password.into()));
    config.virtual_host = Some("/".into());
    config.own_destination = Some(format!("/topic/usp.acme.agent.{listens}"));
    mtp::stomp::dial(&config).await
}

async fn client(
    port: u16,
    user: &str,
    password: &str,
    id: &str,
    filter: &str,
) -> Result<mtp::mqtt::Link, DialError> {
    let own = EndpointId::parse(M2).unwrap();
    let mut config = DialConfig::controller("127.0.0.1", port, own, vec![filter.to_owned()]);
    config.version = Version::V311;
    (config.username, config.password) = (Some(user.into()), Some(password.into()));
    config.client_id = id.into();
    dial(&config).await
}

#[tokio::test]
async fn behind_rabbitmq_one_tenant_reaches_nothing_of_another() {
    let asks = free();
    let broker = rabbitmq(asks);
    let mut world = asked(sqlite().await.unwrap(), asks, Some(broker.mqtt)).await;
    let (tenant, key) = other(&world).await;
    let agent = agent(&world, broker.mqtt);
    world.connected().await;
    let device = world.onboarded(&agent.endpoint).await.device.id;
    swapped(&world, device).await;
    let port = broker.mqtt;
    let own = "usp/other/agent/os::00256D-M2/#";
    // It comes in as nobody of another tenant, nor with the victim's name in its own.
    for (user, id) in [
        ("acme/setup", M2),
        ("acme/setup", M1),
        (&*format!("acme/{device}"), M1),
        ("other/setup", M1),
        ("setup", M2),
        ("other/setup", "anything"),
    ] {
        let refused = client(port, user, &key, id, own).await;
        assert!(matches!(refused, Err(DialError::Refused(_))), "{user} {id}");
    }
    // As itself it comes in, listens to nothing of others, and says nothing for them.
    for filter in [
        "#",
        "usp/#",
        "usp/acme/#",
        "usp/+/agent/os::00256D-M1",
        "usp/acme/agent/os::00256D-M1",
        "usp/acme/controller/os::00256D-M1",
        "usp/other/agent/#",
        "usp/other/controller/#",
    ] {
        let refused = client(port, "other/setup", &key, M2, filter).await;
        assert!(refused.is_err(), "{filter}");
    }
    let us = EndpointId::parse(&world.own).unwrap();
    let forged = |from: &str| {
        let from = EndpointId::parse(from).unwrap();
        let leave = usp::record::DisconnectRecord::new(usp::ErrorCode(0), "forged");
        let forged = usp::Record::new(usp::Version::V1_0, &from, &us, leave);
        Bytes::from(usp::codec::encode_record(&forged))
    };
    for topic in [
        "usp/acme/controller/os::00256D-M1",
        "usp/acme/agent/os::00256D-M1",
        "usp/other/controller/os::00256D-M1",
        "usp/other/agent/os::00256D-M2",
    ] {
        let link = client(port, "other/setup", &key, M2, own).await;
        let mut link = link.unwrap();
        let sent = link.send_to(forged(M1), topic, own, Version::V311).await;
        assert!(sent.unwrap());
        // RabbitMQ ends the connection of who may not.
        let ended = tokio::time::timeout(crate::rig::PATIENCE, link.recv()).await;
        assert!(ended.unwrap().is_err(), "{topic}");
    }
    let mut link = client(port, "other/setup", &key, M2, own).await.unwrap();
    let victims = "usp/acme/agent/os::00256D-M1";
    let mine = "usp/other/controller/os::00256D-M2";
    let sent = link.send_to(forged(M1), mine, victims, Version::V311);
    assert!(sent.await.unwrap());
    world.refused("record-of-another-endpoint").await;
    world.reads(device, "M1").await;
    let identity = fleet::Identity::endpoint(M1);
    let theirs = world.store.device_by_identity(&tenant, &identity).await;
    assert_eq!(theirs.unwrap(), None);
    agent.stop().await;
}

/// Asks like a broker.
pub struct Asks {
    http: reqwest::Client,
    url: String,
}

impl Asks {
    pub fn at(asks: SocketAddr) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: format!("http://{asks}/{SECRET}"),
        }
    }

    pub async fn json(&self, path: &str, hook: &str, body: Value) -> (u16, String) {
        let asked = self.http.post(format!("{}/{path}", self.url));
        let asked = asked.header("vernemq-hook", hook).json(&body);
        let answer = asked.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn emqx_vernemq_and_mosquitto_go_auth_ask_in_their_own_words() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asks = free();
    let world = asked(sqlite().await.unwrap(), asks, None).await;
    let ask = Asks::at(asks);
    let own = "usp/acme/controller/os::00256D-M1";
    let (listens, theirs) = (
        "usp/acme/agent/os::00256D-M1",
        "usp/acme/agent/os::00256D-M2",
    );
    let come = |key: &str| json!({"username": "acme/setup", "password": key, "clientid": M1, "client_id": M1, "peerhost": "192.0.2.7"});
    let does = |more: Value| {
        let mut all = json!({"username": "acme/setup", "clientid": M1, "client_id": M1});
        let Value::Object(more) = more else {
            panic!("an object")
        };
        all.as_object_mut().unwrap().extend(more);
        all
    };
    let (allow, deny) = (r#"{"result":"allow"}"#, r#"{"result":"deny"}"#);
    let (ok, not) = (
        r#"{"result":"ok"}"#,
        r#"{"result":{"error":"not_allowed"}}"#,
    );
    for (path, hook, body, status, said) in [
        // Before it came in it may nothing.
        (
            "emqx/acl",
            "",
            does(json!({"action": "publish", "topic": own})),
            200,
            deny,
        ),
        ("emqx/auth", "", come("hes_wrong"), 200, deny),
        ("emqx/auth", "", come(&world.key), 200, allow),
        (
            "emqx/acl",
            "",
            does(json!({"action": "publish", "topic": own})),
            200,
            allow,
        ),
        (
            "emqx/acl",
            "",
            does(json!({"action": "subscribe", "topic": listens})),
            200,
            allow,
        ),
        (
            "emqx/acl",
            "",
            does(json!({"action": "subscribe", "topic": theirs})),
            200,
            deny,
        ),
        (
            "emqx/acl",
            "",
            does(json!({"action": "publish", "topic": listens})),
            200,
            deny,
        ),
        ("vernemq", "auth_on_register", come(&world.key), 200, ok),
        (
            "vernemq",
            "auth_on_register_m5",
            come("hes_wrong"),
            200,
            not,
        ),
        (
            "vernemq",
            "auth_on_publish",
            does(json!({"topic": own})),
            200,
            ok,
        ),
        (
            "vernemq",
            "auth_on_publish_m5",
            does(json!({"topic": theirs})),
            200,
            not,
        ),
        (
            "vernemq",
            "auth_on_subscribe",
            does(json!({"topics": [{"topic": listens, "qos": 1}]})),
            200,
            ok,
        ),
        (
            "vernemq",
            "auth_on_subscribe_m5",
            does(json!({"topics": [{"topic": listens, "qos": 1}, {"topic": "#", "qos": 1}]})),
            200,
            not,
        ),
        ("mosquitto-go-auth/user", "", come(&world.key), 200, "ok"),
        ("mosquitto-go-auth/user", "", come("hes_wrong"), 403, "no"),
        (
            "mosquitto-go-auth/superuser",
            "",
            does(json!({})),
            403,
            "no",
        ),
        (
            "mosquitto-go-auth/acl",
            "",
            does(json!({"topic": own, "acc": 2})),
            200,
            "ok",
        ),
        (
            "mosquitto-go-auth/acl",
            "",
            does(json!({"topic": listens, "acc": 4})),
            200,
            "ok",
        ),
        (
            "mosquitto-go-auth/acl",
            "",
            does(json!({"topic": own, "acc": 1})),
            403,
            "no",
        ),
        (
            "mosquitto-go-auth/acl",
            "",
            does(json!({"topic": "#", "acc": 4})),
            403,
            "no",
        ),
    ] {
        let told = ask.json(path, hook, body.clone()).await;
        assert_eq!(told, (status, said.to_owned()), "{path} {hook} {body}");
    }
    // Who is refused is shown with where it came from.
    until("it is shown", async || {
        let since = fleet::Timestamp::default();
        let refused = world.store.refusal_list(Some(&world.tenant), since, 10);
        let refused = refused.await.unwrap();
        let from = |one: &store::RefusalRecord| one.last.peer == "192.0.2.7";
        refused.iter().any(from).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_but_a_broker_with_the_secret_is_answered() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asks = free();
    let world = asked(sqlite().await.unwrap(), asks, None).await;
    let http = reqwest::Client::new();
    let body = json!({"username": "acme/setup", "password": world.key, "client_id": M1});
    for secret in ["guessed", "", &SECRET[1..]] {
        let url = format!("http://{asks}/{secret}/rabbitmq/user");
        let answer = http.post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{secret}");
    }
    let url = format!("http://{asks}/{SECRET}/rabbitmq/user");
    // A password in a URL would stand in logs.
    let got = http.get(&url).query(&body).send().await.unwrap();
    assert_eq!(got.status(), 405);
    let large = http.post(&url).body(vec![b'x'; 100_000]).send().await;
    assert_eq!(large.unwrap().status(), 413);
    let told = http.post(&url).json(&body).send().await.unwrap();
    assert_eq!(told.text().await.unwrap(), "allow");
    // Without a client identifier a setup key says nothing of who comes.
    let nameless = json!({"username": "acme/setup", "password": world.key});
    let told = http.post(&url).json(&nameless).send().await.unwrap();
    assert_eq!(told.text().await.unwrap(), "deny");
}

/// What RabbitMQ is told about a user and a queue.
pub async fn queue(ask: &Asks, user: &str, name: &str, permission: &str) -> String {
    let body = json!({
        "username": user, "vhost": "/", "resource": "queue", "name": name, "permission": permission,
    });
    ask.json("rabbitmq/resource", "", body).await.1
}

#[tokio::test]
async fn the_queue_of_one_device_is_no_queue_of_another() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asks = free();
    let mut world = asked(sqlite().await.unwrap(), asks, None).await;
    let ask = Asks::at(asks);
    let (one, two) = (format!("acme/setup/{M1}"), format!("acme/setup/{M2}"));
    let (first, second) = ("stomp-subscription-chosen", "stomp-subscription-other");
    // Nobody who has not come in has any.
    assert_eq!(queue(&ask, &two, first, "configure").await, "deny");
    for user in [&one, &two] {
        let come = json!({"username": user, "password": world.key});
        assert_eq!(ask.json("rabbitmq/user", "", come).await.1, "allow");
    }
    // One that RabbitMQ made before the server was asked about it is whose it is asked about first.
    for permission in ["configure", "write", "read", "configure"] {
        assert_eq!(queue(&ask, &one, first, permission).await, "allow");
        assert_eq!(queue(&ask, &two, first, permission).await, "deny");
        assert_eq!(queue(&ask, &two, second, permission).await, "allow");
        assert_eq!(queue(&ask, &one, second, permission).await, "deny");
    }
    // It stays the device's when that comes with a credential of its own.
    let device = world.device(M1).await;
    let hash = server::secret::hash("its own");
    let (store, at) = (&world.store, now());
    store
        .path_set_pending(&world.tenant, device, "stomp", hash, at, vec![])
        .await
        .unwrap();
    let own = format!("acme/{device}");
    // And whichever server is asked, or starts.
    world.restart().await;
    assert_eq!(queue(&ask, &two, first, "read").await, "deny");
    assert_eq!(queue(&ask, &own, first, "read").await, "allow");
    assert_eq!(queue(&ask, &own, second, "read").await, "deny");
}

#[tokio::test]
async fn a_second_tenant_does_not_lock_out_the_devices_of_the_first() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asks = free();
    let mut world = asked(sqlite().await.unwrap(), asks, None).await;
    let ask = Asks::at(asks);
    let come = |tenant: &str, key: &str| json!({"username": format!("{tenant}/setup"), "password": key, "clientid": M1});
    let says = json!({
        "username": "acme/setup", "clientid": M1, "action": "publish",
        "topic": "usp/acme/controller/os::00256D-M1",
    });
    let (allow, deny) = (r#"{"result":"allow"}"#, r#"{"result":"deny"}"#);
    let (_, key) = other(&world).await;
    let acme = come("acme", &world.key);
    assert_eq!(ask.json("emqx/auth", "", acme).await.1, allow);
    assert_eq!(ask.json("emqx/acl", "", says).await.1, allow);
    let theirs = come("other", &key);
    assert_eq!(ask.json("emqx/auth", "", theirs).await.1, deny);
    world.refused("tenant-not-behind-broker").await;
    // A start in which it is not clear who is meant is none.
    let why = world.refuses_to_start().await;
    assert!(why.contains("broker_auth.tenants is missing"), "{why}");
}
