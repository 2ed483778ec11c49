//! The doctor names each reason why a device is not seen: what was seen, when, from where, why, and
//! what to do.

use serde_json::{Value, json};

use crate::api_world::World;
use crate::puppet::{Puppet, plain};
use crate::rig::until;
use crate::secure::shown;

const EID: &str = "os::00256D-D1";

async fn world() -> World {
    let mut world = World::with(store::testing::sqlite().await.unwrap(), |_| {}).await;
    world.populate().await;
    world
}

fn url(world: &World, key: &str) -> String {
    format!("ws://{}/usp/{key}", world.usp.unwrap())
}

async fn findings(world: &World, device: &str) -> Vec<Value> {
    let path = match device {
        "" => "/api/v1/doctor".to_owned(),
        device => format!("/api/v1/doctor?device={device}"),
    };
    let diagnosis = world.read(&path).await;
    diagnosis["findings"].as_array().unwrap().clone()
}

/// The finding with this code, and nothing said twice in all of them.
async fn found(world: &World, device: &str, code: &str) -> Value {
    let all = findings(world, device).await;
    for part in ["title", "detail", "remedy"] {
        let mut said: Vec<&str> = all.iter().filter_map(|one| one[part].as_str()).collect();
        let count = said.len();
        said.sort_unstable();
        said.dedup();
        assert_eq!(count, said.len(), "a {part} is said twice: {all:#?}");
    }
    let one = all.iter().find(|one| one["code"] == code);
    one.cloned()
        .unwrap_or_else(|| panic!("no {code} in {all:#?}"))
}

fn text<'a>(finding: &'a Value, part: &str) -> &'a str {
    finding[part].as_str().unwrap_or_default()
}

async fn setup_key(world: &World) -> (String, String) {
    let made = world.post("/api/v1/setup-keys", json!({"name": "k"})).await;
    let made: Value = made.json().await.unwrap();
    let of = |value: &Value| value.as_str().unwrap().to_owned();
    (of(&made["secret"]), of(&made["setup_key"]["id"]))
}

#[tokio::test]
async fn the_listener_is_named_with_the_port_it_has() {
    let world = world().await;
    let port = world.usp.unwrap().port().to_string();
    let local = found(&world, "", "device-listener-local").await;
    assert!(text(&local, "remedy").contains(&port), "{local:#}");
    assert!(!text(&local, "remedy").contains("8081"), "{local:#}");
    // Nobody has come yet: that is said, with where to look.
    let nobody = found(&world, "", "nobody-came").await;
    assert!(text(&nobody, "remedy").contains(&port), "{nobody:#}");
    let closed = World::with(store::testing::sqlite().await.unwrap(), |config| {
        config.usp.listen = None;
    });
    let mut closed = closed.await;
    closed.populate().await;
    let none = found(&closed, "", "no-device-listener").await;
    assert_eq!(none["severity"], "problem");
}

#[tokio::test]
async fn the_certificate_of_the_listener_is_shown_and_an_expired_one_is_a_problem() {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config| {
        config.usp.tls_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    world.populate().await;
    let good = found(&world, "", "certificate").await;
    assert!(text(&good, "detail").contains("development-ca"), "{good:#}");
    assert!(text(&good, "detail").contains("localhost"), "{good:#}");
    let dir = tempfile::tempdir().unwrap();
    let ca = crate::secure::Authority::new(dir.path(), "ca");
    let old = ca.issue("server", None, true);
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config| {
        config.usp.tls_listen = Some("127.0.0.1:0".parse().unwrap());
        config.usp.tls = Some(server::config::DeviceTls {
            certificate: old.certificate,
            key: old.key,
            client_ca: None,
        });
    })
    .await;
    world.populate().await;
    let bad = found(&world, "", "certificate-expired").await;
    assert_eq!(bad["severity"], "problem");
    assert!(text(&bad, "detail").contains("1999-01-01"), "{bad:#}");
}

#[tokio::test]
async fn setup_keys_are_counted_by_what_became_of_them() {
    let world = world().await;
    let none = found(&world, "", "no-setup-key").await;
    assert!(
        text(&none, "detail").starts_with("0 setup keys are in force"),
        "{none:#}"
    );
    let (key, id) = setup_key(&world).await;
    found(&world, "", "setup-key").await;
    let revoked = world
        .request(reqwest::Method::DELETE, &format!("/api/v1/setup-keys/{id}"))
        .send();
    assert_eq!(revoked.await.unwrap().status(), 204);
    let none = found(&world, "", "no-setup-key").await;
    assert!(text(&none, "detail").contains("1 revoked"), "{none:#}");
    assert_eq!(Puppet::refused(&url(&world, &key), EID).await, 401);
    shown(&world, "setup_key_unusable").await;
    // As a whole, and about the device.
    let refused = found(&world, "", "refused-setup-key-unusable").await;
    for part in ["127.0.0.1", EID, "in the last day"] {
        assert!(text(&refused, "detail").contains(part), "{refused:#}");
    }
    assert!(
        text(&refused, "title").contains("was revoked"),
        "{refused:#}"
    );
    let refused = found(&world, EID, "device-setup-key-unusable").await;
    assert!(text(&refused, "title").contains(EID), "{refused:#}");
    assert!(!text(&refused, "remedy").is_empty(), "{refused:#}");
}

#[tokio::test]
async fn an_endpoint_id_that_does_not_fit_is_named_with_both() {
    let world = world().await;
    let made = world
        .post("/api/v1/devices", json!({"endpoint_id": EID}))
        .await;
    let made: Value = made.json().await.unwrap();
    let token = made["secret"].as_str().unwrap();
    let thief = "os::00256D-THIEF";
    assert_eq!(Puppet::refused(&url(&world, token), thief).await, 403);
    shown(&world, "endpoint_mismatch").await;
    let refused = found(&world, thief, "device-endpoint-mismatch").await;
    assert!(
        text(&refused, "title").contains("another device"),
        "{refused:#}"
    );
}

#[tokio::test]
async fn a_disabled_tenant_is_told_as_such() {
    let world = world().await;
    let patch = |disabled: bool| {
        world
            .request(reqwest::Method::PATCH, "/api/v1/tenants/other")
            .json(&json!({"disabled": disabled}))
            .send()
    };
    let as_other = |path: &str| {
        world
            .http
            .get(format!("{}{path}", world.url))
            .bearer_auth(&world.other)
            .send()
    };
    assert_eq!(as_other("/api/v1/doctor").await.unwrap().status(), 200);
    let patched = patch(true).await.unwrap();
    assert_eq!(patched.status(), 200);
    let patched: Value = patched.json().await.unwrap();
    assert!(patched["disabled_at"].is_string(), "{patched:#}");
    // Its people are shut out; the platform administrator acts in it.
    assert_eq!(as_other("/api/v1/doctor").await.unwrap().status(), 401);
    let refused = world
        .sign_in("boss@other", crate::api_world::PASSWORD)
        .await;
    assert_eq!(refused.0, 401);
    let diagnosis = world
        .request(reqwest::Method::GET, "/api/v1/doctor")
        .header("Headend-Tenant", "other")
        .send()
        .await
        .unwrap();
    let diagnosis = diagnosis.text().await.unwrap();
    assert!(diagnosis.contains("tenant-disabled"), "{diagnosis}");
    assert_eq!(patch(false).await.unwrap().status(), 200);
    assert_eq!(as_other("/api/v1/doctor").await.unwrap().status(), 200);
    // Nobody locks himself out.
    let own = world
        .request(reqwest::Method::PATCH, "/api/v1/tenants/default")
        .json(&json!({"disabled": true}))
        .send();
    assert_eq!(own.await.unwrap().status(), 409);
}

#[tokio::test]
async fn a_device_is_said_to_be_online_or_offline_and_why_it_is_refused() {
    let world = world().await;
    let (key, _) = setup_key(&world).await;
    let mut puppet = Puppet::dial(&url(&world, &key), EID, &world.endpoint)
        .await
        .unwrap();
    let busy = tokio::spawn(async move { puppet.serve(plain).await });
    until("it is said to be online", || async {
        let all = findings(&world, EID).await;
        let online = all.iter().any(|one| one["code"] == "device-online");
        online.then_some(())
    })
    .await;
    let online = found(&world, EID, "device-online").await;
    assert!(
        text(&online, "title").contains("is registered and online since"),
        "{online:#}"
    );
    busy.abort();
    until("it is said to be offline", || async {
        let all = findings(&world, EID).await;
        let offline = all.iter().any(|one| one["code"] == "device-offline");
        offline.then_some(())
    })
    .await;
    let offline = found(&world, EID, "device-offline").await;
    assert!(
        text(&offline, "detail").contains("127.0.0.1"),
        "{offline:#}"
    );
    assert!(!text(&offline, "remedy").is_empty(), "{offline:#}");
    let unknown = found(&world, "os::00256D-NOBODY", "device-unknown").await;
    let port = world.usp.unwrap().port().to_string();
    assert!(text(&unknown, "remedy").contains(&port), "{unknown:#}");
}

#[tokio::test]
async fn a_reset_device_is_shown_as_refused_on_its_page_and_by_the_doctor() {
    let world = world().await;
    let made = world
        .post("/api/v1/devices", json!({"endpoint_id": EID}))
        .await;
    let made: Value = made.json().await.unwrap();
    let page = format!("/api/v1/devices/{}", made["device"]["id"].as_str().unwrap());
    let (key, _) = setup_key(&world).await;
    // Registered with a credential of its own, and comes with a setup key.
    assert_eq!(Puppet::refused(&url(&world, &key), EID).await, 403);
    shown(&world, "token_expected").await;
    // With its credential it comes in; then it is reset and comes with the setup key.
    let token = made["secret"].as_str().unwrap();
    let puppet = Puppet::dial(&url(&world, token), EID, &world.endpoint).await;
    let puppet = puppet.unwrap();
    until("its page says so", || async {
        let device = world.read(&page).await;
        (device["admission"]["words"] == "It comes with its own credential.").then_some(())
    })
    .await;
    // The credential counts a moment before the link does.
    until("it is connected", || async {
        let reach = world.read(&format!("{page}/reach")).await;
        (reach["paths"][0]["connected"] == true).then_some(())
    })
    .await;
    drop(puppet);
    until("it is gone", || async {
        let device = world.read(&page).await;
        (device["presence"]["word"] == "offline").then_some(())
    })
    .await;
    assert_eq!(Puppet::refused(&url(&world, &key), EID).await, 403);
    shown(&world, "readmit_needed").await;
    let device = world.read(&page).await;
    let words = device["admission"]["words"].as_str().unwrap();
    assert!(
        words.contains("was refused at") && words.contains("re-admit"),
        "{words}"
    );
    let refused = found(&world, EID, "device-readmit-needed").await;
    assert!(
        text(&refused, "detail").contains("127.0.0.1"),
        "{refused:#}"
    );
    let offline = found(&world, EID, "device-offline").await;
    assert!(
        text(&offline, "detail").contains("is refused"),
        "{offline:#}"
    );
    // Re-admitting it says what happens next.
    assert_eq!(
        world
            .post(&format!("{page}/readmit"), json!({}))
            .await
            .status(),
        200
    );
    let device = world.read(&page).await;
    assert_eq!(device["admission"]["state"], "readmitted");
}

#[tokio::test]
async fn a_word_that_finds_many_devices_shows_the_first_of_them() {
    let world = world().await;
    for n in 0..server::limits::DOCTOR_DEVICES_MAX + 2 {
        let body = json!({"endpoint_id": format!("os::00256D-MANY{n}")});
        assert_eq!(world.post("/api/v1/devices", body).await.status(), 201);
    }
    let all = findings(&world, "MANY").await;
    let shown = all.iter().filter(|one| one["code"] == "device-never-seen");
    assert_eq!(shown.count(), server::limits::DOCTOR_DEVICES_MAX);
}

#[tokio::test]
async fn the_stun_server_and_the_xmpp_account_are_named_with_their_state() {
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let mut world = World::with(store::testing::sqlite().await.unwrap(), |config| {
        config.cwmp.listen = Some(here);
        config.cwmp.stun_listen = Some(here);
        config.cwmp.xmpp = Some(server::config::Xmpp {
            jid: "acs@example.net".into(),
            // Where nobody listens.
            host: Some("127.0.0.1:9".into()),
            ..Default::default()
        });
    })
    .await;
    world.populate().await;
    let stun = found(&world, "", "stun-server-not-told").await;
    assert!(text(&stun, "detail").contains("127.0.0.1:"), "{stun:#}");
    assert!(text(&stun, "remedy").contains("cwmp.stun_address"));
    let down = until("the account to be down", || async {
        let all = findings(&world, "").await;
        all.into_iter()
            .find(|one| one["code"] == "xmpp-account-down")
    })
    .await;
    assert_eq!(down["severity"], "problem");
    assert!(text(&down, "detail").contains("127.0.0.1:9"), "{down:#}");
}
