//! Certificates that take one another's place, through the whole server and a real agent.

use agent::{ControllerConfig, MemoryStorage, MqttConfig};
use mtp::tls::authority::{Authority, KeyOf, Leaf};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::certificates::{CERTIFICATE, Site};
use crate::puppet::eid;
use crate::rig::{Real, until};
use crate::secure::Pair;

const EID: &str = "os::00256D-R1";

/// An agent that comes with nothing but this certificate, over `wss` or `mqtts`.
async fn agent(site: &Site, scheme: &str, own: &Pair) -> Real {
    let mut controller = ControllerConfig {
        endpoint_id: site.world.endpoint.clone(),
        url: format!("wss://{}/usp/default", site.world.usp_tls.unwrap()),
        retry_min_wait: 1,
        retry_multiplier: 1000,
        ..ControllerConfig::default()
    };
    if scheme == "mqtts" {
        controller.url = format!("mqtts://{}", site.mqtt);
        controller.mqtt = Some(MqttConfig {
            username: "default/x".into(),
            ..MqttConfig::default()
        });
    }
    let (agent, _) = Real::run("R1", MemoryStorage::new(), |config| {
        config.tls.ca_file = Some(site.roots.clone());
        config.tls.certificate = Some(own.certificate.clone());
        config.tls.key = Some(own.key.clone());
        config.controllers = vec![controller];
    });
    assert_eq!(agent.endpoint, EID);
    let transport = if scheme == "wss" { "websocket" } else { "mqtt" };
    site.came(EID, transport, CERTIFICATE).await;
    agent
}

async fn certificate(site: &Site, id: &str) -> Value {
    let shown = site.world.read(&format!("/api/v1/certificates/{id}")).await;
    shown["certificate"].clone()
}

async fn device_of(site: &Site, id: &str) -> String {
    let certificate = certificate(site, id).await;
    certificate["device_id"].as_str().unwrap().to_owned()
}

/// Has a device do something, and waits until it has.
async fn done(site: &Site, device: &str, op: Value) -> Value {
    let path = format!("/api/v1/devices/{device}/operations");
    let submitted = site
        .world
        .post(&path, json!({"mode": "apply", "ops": [op]}));
    let submitted: Value = submitted.await.json().await.unwrap();
    let id = submitted["operation"]["id"].as_str();
    let id = id.unwrap_or_else(|| panic!("{submitted:#}")).to_owned();
    until("the operation has succeeded", || async {
        let path = format!("/api/v1/operations/{id}");
        let operation = site.world.read(&path).await;
        assert_ne!(operation["state"], "failed", "{operation:#}");
        (operation["state"] == "succeeded").then_some(operation)
    })
    .await
}

/// A certificate that no server takes, for the key of this one.
async fn unfit(site: &Site, own: &Pair, how: &str) -> String {
    let key = std::fs::read_to_string(&own.key).unwrap();
    match how {
        // Refused by TLS, after the handshake is over for the agent.
        "of another authority" => {
            let folder = site.dir.path().join("elsewhere");
            let authority = Authority::create(&folder, "elsewhere", 3650).unwrap();
            let shown = std::fs::read_to_string(&own.certificate).unwrap();
            let made = authority.issue(&eid(EID), 30, KeyOf::Certificate(&shown));
            made.unwrap().pem
        }
        // Refused by the door.
        _ => {
            let key = KeyPair::from_pem(&key).unwrap();
            let request = CertificateParams::default().serialize_request(&key);
            let request = request.unwrap().pem().unwrap();
            let body = json!({"endpoint_id": EID, "request": request});
            let made = site.world.post("/api/v1/certificates", body).await;
            let made: Value = made.json().await.unwrap();
            let id = made["certificate"]["id"].as_str();
            let id = id.unwrap_or_else(|| panic!("{made:#}"));
            site.revoke(id).await;
            made["pem"].as_str().unwrap().to_owned()
        }
    }
}

#[tokio::test]
async fn a_renewed_certificate_that_the_server_refuses_does_not_shut_the_agent_out() {
    for (scheme, how) in [("wss", "of another authority"), ("mqtts", "revoked")] {
        let site = Site::start().await;
        let (old, own) = site.ours(EID).await;
        let before = std::fs::read_to_string(&own.certificate).unwrap();
        let agent = agent(&site, scheme, &own).await;
        let device = device_of(&site, &old).await;
        let pem = unfit(&site, &own, how).await;
        let op = json!({
            "kind": "operate",
            "command": "Device.LocalAgent.AddCertificate()",
            "input": {"Certificate": pem},
        });
        done(&site, &device, op).await;
        // The former one is kept until either is taken.
        let former = own.certificate.with_extension("former.pem");
        until("the former certificate is shown, and taken", || async {
            let shown = std::fs::read_to_string(&own.certificate).unwrap();
            (shown == before && !former.exists()).then_some(())
        })
        .await;
        let serial = "Device.LocalAgent.Certificate.*.SerialNumber";
        let op = json!({"kind": "get", "paths": [serial]});
        let read = done(&site, &device, op).await.to_string();
        let wanted = Leaf::of_pem(&before).unwrap().info.serial;
        assert!(read.contains(&wanted), "{read}");
        agent.stop().await;
    }
}

/// The agent goes on without a restart: it shows the new certificate in its next connection.
#[tokio::test]
async fn a_certificate_is_rotated_through_the_agent_and_the_old_one_ends_once_the_new_one_was_shown()
 {
    for scheme in ["wss", "mqtts"] {
        let site = Site::start().await;
        let (old, own) = site.ours(EID).await;
        let before = std::fs::read_to_string(&own.certificate).unwrap();
        let agent = agent(&site, scheme, &own).await;
        // One for another key, which the device does not have.
        let (_beside, _) = site.ours(EID).await;
        let device = device_of(&site, &old).await;
        let path = format!("/api/v1/devices/{device}/certificate/rotate");
        let rotated = site.world.post(&path, json!({"days": 30})).await;
        let status = rotated.status();
        let rotated: Value = rotated.json().await.unwrap();
        assert_eq!(status, 202, "{rotated:#}");
        let new = rotated["certificate"]["id"].as_str().unwrap();
        assert_eq!(rotated["certificate"]["replaces"], *old);
        until("the device has shown the new one", || async {
            certificate(&site, new).await["first_used_at"]
                .is_string()
                .then_some(())
        })
        .await;
        let old = certificate(&site, &old).await;
        assert_eq!(old["state"], "revoked", "{old:#}");
        assert!(old["reason"].as_str().unwrap().contains("took its place"));
        let operation = rotated["operation"]["id"].as_str().unwrap();
        until("the operation has succeeded", || async {
            let path = format!("/api/v1/operations/{operation}");
            let operation = site.world.read(&path).await;
            assert_ne!(operation["state"], "failed", "{operation:#}");
            (operation["state"] == "succeeded").then_some(())
        })
        .await;
        let after = std::fs::read_to_string(&own.certificate).unwrap();
        assert_ne!(before, after);
        // The key is the same, and the old certificate opens nothing any more.
        let kept = site.dir.path().join("old.pem");
        std::fs::write(&kept, before).unwrap();
        let kept = Pair {
            certificate: kept,
            key: own.key.clone(),
        };
        assert_eq!(site.refused("default", EID, &kept).await, 403);
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_device_without_a_certificate_of_ours_has_nothing_to_rotate() {
    let site = Site::start().await;
    let body = json!({"endpoint_id": EID});
    let made = site.world.post("/api/v1/devices", body).await;
    let made: Value = made.json().await.unwrap();
    let device = made["device"]["id"].as_str().unwrap();
    let path = format!("/api/v1/devices/{device}/certificate/rotate");
    let refused = site.world.post(&path, json!({})).await;
    assert_eq!(refused.status(), 409);
}

/// The one that a device has shown last is the one whose key it has, whichever it showed first last.
#[tokio::test]
async fn the_certificate_that_the_device_has_shown_last_is_rotated() {
    let site = Site::start().await;
    let (first, one) = site.ours(EID).await;
    let (second, two) = site.ours(EID).await;
    let tenant = fleet::TenantId::parse("default").unwrap();
    for (id, shown) in [(&first, &one), (&second, &two), (&first, &one)] {
        let puppet = site.dial("default", EID, shown).await.unwrap();
        let id = id.parse().unwrap();
        until("it is the one that was shown last", || async {
            let record = site.world.store().certificate(&tenant, id).await.unwrap();
            record.used_last.then_some(())
        })
        .await;
        drop(puppet);
    }
    let device = device_of(&site, &first).await;
    let path = format!("/api/v1/devices/{device}/certificate/rotate");
    let rotated = site.world.post(&path, json!({})).await;
    let rotated: Value = rotated.json().await.unwrap();
    assert_eq!(rotated["certificate"]["replaces"], *first, "{rotated:#}");
}
