//! What brokers that ask are answered.

use fleet::{DeviceId, Identity, SetupKeyId, TenantId};
use serde_json::{Value, json};
use server::{secret, state::now};
use store::PathSetup;
use store::testing::{databases, sqlite};

use crate::asked::{Asks, asked, asked_by, other, queue};
use crate::mosquitto::free;
use crate::rig::{World, add_key};

const M1: &str = "os::00256D-M1";
const M2: &str = "os::00256D-M2";
const ALLOW: &str = "{\"result\":\"allow\"}";
const DENY: &str = "{\"result\":\"deny\"}";

/// A device that an operator registers with a credential of its own.
async fn registered(world: &World, tenant: &TenantId, endpoint: &str) -> (DeviceId, String) {
    let id = DeviceId::new(now(), secret::id_bits());
    let new = store::NewDevice::expected(id, vec![Identity::endpoint(endpoint)], now());
    let setup = PathSetup {
        transport: "mqtt".into(),
        endpoint_id: endpoint.into(),
        ..PathSetup::default()
    };
    let token = secret::new(secret::DEVICE);
    let hash = Some(secret::hash(&token));
    let expected = world.store.device_expect(tenant, new, setup, hash, vec![]);
    expected.await.unwrap();
    (id, token)
}

async fn comes(ask: &Asks, user: &str, password: &str, id: &str) -> String {
    let body = json!({"username": user, "password": password, "clientid": id});
    ask.json("emqx/auth", "", body).await.1
}

async fn publishes(ask: &Asks, user: &str, id: &str, tenant: &str) -> String {
    let topic = format!("usp/{tenant}/controller/{M1}");
    let body = json!({"username": user, "clientid": id, "action": "publish", "topic": topic});
    ask.json("emqx/acl", "", body).await.1
}

#[tokio::test]
async fn a_client_identifier_is_the_tenants_that_had_its_endpoint_id_first() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for db in databases().await.unwrap() {
        let asks = free();
        // The broker is not needed, but its tenants are.
        let nowhere = Some(format!("mqtt://{}", free()));
        let world = asked_by(db, asks, nowhere, false).await;
        let (tenant, key) = other(&world).await;
        let ask = Asks::at(asks);
        let (first, ours) = registered(&world, &world.tenant, M1).await;
        let (second, theirs) = registered(&world, &tenant, M1).await;
        let ours_user = format!("acme/{first}");
        let theirs_user = format!("other/{second}");
        assert_eq!(comes(&ask, &theirs_user, &theirs, M1).await, DENY);
        assert_eq!(comes(&ask, "other/setup", &key, M1).await, DENY);
        assert_eq!(comes(&ask, &ours_user, &ours, M1).await, ALLOW);
        // With its tenant before it nobody else has it.
        let scoped = format!("other/{M1}");
        assert_eq!(comes(&ask, &theirs_user, &theirs, &scoped).await, ALLOW);
        assert_eq!(publishes(&ask, &theirs_user, &scoped, "other").await, ALLOW);
        assert_eq!(publishes(&ask, &theirs_user, &scoped, "acme").await, DENY);
        assert_eq!(comes(&ask, &ours_user, &ours, &scoped).await, DENY);
        world.refused("client-identifier-taken").await;
        // Nor what RabbitMQ keeps under it, also for who came without an identifier, over STOMP.
        let stomp = format!("other/setup/{M1}");
        let free = format!("other/setup/{M2}");
        for (user, endpoint) in [(&stomp, M1), (&free, M2)] {
            let come = json!({"username": user, "password": key});
            let told = ask.json("rabbitmq/user", "", come).await.1;
            assert_eq!(
                told == "allow",
                endpoint == M2,
                "it has a credential of its own"
            );
        }
        let kept = format!("mqtt-subscription-{M1}qos1");
        for permission in ["configure", "write", "read"] {
            assert_eq!(queue(&ask, &theirs_user, &kept, permission).await, "deny");
            assert_eq!(queue(&ask, &ours_user, &kept, permission).await, "allow");
            let own = format!("mqtt-subscription-{M2}qos1");
            assert_eq!(queue(&ask, &free, &own, permission).await, "allow");
        }
        // Which devices others have is nobody's business but the platform's.
        let since = fleet::Timestamp::default();
        for (tenant, told) in [(Some(&tenant), false), (None, true)] {
            let all = world.store.refusal_list(tenant, since, 100).await.unwrap();
            let mut reasons = all.iter().map(|one| one.last.reason.as_str());
            assert_eq!(reasons.any(|one| one == "client-identifier-taken"), told);
        }
    }
}

/// It keeps the name that was written into it.
#[tokio::test]
async fn a_device_that_was_merged_with_another_comes_under_its_old_name() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for db in databases().await.unwrap() {
        let asks = free();
        let world = asked(db, asks, None).await;
        let ask = Asks::at(asks);
        let (from, token) = registered(&world, &world.tenant, M1).await;
        let into = crate::rig::registered(&world, M2).await;
        let user = format!("acme/{from}");
        assert_eq!(comes(&ask, &user, &token, M1).await, ALLOW);
        let merged = world.store.device_merge(&world.tenant, from, into, vec![]);
        merged.await.unwrap();
        assert_eq!(publishes(&ask, &user, M1, "acme").await, ALLOW);
        assert_eq!(comes(&ask, &user, &token, M1).await, ALLOW);
        // And nobody else's.
        let (other, _) = registered(&world, &world.tenant, "os::00256D-M3").await;
        let other = format!("acme/{other}");
        assert_eq!(comes(&ask, &other, &token, M1).await, DENY);
        assert_eq!(publishes(&ask, &other, M1, "acme").await, DENY);
    }
}

#[tokio::test]
async fn brokers_are_answered_about_their_tenants_alone() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asks = free();
    let world = asked(sqlite().await.unwrap(), asks, None).await;
    let ask = Asks::at(asks);
    // It is the only one there is, and stays theirs when there are more.
    assert_eq!(comes(&ask, "acme/setup", &world.key, M1).await, ALLOW);
    assert_eq!(publishes(&ask, "acme/setup", M1, "acme").await, ALLOW);
    let (_, key) = other(&world).await;
    assert_eq!(comes(&ask, "acme/setup", &world.key, M1).await, ALLOW);
    assert_eq!(publishes(&ask, "acme/setup", M1, "acme").await, ALLOW);
    let theirs = "os::00256D-M2";
    assert_eq!(comes(&ask, "other/setup", &key, theirs).await, DENY);
    assert_eq!(publishes(&ask, "other/setup", theirs, "other").await, DENY);
    world.refused("tenant-not-behind-broker").await;
}

#[tokio::test]
async fn a_setup_key_that_is_revoked_ends_what_it_has_opened() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for db in databases().await.unwrap() {
        let asks = free();
        let world = asked(db, asks, None).await;
        let ask = Asks::at(asks);
        let id = SetupKeyId::new(now(), secret::id_bits());
        let key = add_key(&world.store, &world.tenant, id, Some(1)).await;
        assert_eq!(comes(&ask, "acme/setup", &key, M1).await, ALLOW);
        // Used up by itself.
        assert_eq!(publishes(&ask, "acme/setup", M1, "acme").await, ALLOW);
        let revoked = world
            .store
            .setup_key_revoke(&world.tenant, id, now(), vec![]);
        revoked.await.unwrap();
        assert_eq!(publishes(&ask, "acme/setup", M1, "acme").await, DENY);
    }
}

/// Whoever hears it then, and after whatever.
#[tokio::test]
async fn that_a_readmitted_device_wants_a_credential_outlives_the_server() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for db in databases().await.unwrap() {
        let asks = free();
        let world = asked(db, asks, None).await;
        let ask = Asks::at(asks);
        let (device, token) = registered(&world, &world.tenant, M1).await;
        let user = format!("acme/{device}");
        assert_eq!(comes(&ask, &user, &token, M1).await, ALLOW);
        assert_eq!(comes(&ask, "acme/setup", &world.key, M1).await, DENY);
        let (store, tenant) = (&world.store, &world.tenant);
        let until = Some(now().plus(crate::rig::PATIENCE));
        store
            .path_readmit(tenant, device, until, vec![])
            .await
            .unwrap();
        let wanted = async || {
            let path = store.path(tenant, device, "mqtt").await.unwrap().unwrap();
            path.swap_key
        };
        assert_eq!(wanted().await, None);
        assert_eq!(comes(&ask, "acme/setup", &world.key, M1).await, ALLOW);
        assert_eq!(wanted().await, Some(world.key_id));
        assert_eq!(publishes(&ask, "acme/setup", M1, "acme").await, ALLOW);
        // It had its credential after all.
        assert_eq!(comes(&ask, &user, &token, M1).await, ALLOW);
        assert_eq!(wanted().await, None);
    }
}

#[tokio::test]
async fn devices_come_into_one_virtual_host_and_to_its_topics_alone() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asks = free();
    let world = asked(sqlite().await.unwrap(), asks, None).await;
    let ask = Asks::at(asks);
    let user = json!({"username": "acme/setup", "password": world.key, "client_id": M1});
    assert_eq!(ask.json("rabbitmq/user", "", user).await.1, "allow");
    let said = async |what: &str, more: Value| {
        let mut all = json!({"username": "acme/setup", "variable_map.client_id": M1});
        let more = more.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(more);
        ask.json(&format!("rabbitmq/{what}"), "", all).await.1
    };
    let key = format!("usp.acme.controller.{M1}");
    let queue = format!("mqtt-subscription-{M1}qos1");
    for vhost in ["/", "others"] {
        let told = match vhost {
            "/" => "allow",
            _ => "deny",
        };
        assert_eq!(said("vhost", json!({ "vhost": vhost })).await, told);
        let exchange = json!({
            "vhost": vhost, "resource": "exchange", "name": "amq.topic", "permission": "write",
        });
        assert_eq!(said("resource", exchange).await, told);
        let own = json!({
            "vhost": vhost, "resource": "queue", "name": queue, "permission": "configure",
        });
        assert_eq!(said("resource", own).await, told);
        let topic = json!({
            "vhost": vhost, "name": "amq.topic", "permission": "write", "routing_key": key,
        });
        assert_eq!(said("topic", topic).await, told);
    }
    for (what, more) in [
        (
            "resource",
            json!({"resource": "queue", "name": "mqtt-subscription-os::00256D-M2qos1"}),
        ),
        ("resource", json!({"resource": "queue", "name": "orders"})),
        (
            "resource",
            json!({"resource": "exchange", "name": "amq.direct"}),
        ),
        (
            "resource",
            json!({"resource": "exchange", "name": "amq.topic", "permission": "configure"}),
        ),
        (
            "topic",
            json!({"name": "amq.direct", "permission": "write", "routing_key": key}),
        ),
        (
            "topic",
            json!({"name": "amq.topic", "permission": "write", "routing_key": "usp.acme.controller.*"}),
        ),
        (
            "topic",
            json!({"name": "amq.topic", "permission": "read", "routing_key": "usp.acme.agent.#"}),
        ),
    ] {
        let mut more = more;
        more["vhost"] = json!("/");
        assert_eq!(said(what, more.clone()).await, "deny", "{what} {more}");
    }
}
