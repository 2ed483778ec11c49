//! Who was refused, and what for, is shown to whoever it concerns: in the list of refusals and in the event log, with
//! who tried what and where it came from, and one that guesses hides nobody else.

use fleet::{EventKind, TenantId, Timestamp};
use mtp::mqtt::{DialConfig, Version, dial};
use serde_json::{Value, json};
use server::southbound::limits::{REFUSAL_EVENTS_PER_SOURCE_MAX, REFUSALS_QUEUED_MAX};
use store::testing::{databases, sqlite};
use store::{EventFilter, RefusalRecord};
use usp::EndpointId;

use crate::asked::{Asks, asked, asked_by, other, rabbitmq};
use crate::mosquitto::free;
use crate::puppet::{Puppet, Seen};
use crate::rig::{World, until};

const M1: &str = "os::00256D-M1";
const M2: &str = "os::00256D-M2";

impl World {
    /// What was refused to this tenant's, or to nobody's, for this reason, once something was.
    async fn refusals_of(&self, tenant: Option<&TenantId>, reason: &str) -> Vec<RefusalRecord> {
        until(reason, async || {
            let all = self.store.refusal_list(tenant, Timestamp::default(), 500);
            let mut all = all.await.unwrap();
            all.retain(|one| one.last.reason == reason);
            (!all.is_empty()).then_some(all)
        })
        .await
    }

    /// Revokes its setup key.
    async fn revoke(&self) {
        let (store, at) = (&self.store, server::state::now());
        let revoked = store.setup_key_revoke(&self.tenant, self.key_id, at, vec![]);
        revoked.await.unwrap();
    }

    /// Waits for the link of a device.
    async fn linked(&self, endpoint: &str, transport: &str) {
        let device = self.device(endpoint).await;
        until("it is linked", async || {
            let path = self.store.path(&self.tenant, device, transport).await;
            path.unwrap().and_then(|path| path.connected_at)
        })
        .await;
    }

    /// Waits until that is over, because its setup key was revoked.
    async fn unlinked(&self, endpoint: &str, transport: &str) {
        let device = self.device(endpoint).await;
        until("its link ends", async || {
            let path = self.store.path(&self.tenant, device, transport).await;
            let why = path.unwrap().unwrap().disconnect_reason;
            (why == "its setup key was revoked").then_some(())
        })
        .await;
    }

    /// What the log of this tenant has of this kind, once it says these words.
    async fn told_of(&self, tenant: &TenantId, kind: EventKind, words: &str) -> Value {
        let filter = EventFilter {
            kinds: vec![kind],
            ..EventFilter::default()
        };
        until(words, async || {
            let page = self.store.events_after(tenant, 0, &filter, 500);
            let events = page.await.unwrap().events.into_iter();
            let mut data = events.map(|stored| stored.event.data);
            data.find(|data| data.to_string().contains(words))
        })
        .await
    }
}

#[tokio::test]
async fn who_wants_what_a_broker_keeps_for_another_is_named_and_the_other_is_not() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for db in databases().await.unwrap() {
        let asks = free();
        // Nobody is there.
        let nobody = Some("mqtt://127.0.0.1:9".to_owned());
        let world = asked_by(db, asks, nobody, false).await;
        let (tenant, key) = other(&world).await;
        let ask = Asks::at(asks);
        let tries = format!("acme/setup/{M1}");
        for come in [
            json!({"username": tries, "password": world.key}),
            json!({"username": "other/setup", "password": key, "client_id": M2}),
        ] {
            assert_eq!(ask.json("rabbitmq/user", "", come).await.1, "allow");
        }
        let asks_for = async |user: &str, id: &str, queue: &str| {
            let body = json!({
                "username": user, "client_id": id, "vhost": "/", "resource": "queue",
                "name": format!("mqtt-subscription-{queue}qos1"), "permission": "read",
            });
            ask.json("rabbitmq/resource", "", body).await.1
        };
        for (user, id, queue, said) in [
            (&*tries, "", M2, "deny"),
            (&tries, "", "headend-node-1", "deny"),
            (&tries, "", "", "deny"),
            (&tries, "", M1, "allow"),
            // Over MQTT it is its own queue, whether the broker says whose question it is or not.
            ("other/setup", M2, M2, "allow"),
            ("other/setup", "", M2, "allow"),
        ] {
            assert_eq!(asks_for(user, id, queue).await, said, "{user} {queue}");
        }
        // The same with a credential of its own.
        let device = world.device(M1).await;
        let (hash, at) = (server::secret::hash("its own"), server::state::now());
        let (store, acme) = (&world.store, &world.tenant);
        let pending = store.path_set_pending(acme, device, "stomp", hash, at, vec![]);
        pending.await.unwrap();
        let itself = format!("acme/{device}");
        let scoped = format!("other/{M2}");
        for (queue, said) in [(M2, "deny"), (&*scoped, "deny"), (M1, "allow")] {
            assert_eq!(asks_for(&itself, "", queue).await, said, "{queue}");
        }
        let two = json!({"username": tries, "password": world.key, "client_id": M2});
        assert_eq!(ask.json("rabbitmq/user", "", two).await.1, "deny");
        let conflict = world.refusals_of(None, "endpoint-id-conflict").await;
        assert_eq!(conflict[0].last.endpoint_id, "");
        until("all five are counted", async || {
            let all = world.refusals_of(Some(acme), "wrong-resource").await;
            for RefusalRecord { last, .. } in &all {
                let who = (last.endpoint_id.as_str(), last.transport.as_str());
                assert_eq!(who, (M1, "stomp"), "{last:?}");
            }
            let times: u64 = all.iter().map(|one| one.times).sum();
            (times == 5).then_some(())
        })
        .await;
        let since = Timestamp::default();
        let theirs = world.store.refusal_list(Some(&tenant), since, 10).await;
        assert_eq!(theirs.unwrap().len(), 0);
        let nobodys = world.store.refusal_list(None, since, 10).await;
        assert_eq!(nobodys.unwrap().len(), conflict.len());
    }
}

#[tokio::test]
async fn what_a_client_of_a_broker_that_asks_may_not_is_told_with_who_tried_what() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for db in databases().await.unwrap() {
        let asks = free();
        let world = asked(db, asks, None).await;
        let ask = Asks::at(asks);
        let user = format!("acme/setup/{M1}");
        let come = json!({"username": user, "password": world.key});
        assert_eq!(ask.json("rabbitmq/user", "", come).await.1, "allow");
        let device = world.device(M1).await;
        let topic = |key: &str, permission: &str| {
            json!({
                "username": user, "vhost": "/", "resource": "topic", "name": "amq.topic",
                "permission": permission, "routing_key": key,
            })
        };
        let own = "usp.acme.controller.os::00256D-M1";
        let told = ask.json("rabbitmq/topic", "", topic(own, "write")).await;
        assert_eq!(told.1, "allow");
        for (key, permission) in [
            ("usp.other.controller.os::00256D-M2", "write"),
            ("usp.acme.agent.#", "read"),
        ] {
            let told = ask.json("rabbitmq/topic", "", topic(key, permission)).await;
            assert_eq!(told.1, "deny", "{key}");
        }
        let all = world.refusals_of(Some(&world.tenant), "wrong-topic").await;
        let last = &all[0].last;
        assert_eq!(
            (last.endpoint_id.as_str(), last.transport.as_str()),
            (M1, "stomp")
        );
        // RabbitMQ does not say where its client is, and no address is made up.
        assert_eq!(
            last.peer,
            "the broker rabbitmq at 127.0.0.1 (address not known)"
        );
        let data = world
            .told_of(&world.tenant, EventKind::DeviceMisbehaved, "wrong-topic")
            .await;
        let tried = format!("{user} wanted to publish to usp.other.controller.{M2}");
        assert!(data["reason"].as_str().unwrap().ends_with(&tried), "{data}");
        // The same of what is no topic.
        for body in [
            json!({"resource": "queue", "name": "somebody's"}),
            json!({"resource": "exchange", "name": "amq.direct"}),
            json!({"resource": "exchange", "name": "amq.topic", "vhost": "/other"}),
        ] {
            let mut all = json!({"username": user, "vhost": "/", "permission": "configure"});
            let Value::Object(more) = body else {
                panic!("an object")
            };
            all.as_object_mut().unwrap().extend(more);
            let told = ask.json("rabbitmq/resource", "", all.clone()).await;
            assert_eq!(told.1, "deny", "{all}");
        }
        until("all three are counted", async || {
            let all = world
                .refusals_of(Some(&world.tenant), "wrong-resource")
                .await;
            let times: u64 = all.iter().map(|one| one.times).sum();
            (times == 3).then_some(())
        })
        .await;
        // Whose key is revoked is told as that, and not as one with wrong topics.
        world.revoke().await;
        let told = ask.json("rabbitmq/topic", "", topic(own, "write")).await;
        assert_eq!(told.1, "deny");
        world
            .refusals_of(Some(&world.tenant), "setup_key_unusable")
            .await;
        assert_eq!(world.device(M1).await, device);
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_to_the_tenant_of_its_user_name_with_where_it_came_from() {
    for db in databases().await.unwrap() {
        let world = World::with(db, |config, _| {
            config.mqtt.listen = Some(([127, 0, 0, 1], 0).into());
        })
        .await;
        let tenant = world.other_tenant().await;
        let own = EndpointId::parse(M1).unwrap();
        let port = world.mqtt.plain.unwrap().port();
        for (user, tenant) in [("other/setup", Some(&tenant)), ("nobody/setup", None)] {
            let mut config = DialConfig::new("127.0.0.1", port, own.clone(), "usp/c");
            config.version = Version::V311;
            (config.username, config.password) = (Some(user.into()), Some("guessed".into()));
            dial(&config).await.unwrap_err();
            let all = world.refusals_of(tenant, "unknown_credential").await;
            assert_eq!(all[0].last.endpoint_id, M1);
            assert_eq!(all[0].last.source, "127.0.0.1");
        }
        let refused = EventKind::ConnectionRefused;
        let data = world.told_of(&tenant, refused, "unknown_credential").await;
        assert!(
            data["peer"].as_str().unwrap().starts_with("127.0.0.1:"),
            "{data}"
        );
        assert_eq!(data["endpoint"], M1);
    }
}

#[tokio::test]
async fn a_wrong_credential_is_told_to_the_only_tenant_there_is() {
    for db in databases().await.unwrap() {
        let world = World::start(db).await;
        assert_eq!(Puppet::refused(&world.url("guessed"), M1).await, 401);
        let refused = EventKind::ConnectionRefused;
        let told = world.told_of(&world.tenant, refused, "unknown_credential");
        assert_eq!(told.await["endpoint"], M1);
    }
}

#[tokio::test]
async fn an_address_that_guesses_hides_nobody_else_and_is_counted() {
    const TIMES: u64 = 1_500;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asks = free();
    let world = asked(sqlite().await.unwrap(), asks, None).await;
    let ask = Asks::at(asks);
    let (tenant, _) = other(&world).await;
    let come = async |id: &str, peer: &str| {
        let body =
            json!({"username": "acme/setup", "password": "no", "clientid": id, "peerhost": peer});
        assert_eq!(
            ask.json("emqx/auth", "", body).await.1,
            r#"{"result":"deny"}"#
        );
    };
    let counted = async |wanted: u64| {
        until("all of them are counted", async || {
            let all = world
                .refusals_of(Some(&world.tenant), "unknown_credential")
                .await;
            let times: u64 = all.iter().map(|one| one.times).sum();
            (times == wanted).then_some(all)
        })
        .await
    };
    come(M1, "192.0.2.1").await;
    for n in 1..=TIMES {
        come(&format!("self::guess-{n}"), "198.51.100.9").await;
        // What waits to be remembered is bounded.
        if n % (REFUSALS_QUEUED_MAX as u64 / 2) == 0 {
            counted(n + 1).await;
        }
    }
    come(M2, "2001:db8::7").await;
    let all = counted(TIMES + 2).await;
    let of = |source: &str| all.iter().filter(|one| one.last.source == source).count();
    assert_eq!((of("192.0.2.1"), of("2001:db8::/64")), (1, 1));
    let max = usize::try_from(store::limits::REFUSALS_PER_SOURCE_MAX).unwrap();
    assert_eq!(of("198.51.100.9"), max + 1);
    // The log hears of it, and not of each.
    let filter = EventFilter {
        kinds: vec![EventKind::ConnectionRefused],
        ..EventFilter::default()
    };
    let page = world.store.events_after(&world.tenant, 0, &filter, 500);
    let guesses = page.await.unwrap().events.into_iter();
    let guesses = guesses.filter(|stored| stored.event.data.to_string().contains("self::guess-"));
    assert_eq!(guesses.count(), REFUSAL_EVENTS_PER_SOURCE_MAX as usize);
    let told = world.told_of(&world.tenant, EventKind::ConnectionRefused, M2);
    assert_eq!(told.await["peer"], "2001:db8::7");
    let theirs = world
        .store
        .refusal_list(Some(&tenant), Timestamp::default(), 500);
    assert!(theirs.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_setup_key_that_is_revoked_ends_the_links_of_those_that_have_nothing_else() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for db in databases().await.unwrap() {
        let world = World::start(db).await;
        // It answers nothing that it is asked, so it is given no credential of its own.
        let url = world.url(&world.key);
        let mut shared = Puppet::dial(&url, M1, &world.own).await.unwrap();
        world.linked(M1, "websocket").await;
        world.revoke().await;
        let code = loop {
            match shared.next().await {
                Seen::Event(_) => {}
                Seen::Closed(code) => break code,
                Seen::Gone => panic!("it is not told"),
            }
        };
        assert_eq!(code, Some(mtp::ws::CloseCode::Policy));
        world.unlinked(M1, "websocket").await;
        assert_eq!(Puppet::refused(&url, M1).await, 401);
    }
}

#[tokio::test]
async fn a_setup_key_that_is_revoked_ends_what_it_has_opened_behind_a_broker_that_asks() {
    let asks = free();
    let broker = rabbitmq(asks);
    let db = sqlite().await.unwrap();
    let world = asked(db, asks, Some(broker.mqtt)).await;
    let own = EndpointId::parse(M2).unwrap();
    let topic = format!("usp/acme/controller/{M2}");
    let listens = format!("usp/acme/agent/{M2}");
    let mut config = DialConfig::new("127.0.0.1", broker.mqtt, own.clone(), &topic);
    config.version = Version::V311;
    config.response_topic = Some(listens.clone());
    (config.username, config.password) = (Some("acme/setup".into()), Some(world.key.clone()));
    let mut link = dial(&config).await.unwrap();
    let us = EndpointId::parse(&world.own).unwrap();
    let hello = usp::record::MqttConnectRecord {
        subscribed_topic: listens,
        ..Default::default()
    };
    let hello = usp::Record::new(usp::Version::V1_3, &own, &us, hello);
    let hello = bytes::Bytes::from(usp::codec::encode_record(&hello));
    link.send(hello.clone(), None).await.unwrap();
    world.linked(M2, "mqtt").await;
    world.revoke().await;
    world.unlinked(M2, "mqtt").await;
    // RabbitMQ leaves its connection open, and the server hears it no more.
    link.send(hello, None).await.unwrap();
    world.refused("setup_key_unusable").await;
    until("it has no link", async || {
        (world.brokers[0].health().devices == 0).then_some(())
    })
    .await;
}
