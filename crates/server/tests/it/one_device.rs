//! Devices that are one, or two: merging, splitting, what waits for a person; and the sessions of a device.

use fleet::{
    CertificateId, DeviceId, Identity, IdentityKind, MatchId, SessionId, TenantId, Timestamp,
};
use reqwest::Method;
use serde_json::{Value, json};
use server::{secret, state::now};
use store::{
    ManagementSession, MatchRecord, NewCertificate, PathPatch, SessionEntry, SessionFault,
    SessionTranscript, Visit, VisitPath,
};

use crate::world::{World, worlds};

pub fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

/// One of a CPE, just now.
fn visit(device: DeviceId, serial: &str, authenticated_by: &str) -> Visit {
    Visit {
        device,
        at: now(),
        expected_by: Timestamp(now().0 + 3_600_000),
        path: VisitPath {
            transport: "cwmp".to_owned(),
            endpoint_id: format!("00256D-Box-{serial}"),
            peer: "192.0.2.9:4711".to_owned(),
            authenticated_by: authenticated_by.to_owned(),
            setup_key: None,
            info: json!({}),
        },
    }
}

/// A device that came over CWMP, apart from how it was registered.
pub async fn cwmp(world: &World, serial: &str) -> DeviceId {
    let id = world.device(&format!("proto::{serial}-unused")).await;
    let id: DeviceId = id.parse().unwrap();
    let visit = visit(id, serial, "setup_key");
    let (store, tenant) = (world.store(), tenant());
    let setup = "websocket";
    store.path_delete(&tenant, id, setup, vec![]).await.unwrap();
    store.device_visited(&tenant, vec![visit]).await.unwrap();
    let name = Identity {
        kind: IdentityKind::CwmpDevice,
        value: format!("00256D-Box-{serial}"),
    };
    let source = "device".to_owned();
    store
        .identity_attach(&tenant, id, vec![name], source, now(), vec![])
        .await
        .unwrap();
    id
}

/// Two that may be one: a USP device, one over CWMP, and the pair.
pub async fn pair(world: &World, serial: &str) -> (DeviceId, DeviceId, MatchId) {
    let usp = world.device(&format!("proto::{serial}")).await;
    let usp: DeviceId = usp.parse().unwrap();
    let other = cwmp(world, serial).await;
    let found = MatchRecord {
        id: MatchId::new(now(), secret::id_bits()),
        device: usp,
        other,
        identity: format!("oui_serial 00256D-{serial}"),
        reason: "test".to_owned(),
        created_at: now(),
        rejected_at: None,
        rejected_by: String::new(),
    };
    let id = found.id;
    world
        .store()
        .match_suggest(&tenant(), found, vec![])
        .await
        .unwrap();
    (usp, other, id)
}

/// A certificate that was issued to a device for its endpoint id.
async fn issued(world: &World, endpoint: &str) -> CertificateId {
    let new = NewCertificate {
        id: CertificateId::new(now(), secret::id_bits()),
        endpoint_id: endpoint.to_owned(),
        fingerprint: [7; 32],
        serial: "1".to_owned(),
        issuer: "ours".to_owned(),
        pem: String::new(),
        not_before: now(),
        not_after: Timestamp(now().0 + 3_600_000),
        replaces: None,
        created_at: now(),
        created_by: String::new(),
    };
    let id = new.id;
    let (store, tenant) = (world.store(), tenant());
    store
        .certificate_insert(&tenant, new, vec![])
        .await
        .unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cpe_that_comes_with_the_certificate_of_the_device_is_not_split_from_it() {
    for world in worlds().await {
        let usp = world.device("proto::P3").await;
        let device: DeviceId = usp.parse().unwrap();
        let certificate = issued(&world, "proto::P3").await;
        let visit = visit(device, "P3", "certificate");
        let (store, tenant) = (world.store(), tenant());
        store.device_visited(&tenant, vec![visit]).await.unwrap();
        let split = format!("/api/v1/devices/{usp}/split");
        for transport in ["cwmp", "websocket"] {
            let refused = world.post(&split, json!({"transport": transport})).await;
            assert_eq!(refused.status(), 422);
            let words = refused.text().await.unwrap();
            assert!(words.contains("revoke that one first"), "{words}");
        }
        let revoke = format!("/api/v1/certificates/{certificate}/revoke");
        let revoked = world.post(&revoke, json!({"reason": "split"})).await;
        assert_eq!(revoked.status(), 200);
        let made = world.post(&split, json!({"transport": "cwmp"})).await;
        assert_eq!(made.status(), 201);
    }
}

/// A session of a device, in which a secret was refused.
pub async fn session(world: &World, device: DeviceId) -> SessionId {
    let at = now();
    let session = ManagementSession {
        id: SessionId::new(at, secret::id_bits()),
        device,
        protocol: "cwmp".to_owned(),
        started_at: at,
        ended_at: at,
        peer: "192.0.2.9:4711".to_owned(),
        events: vec!["2 PERIODIC".to_owned()],
        ending: "the device had nothing more to say".to_owned(),
        faults: 1,
    };
    let said = SessionTranscript {
        entries: vec![SessionEntry {
            at,
            direction: "in".to_owned(),
            kind: "Inform".to_owned(),
            text: "<Inform/>".to_owned(),
            masked: false,
        }],
        left_out: 0,
        faults: vec![SessionFault {
            code: 9007,
            message: "hunter22 is too short".to_owned(),
            asked: "SetParameterValues".to_owned(),
            parameter: Some("Device.WiFi.AccessPoint.1.Security.KeyPassphrase".to_owned()),
            value: Some("hunter22".to_owned()),
        }],
    };
    let id = session.id;
    world
        .store()
        .management_session_put(&tenant(), session, said)
        .await
        .unwrap();
    id
}

async fn get(world: &World, path: &str) -> Value {
    let answer = world.request(Method::GET, path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_is_accepted_and_split_again_and_stays_two() {
    for world in worlds().await {
        let (usp, other, id) = pair(&world, "P1").await;
        let waiting = get(&world, "/api/v1/device-matches").await;
        assert_eq!(waiting["items"][0]["id"], id.to_string());
        assert_eq!(waiting["items"][0]["other"]["protocols"], json!(["usp"]));
        let path = format!("/api/v1/device-matches/{id}/accept");
        let merged: Value = world.post(&path, json!({})).await.json().await.unwrap();
        assert_eq!(merged["id"], usp.to_string());
        let gone = world
            .request(Method::GET, &format!("/api/v1/devices/{other}"))
            .send();
        assert_eq!(gone.await.unwrap().status(), 404);
        let reach = get(&world, &format!("/api/v1/devices/{usp}/reach")).await;
        let ways: Vec<_> = reach["paths"].as_array().unwrap().iter().collect();
        assert_eq!((ways.len(), &ways[0]["protocol"]), (2, &json!("cwmp")));
        assert_eq!(ways[0]["connected"], true);
        assert!(ways[0]["expected_by"].is_string());
        let split = format!("/api/v1/devices/{usp}/split");
        let wrong = world.post(&split, json!({"transport": "stomp"})).await;
        assert_eq!(wrong.status(), 422);
        let made = world.post(&split, json!({"transport": "cwmp"})).await;
        assert_eq!(made.status(), 201);
        let made: Value = made.json().await.unwrap();
        assert_eq!(made["protocols"], json!(["cwmp"]));
        let again = world.post(&split, json!({"transport": "websocket"})).await;
        assert_eq!(again.status(), 422, "it has one path");
        let rejected = get(&world, "/api/v1/device-matches?rejected=true").await;
        assert_eq!(rejected["items"][0]["other"]["id"], made["id"]);
        let by = rejected["items"][0]["rejected_by"].as_str().unwrap();
        assert!(by.starts_with("user:admin"), "{by}");
        // What happened to either of the two before they were one is there as well.
        let timeline = get(&world, &format!("/api/v1/devices/{usp}/timeline")).await;
        let old = timeline["items"].as_array().unwrap().iter();
        let old = old.filter(|one| one["device_id"] == other.to_string());
        assert!(old.count() > 0, "{timeline:#}");
        let kinds = timeline["items"].as_array().unwrap().iter();
        let kinds: Vec<_> = kinds.map(|one| one["kind"].as_str().unwrap()).collect();
        // Page by page it is the same, in the same order.
        let seq = |page: &Value| {
            let items = page["items"].as_array().unwrap().iter();
            items.map(|one| one["cursor"].clone()).collect::<Vec<_>>()
        };
        let (mut paged, mut path) = (
            Vec::new(),
            format!("/api/v1/devices/{usp}/timeline?limit=2"),
        );
        loop {
            let page = get(&world, &path).await;
            paged.extend(seq(&page));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            path = format!("/api/v1/devices/{usp}/timeline?limit=2&cursor={next}");
        }
        assert_eq!(paged, seq(&timeline));
        assert!(!paged[0].is_null());
        assert!(
            kinds.contains(&"device.split") && kinds.contains(&"device.merged"),
            "{kinds:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_pair_is_not_listed_any_more_and_what_comes_over_one_transport_is_two() {
    for world in worlds().await {
        let (usp, other, id) = pair(&world, "P1").await;
        let path = format!("/api/v1/device-matches/{id}/reject");
        for _ in 0..2 {
            assert_eq!(world.post(&path, json!({})).await.status(), 204);
        }
        let waiting = get(&world, "/api/v1/device-matches").await;
        assert_eq!(waiting["items"], json!([]));
        let merge = format!("/api/v1/devices/{other}/merge");
        let itself = world.post(&merge, json!({ "device_id": other })).await;
        assert_eq!(itself.status(), 422);
        let third = cwmp(&world, "P3").await;
        let both = world.post(&merge, json!({ "device_id": third })).await;
        assert_eq!(both.status(), 409);
        assert!(both.text().await.unwrap().contains("cwmp"));
        // A person knows better than a rule, and may change the mind.
        let merge = format!("/api/v1/devices/{usp}/merge");
        let merged = world.post(&merge, json!({ "device_id": other })).await;
        assert_eq!(merged.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_was_registered_with_a_credential_and_never_came_is_merged_with_the_one_that_did()
 {
    for world in worlds().await {
        let came = cwmp(&world, "P1").await;
        let registered = world.device("proto::R1").await;
        let id: DeviceId = registered.parse().unwrap();
        // Its own password waits for it.
        let reach = PathPatch {
            transport: "cwmp".to_owned(),
            endpoint_id: "00256D-Box-R1".to_owned(),
            dial_url: None,
            certificate_required: Some(false),
        };
        let (store, tenant) = (world.store(), tenant());
        let unused = store.path_delete(&tenant, id, "websocket", vec![]);
        unused.await.unwrap();
        let revised = store.device_revise(&tenant, id, Default::default(), reach, now(), vec![]);
        revised.await.unwrap();
        let hash = secret::hash("for R1");
        store
            .path_set_pending(&tenant, id, "cwmp", hash, now(), vec![])
            .await
            .unwrap();
        let merge = format!("/api/v1/devices/{came}/merge");
        let merged = world.post(&merge, json!({ "device_id": registered })).await;
        let status = merged.status();
        assert_eq!(status, 200, "{}", merged.text().await.unwrap());
        let reach = get(&world, &format!("/api/v1/devices/{came}/reach")).await;
        let ways = reach["paths"].as_array().unwrap();
        let cwmp = ways.iter().find(|way| way["protocol"] == "cwmp").unwrap();
        assert_eq!(cwmp["connected"], true, "{reach:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sessions_of_a_device_are_listed_and_a_fault_says_what_was_tried_without_secrets() {
    for world in worlds().await {
        let device = cwmp(&world, "P1").await;
        let (first, last) = (session(&world, device).await, session(&world, device).await);
        let list = format!("/api/v1/devices/{device}/sessions");
        let page = get(&world, &format!("{list}?limit=1")).await;
        assert_eq!(page["items"][0]["id"], last.max(first).to_string());
        let next = page["next"].as_str().unwrap();
        let page = get(&world, &format!("{list}?cursor={next}")).await;
        assert_eq!(page["items"].as_array().unwrap().len(), 1);
        let said = get(&world, &format!("{list}/{last}")).await;
        assert_eq!(said["entries"][0]["direction"], "received");
        let fault = &said["fault_details"][0];
        assert_eq!(
            (&fault["code"], &fault["value"]),
            (&json!(9007), &json!("********"))
        );
        assert_eq!(fault["message"], "******** is too short");
        assert_eq!(fault["similar_devices"], 0);
        let wrong = world.request(Method::GET, &format!("{list}/17")).send();
        let wrong = wrong.await.unwrap();
        assert_eq!(wrong.status(), 400);
        assert!(wrong.text().await.unwrap().contains("session_id"));
    }
}
