//! The walk over the OpenAPI document: for each operation the owner is served, another tenant's
//! token on the same id finds nothing, a token without the permission is forbidden, and nobody
//! gets anything without a credential.

use crate::one_device;
use crate::world::{PASSWORD, World, all_scopes, worlds};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static NUMBER: AtomicU32 = AtomicU32::new(0);

fn fresh(word: &str) -> String {
    format!("{word}{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A certificate that was issued here, and its device. The authority is made with the first.
async fn certificate(world: &World) -> (String, String) {
    let _ = mtp::tls::authority::Authority::create(&world.data.join("pki"), "walk", 30);
    let body = json!({"endpoint_id": format!("proto::{}", fresh("certified"))});
    let made = world.post("/api/v1/certificates", body).await;
    let made: Value = made.json().await.unwrap();
    let text = |name: &str| made["certificate"][name].as_str().unwrap().to_owned();
    (text("id"), text("device_id"))
}

/// What to send to an operation so that its owner is served; made by the owner.
async fn prepare(world: &World, id: &str) -> (Vec<String>, Option<Value>) {
    let device = || async { vec![world.device(&format!("proto::{}", fresh("walk"))).await] };
    let made = |path: &'static str, body: Value, pointer: &'static str| async move {
        let made: Value = world.post(path, body).await.json().await.unwrap();
        vec![
            made.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_else(|| panic!("{made}"))
                .to_owned(),
        ]
    };
    let scopes = json!(["device:read"]);
    let token = json!({"name": "walk", "scopes": scopes});
    let key = json!({"name": "walk"});
    let user = || json!({"login": fresh("walk"), "role": "viewer"});
    let set = json!({
        "ops": [{"kind": "set", "parameters": [{"path": "Device.WiFi.SSID.1.SSID", "value": "x"}]}],
    });
    match id {
        "session_create" => (
            vec![],
            Some(json!({"login": "admin", "password": PASSWORD})),
        ),
        "session_password" => (
            vec![],
            Some(json!({"current": PASSWORD, "new": "another long sentence"})),
        ),
        "token_create" => (vec![], Some(token)),
        "token_show" | "token_revoke" => (made("/api/v1/tokens", token, "/token/id").await, None),
        "tenant_create" => (vec![], Some(json!({"id": fresh("walk"), "name": "Walk"}))),
        "tenant_show" => (vec!["default".into()], None),
        "tenant_update" => (vec!["default".into()], Some(json!({"name": "Default"}))),
        "user_create" => (vec![], Some(user())),
        "user_show" | "user_delete" | "user_password_reset" => {
            (made("/api/v1/users", user(), "/user/id").await, None)
        }
        "user_update" => (
            made("/api/v1/users", user(), "/user/id").await,
            Some(json!({"role": "operator"})),
        ),
        "setup_key_create" => (vec![], Some(key)),
        "setup_key_show" | "setup_key_revoke" => {
            (made("/api/v1/setup-keys", key, "/setup_key/id").await, None)
        }
        "setup_key_update" => (
            made("/api/v1/setup-keys", key, "/setup_key/id").await,
            Some(json!({"name": "new"})),
        ),
        "certificate_authority" => {
            certificate(world).await;
            (vec![], None)
        }
        "certificate_issue" => {
            certificate(world).await;
            let endpoint = format!("proto::{}", fresh("certified"));
            (vec![], Some(json!({ "endpoint_id": endpoint })))
        }
        "certificate_show" => (vec![certificate(world).await.0], None),
        "certificate_revoke" => {
            let body = json!({"reason": "stolen"});
            (vec![certificate(world).await.0], Some(body))
        }
        "device_certificate_rotate" => (vec![certificate(world).await.1], Some(json!({}))),
        "device_create" => (
            vec![],
            Some(json!({"endpoint_id": format!("proto::{}", fresh("made"))})),
        ),
        "device_update" => (
            device().await,
            Some(json!({"label": "Attic", "tags": ["vip"]})),
        ),
        "device_sessions" => (device().await, None),
        "device_session" => {
            let device = one_device::cwmp(world, &fresh("walk")).await;
            let session = one_device::session(world, device).await;
            (vec![device.to_string(), session.to_string()], None)
        }
        "device_match_list" => (vec![], None),
        "device_match_accept" | "device_match_reject" => {
            let (_, _, id) = one_device::pair(world, &fresh("walk")).await;
            (vec![id.to_string()], None)
        }
        "device_merge" => {
            let (usp, other, _) = one_device::pair(world, &fresh("walk")).await;
            (vec![usp.to_string()], Some(json!({ "device_id": other })))
        }
        "device_wake_credential_enter" => {
            let device = one_device::cwmp(world, &fresh("walk")).await;
            let body = json!({"username": "cpe", "password": "from its label"});
            (vec![device.to_string()], Some(body))
        }
        "device_split" => {
            let (usp, other, _) = one_device::pair(world, &fresh("walk")).await;
            let merge = format!("/api/v1/devices/{usp}/merge");
            world.post(&merge, json!({ "device_id": other })).await;
            (vec![usp.to_string()], Some(json!({"transport": "cwmp"})))
        }
        "file_show" | "file_delete" | "file_content" => (vec![file(world).await], None),
        "file_update" => (vec![file(world).await], Some(json!({"version": "2"}))),
        "file_upload" => (vec![], None),
        "device_download" => {
            let body = json!({"file_id": file(world).await});
            (device().await, Some(body))
        }
        "device_upload" => (device().await, Some(json!({"type": "log"}))),
        "operation_create" => (device().await, Some(set)),
        "operation_show" | "operation_cancel" | "operation_transcript" => {
            let path = format!("/api/v1/devices/{}/operations", device().await[0]);
            let made: Value = world.post(&path, set).await.json().await.unwrap();
            (
                vec![
                    made["operation"]["id"]
                        .as_str()
                        .unwrap_or_else(|| panic!("{made}"))
                        .to_owned(),
                ],
                None,
            )
        }
        "event_show" => {
            // Further on than the log of the other tenant goes.
            for _ in 0..8 {
                device().await;
            }
            let log = world.read("/api/v1/events?limit=1").await;
            (vec![log["head"].as_str().unwrap().to_owned()], None)
        }
        "session_show" | "session_delete" | "token_list" | "tenant_list" | "user_list"
        | "role_list" | "setup_key_list" | "certificate_list" | "device_list" | "device_facets"
        | "operation_list" | "file_list" | "event_list" | "event_stream" | "doctor_show"
        | "refusal_list" | "discovery_agents" | "system_show" | "openapi_show" => (vec![], None),
        "device_show"
        | "device_delete"
        | "device_readmit"
        | "device_timeline"
        | "device_reach"
        | "device_wake"
        | "device_wake_credential_remove"
        | "device_values"
        | "device_model"
        | "device_model_search"
        | "transfer_list" => (device().await, None),
        other => panic!("the walk does not know {other}: teach it what to send"),
    }
}

/// A file of the owner; its id.
async fn file(world: &World) -> String {
    let path = format!("/api/v1/files?kind=firmware&name={}", fresh("walk"));
    let made = world.request(Method::POST, &path).body("firmware");
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    made["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{made}"))
        .to_owned()
}

fn call(
    world: &World,
    endpoint: &api::Endpoint,
    ids: &[String],
    body: &Option<Value>,
) -> RequestBuilder {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let method: Method = endpoint.method.as_str().parse().unwrap();
    let query = match endpoint.id {
        "device_model_search" => "?q=ssid",
        "file_upload" => "?name=walk.bin",
        _ => "",
    };
    let request = world.http.request(
        method,
        format!("{}{}{query}", world.url, endpoint.fill(&ids)),
    );
    match body {
        Some(body) => request.json(body),
        None if endpoint.takes_bytes => request.body("bytes"),
        None => request,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_serves_its_owner_and_nobody_else() {
    for world in worlds().await {
        walk(&world).await;
        world.stop().await;
    }
}

async fn walk(world: &World) {
    let document = world.read("/api/v1/openapi.json").await;
    let mut walked = 0;
    let (_, cookie) = world.sign_in("admin", PASSWORD).await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let endpoint = api::endpoint(id).unwrap();
            assert_eq!(
                (endpoint.path, endpoint.method.as_str().to_lowercase()),
                (path.as_str(), verb.clone())
            );
            // Changing the password or signing out would end the walk.
            if id != "session_password" && id != "session_delete" {
                one(world, endpoint, &cookie).await;
            }
            walked += 1;
        }
    }
    assert_eq!(walked, api::OPERATIONS.len());
}

async fn one(world: &World, endpoint: &'static api::Endpoint, cookie: &str) {
    let id = endpoint.id;
    let (ids, body) = prepare(world, id).await;
    let send = |request: RequestBuilder| async move {
        // One invented token for each operation is more than one address may show at once.
        let response = loop {
            let response = request.try_clone().unwrap().send().await.unwrap();
            if response.status() != 429 {
                break response;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let status = response.status().as_u16();
        // A stream's body does not end.
        let stream = response
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind == "text/event-stream");
        (
            status,
            if stream {
                String::new()
            } else {
                response.text().await.unwrap()
            },
        )
    };
    if endpoint.access == api::Access::Public {
        let (status, text) = send(call(world, endpoint, &ids, &body)).await;
        assert!((200..300).contains(&status), "{id}: {status} {text}");
        return;
    }
    let (status, text) = send(call(world, endpoint, &ids, &body)).await;
    assert_eq!(status, 401, "{id} without a credential: {text}");
    let (status, text) = send(
        call(world, endpoint, &ids, &body).bearer_auth("het_00000000000000000000000000000000"),
    )
    .await;
    assert_eq!(status, 401, "{id} with an invented token: {text}");
    if endpoint.path.contains('{') {
        let (status, text) =
            send(call(world, endpoint, &ids, &body).bearer_auth(&world.other)).await;
        assert_eq!(status, 404, "{id} of another tenant: {text}");
    }
    if let api::Access::Needs(permission) = endpoint.access {
        let mut scopes = all_scopes();
        scopes.retain(|one| one != permission.as_str());
        if permission == api::Permission::OperationRun {
            scopes.retain(|one| !one.starts_with("operation:") || one == "operation:read");
        }
        let token = world.token(cookie, scopes).await;
        let (status, text) = send(call(world, endpoint, &ids, &body).bearer_auth(&token)).await;
        assert_eq!(status, 403, "{id} without {permission}: {text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["permission"], permission.as_str());
        assert_eq!(problem["type"], "urn:headend:problem:forbidden");
    }
    let (status, text) = send(call(world, endpoint, &ids, &body).bearer_auth(&world.owner)).await;
    assert!(
        endpoint.answer.statuses().contains(&status),
        "{id} for its owner: {status} {text}"
    );
}

#[tokio::test]
async fn a_token_cut_down_to_one_verb_runs_that_verb_only() {
    let world = crate::world::world().await;
    let (_, cookie) = world.sign_in("admin", PASSWORD).await;
    let token = world
        .token(&cookie, vec!["operation:get".into(), "device:read".into()])
        .await;
    let device = world.device("proto::verb").await;
    let path = format!("{}/api/v1/devices/{device}/operations", world.url);
    let run = |op: Value| {
        world
            .http
            .post(&path)
            .bearer_auth(&token)
            .json(&json!({"ops": [op]}))
            .send()
    };
    let read = run(json!({"kind": "get", "paths": ["Device.DeviceInfo."]}))
        .await
        .unwrap();
    assert_eq!(read.status(), 202);
    let set = run(
        json!({"kind": "set", "parameters": [{"path": "Device.WiFi.SSID.1.SSID", "value": "x"}]}),
    )
    .await
    .unwrap();
    assert_eq!(set.status(), 403);
    let problem: Value = set.json().await.unwrap();
    assert_eq!(problem["permission"], "operation:set");
}

#[tokio::test]
async fn lists_never_show_another_tenants_rows() {
    for world in worlds().await {
        let device = world.device("proto::mine").await;
        world
            .post("/api/v1/setup-keys", json!({"name": "mine"}))
            .await;
        let path = format!("/api/v1/devices/{device}/operations");
        let set = json!({"ops": [{"kind": "get", "paths": ["Device."]}]});
        assert_eq!(world.post(&path, set).await.status(), 202);
        for path in ["devices", "operations", "setup-keys", "doctor/refusals"] {
            let url = format!("{}/api/v1/{path}", world.url);
            let list: Value = world
                .http
                .get(&url)
                .bearer_auth(&world.other)
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            assert_eq!(list["items"], json!([]), "{path}");
        }
        let url = format!("{}/api/v1/tenants", world.url);
        let list: Value = world
            .http
            .get(&url)
            .bearer_auth(&world.other)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let events: Value = world
            .http
            .get(format!("{}/api/v1/events?kind=device.", world.url))
            .bearer_auth(&world.other)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(events["items"], json!([]));
    }
}
