//! Bad input: each wrong field is named, and nothing a caller sends makes the server fail.

use crate::world::world;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn every_wrong_field_is_named() {
    let world = world().await;
    let device = world.device("proto::bad").await;
    let ops = format!("/api/v1/devices/{device}/operations");
    let set = |path: &str, value: &str| json!({"ops": [{"kind": "set", "parameters": [{"path": path, "value": value}]}]});
    let long = "x".repeat(101);
    let cases: Vec<(&str, &str, Value, u16, &[&str])> = vec![
        (
            "POST",
            "/api/v1/setup-keys",
            json!({"name": ""}),
            422,
            &["name"],
        ),
        (
            "POST",
            "/api/v1/setup-keys",
            json!({"name": long, "uses_max": 0}),
            422,
            &["name", "uses_max"],
        ),
        (
            "POST",
            "/api/v1/setup-keys",
            json!({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}),
            422,
            &["expires_at"],
        ),
        (
            "POST",
            "/api/v1/setup-keys",
            json!({"name": "x", "expires_at": "soon"}),
            400,
            &["expires_at"],
        ),
        (
            "POST",
            "/api/v1/setup-keys",
            json!({"name": "x", "colour": 1}),
            400,
            &["colour"],
        ),
        (
            "POST",
            "/api/v1/tokens",
            json!({"name": "x", "scopes": []}),
            422,
            &["scopes"],
        ),
        (
            "POST",
            "/api/v1/tokens",
            json!({"name": "x", "scopes": ["device:shell"]}),
            400,
            &["scopes[0]"],
        ),
        (
            "POST",
            "/api/v1/tenants",
            json!({"id": "A b", "name": " "}),
            422,
            &["name", "id"],
        ),
        (
            "POST",
            "/api/v1/users",
            json!({"login": "a b", "role": "king"}),
            422,
            &["login", "role"],
        ),
        (
            "POST",
            "/api/v1/devices",
            json!({"endpoint_id": "no scheme"}),
            422,
            &["endpoint_id"],
        ),
        (
            "POST",
            "/api/v1/devices",
            json!({"endpoint_id": "proto::x", "dial_url": "http://x"}),
            422,
            &["dial_url"],
        ),
        (
            "POST",
            "/api/v1/devices",
            json!({"endpoint_id": "proto::x", "tags": ["", "a\u{7}"]}),
            422,
            &["tags[0]", "tags[1]"],
        ),
        ("POST", &ops, json!({"ops": []}), 422, &["ops"]),
        (
            "POST",
            &ops,
            json!({"ops": [], "expires_in_seconds": 0}),
            422,
            &["ops", "expires_in_seconds"],
        ),
        (
            "POST",
            &ops,
            json!({"ops": [{"kind": "dance"}]}),
            400,
            &["ops[0]"],
        ),
        (
            "POST",
            &ops,
            set("Device.WiFi.SSID.1.Enable", "perhaps"),
            422,
            &["ops[0].parameters[0].value"],
        ),
        (
            "POST",
            &ops,
            set("Device.WiFi.SSID.1.BSSID", "aa:bb:cc:dd:ee:ff"),
            422,
            &["ops[0].parameters[0].path"],
        ),
        (
            "POST",
            &ops,
            set("Device.WiFi.SSID.[.SSID", "x"),
            422,
            &["ops[0].parameters[0].path"],
        ),
        (
            "POST",
            &ops,
            json!({"ops": [{"kind": "get", "paths": ["Device..X"]}]}),
            422,
            &["ops[0].paths[0]"],
        ),
        (
            "GET",
            "/api/v1/devices?limit=0",
            Value::Null,
            400,
            &["limit"],
        ),
        (
            "GET",
            "/api/v1/devices?limit=501&colour=red",
            Value::Null,
            400,
            &["colour"],
        ),
        (
            "GET",
            "/api/v1/devices?cursor=%21%21",
            Value::Null,
            400,
            &["cursor"],
        ),
        (
            "GET",
            "/api/v1/devices/17",
            Value::Null,
            400,
            &["device_id"],
        ),
        (
            "GET",
            "/api/v1/events?after=x",
            Value::Null,
            400,
            &["after"],
        ),
        (
            "GET",
            "/api/v1/events?kind=device.connected&kind=no",
            Value::Null,
            400,
            &["kind[1]"],
        ),
        (
            "GET",
            "/api/v1/operations?state=done",
            Value::Null,
            400,
            &["state[0]"],
        ),
    ];
    for (method, path, body, status, fields) in cases {
        let request = world.request(method.parse().unwrap(), path);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        let response = request.send().await.unwrap();
        let (got, kind) = (
            response.status(),
            response.headers()["content-type"].clone(),
        );
        let problem: Value = response.json().await.unwrap();
        assert_eq!(got, status, "{method} {path} {body}: {problem}");
        assert_eq!(kind, "application/problem+json");
        let named: Vec<_> = problem["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["field"].as_str().unwrap())
            .collect();
        for (named, field) in named.iter().zip(fields) {
            assert!(named.starts_with(field), "{path} {body}: {problem}");
        }
        assert_eq!(named.len(), fields.len(), "{path} {body}: {problem}");
        assert!(problem["instance"].is_string());
    }
}

#[tokio::test]
async fn a_malformed_path_names_the_character() {
    let world = world().await;
    let device = world.device("proto::char").await;
    let url = format!("/api/v1/devices/{device}/values?path=Device.WiFi%2FSSID");
    let problem: Value = world.get(&url).await.json().await.unwrap();
    assert_eq!(problem["errors"][0]["field"], "path");
    assert_eq!(problem["errors"][0]["at"], 11, "{problem}");
    let body = json!({"ops": [{"kind": "get", "paths": ["Device.WiFi/SSID"]}]});
    let problem: Value = world
        .post(&format!("/api/v1/devices/{device}/operations"), body)
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(problem["errors"][0]["at"], 11, "{problem}");
}

#[tokio::test]
async fn a_preview_says_what_would_happen_and_stores_nothing() {
    let world = world().await;
    let device = world.device("proto::preview").await;
    let path = format!("/api/v1/devices/{device}/operations");
    let body = json!({"mode": "preview", "ops": [{"kind": "set", "parameters": [
        {"path": "Device.WiFi.SSID.1.SSID", "value": "home"},
        {"path": "Device.WiFi.SSID.1.Enable", "value": "perhaps"},
        {"path": "Device.WiFi.AccessPoint.1.Security.KeyPassphrase", "value": "hunter2hunter2"},
    ]}]});
    let answer = world.post(&path, body).await;
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert!(!text.contains("hunter2"), "secrets are masked: {text}");
    let preview: Value = serde_json::from_str(&text).unwrap();
    assert!(preview["operation"].is_null());
    assert_eq!(preview["preview"]["blocked"], true);
    let items = preview["preview"]["items"].as_array().unwrap();
    assert_eq!(
        items
            .iter()
            .filter(|item| item["severity"] == "blocks")
            .count(),
        1,
        "{preview}"
    );
    assert!(
        preview["preview"]["warnings"][0]
            .as_str()
            .unwrap()
            .contains("never come")
    );
    assert_eq!(world.read("/api/v1/operations").await["items"], json!([]));
}

#[tokio::test]
async fn a_preview_of_a_subscription_warns_of_changes_that_the_device_may_ignore() {
    let world = world().await;
    let device = world.device("proto::deaf").await;
    let path = format!("/api/v1/devices/{device}/operations");
    for (about, warned) in [("DeviceInfo.UpTime", true), ("WiFi.SSID.1.SSID", false)] {
        let op = json!({"kind": "subscribe", "notification": "value_change",
            "paths": [format!("Device.{about}")]});
        let body = json!({"mode": "preview", "ops": [op]});
        let found: Value = world.post(&path, body).await.json().await.unwrap();
        assert_eq!(found["preview"]["blocked"], false, "{found}");
        let items = found["preview"]["items"].as_array().unwrap();
        let list = |item: &&Value| item["path"].as_str().unwrap().ends_with("ReferenceList");
        let item = items.iter().find(list).unwrap();
        assert_eq!(item["severity"] == "doubtful", warned, "{item}");
        let words = "lets a device ignore changes of Device.DeviceInfo.UpTime";
        let said = item["problem"]
            .as_str()
            .is_some_and(|said| said.contains(words));
        assert_eq!(said, warned, "{item}");
    }
}

#[tokio::test]
async fn an_operation_keeps_its_note_and_can_be_cancelled_while_it_waits() {
    let world = world().await;
    let device = world.device("proto::cancel").await;
    let path = format!("/api/v1/devices/{device}/operations");
    let body =
        json!({"note": "ticket 7", "ops": [{"kind": "operate", "command": "Device.Reboot()"}]});
    let answer = world.post(&path, body).await;
    assert_eq!(answer.status(), 202);
    let made: Value = answer.json().await.unwrap();
    let id = made["operation"]["id"].as_str().unwrap();
    let shown = world.read(&format!("/api/v1/operations/{id}")).await;
    assert_eq!(
        (&shown["note"], &shown["state"]),
        (&json!("ticket 7"), &json!("queued"))
    );
    assert_eq!(shown["actor"]["kind"], "token");
    for _ in 0..2 {
        let cancelled = world
            .post(&format!("/api/v1/operations/{id}/cancel"), json!({}))
            .await;
        assert_eq!(cancelled.status(), 200);
        let cancelled: Value = cancelled.json().await.unwrap();
        assert_eq!(cancelled["state"], "cancelled");
    }
    let timeline = world
        .read(&format!(
            "/api/v1/devices/{device}/timeline?kind=operation."
        ))
        .await;
    let kinds: Vec<_> = timeline["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "operation.finished",
            "operation.cancel_requested",
            "operation.queued"
        ]
    );
}

/// A caller that sends nonsense, the same nonsense each time.
#[tokio::test]
async fn nothing_a_caller_sends_makes_the_server_fail() {
    let world = world().await;
    let mut random = StdRng::seed_from_u64(7);
    let ids = [
        world.device("proto::fuzz").await,
        "0190d3a1-0000-7000-8000-000000000001".to_owned(),
        "%00".to_owned(),
        "..%2f..%2fetc".to_owned(),
        "default".to_owned(),
        "é".to_owned(),
    ];
    for round in 0..6 {
        for endpoint in api::OPERATIONS {
            // Signing in is throttled, and what removes things has its own tests.
            if endpoint.tag == "session"
                || endpoint.id == "device_delete"
                || endpoint.id == "event_stream"
            {
                continue;
            }
            let filled: Vec<&str> = endpoint
                .path_parameters()
                .map(|_| ids[random.random_range(0..ids.len())].as_str())
                .collect();
            let mut path = endpoint.path.to_owned();
            for (name, value) in endpoint.path_parameters().zip(filled) {
                path = path.replace(&format!("{{{name}}}"), value);
            }
            let mut query: Vec<(String, String)> = Vec::new();
            for one in endpoint.query.map(|query| query()).unwrap_or_default() {
                if random.random_bool(0.4) {
                    query.push((one.name, nonsense(&mut random)));
                }
            }
            let query: String = query
                .iter()
                .map(|(name, value)| {
                    format!(
                        "{name}={}&",
                        value
                            .bytes()
                            .map(|b| format!("%{b:02X}"))
                            .collect::<String>()
                    )
                })
                .collect();
            let method: Method = endpoint.method.as_str().parse().unwrap();
            let mut request = world.request(method, &format!("{path}?{query}"));
            if endpoint.body.is_some() {
                let body = if random.random_bool(0.5) {
                    nested(&mut random, 0).to_string()
                } else {
                    shaped(&mut random).to_string()
                };
                request = request
                    .header("content-type", "application/json")
                    .body(body);
            }
            if random.random_bool(0.3) {
                request =
                    request.header("Idempotency-Key", "k".repeat(random.random_range(0..140)));
            }
            let response = request.send().await.unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            assert!(
                status.as_u16() < 500,
                "round {round}: {endpoint:?} {path}?{query}: {status} {text}"
            );
            if status.is_client_error() {
                let problem: api::Problem = serde_json::from_str(&text).unwrap();
                assert_eq!(problem.status, status.as_u16());
            }
        }
    }
}

fn nonsense(random: &mut StdRng) -> String {
    const SOME: &[&str] = &[
        "",
        "0",
        "-1",
        "1",
        "4294967296",
        "true",
        "null",
        "Device.",
        "Device.WiFi.SSID.*.",
        "Device.X.[A==\"b\"].C",
        "%",
        "_",
        "\\",
        "'; DROP TABLE device; --",
        "\u{0}",
        "\u{202e}",
        "é€𝄞",
        "2026-11-21T04:05:06Z",
        "9999-12-31T23:59:59.999Z",
        "-9999-01-01T00:00:00Z",
        "0190d3a1-0000-7000-8000-000000000001",
        "online",
        "asc",
        "18446744073709551615",
        "name",
        "\"",
        "a b c d e f",
    ];
    SOME[random.random_range(0..SOME.len())].to_owned()
}

fn nested(random: &mut StdRng, depth: u32) -> Value {
    match random.random_range(0..if depth > 3 { 4 } else { 6 }) {
        0 => Value::Null,
        1 => json!(random.random::<i64>()),
        2 => json!(nonsense(random)),
        3 => json!(random.random_bool(0.5)),
        4 => (0..random.random_range(0..4))
            .map(|_| nested(random, depth + 1))
            .collect(),
        _ => {
            const NAMES: &[&str] = &[
                "ops", "name", "kind", "mode", "scopes", "login", "id", "tags", "paths", "x",
            ];
            let fields = (0..random.random_range(0..5)).map(|_| {
                (
                    NAMES[random.random_range(0..NAMES.len())].to_owned(),
                    nested(random, depth + 1),
                )
            });
            Value::Object(fields.collect())
        }
    }
}

fn shaped(random: &mut StdRng) -> Value {
    let (a, b) = (nonsense(random), nonsense(random));
    match random.random_range(0..6) {
        0 => json!({"ops": [{"kind": "set", "parameters": [{"path": a, "value": b}]}]}),
        1 => json!({"ops": [{"kind": "get", "paths": [a, b]}], "mode": "preview"}),
        2 => {
            json!({"ops": [{"kind": "add", "object": a, "parameters": [{"name": b, "value": a}]}]})
        }
        3 => json!({"ops": [{"kind": "operate", "command": a, "input": {b: a}}]}),
        4 => json!({"name": a, "label": b, "login": a, "role": b, "id": a, "endpoint_id": b}),
        _ => json!({"name": a}),
    }
}

#[tokio::test]
async fn a_device_that_requires_a_certificate_keeps_a_name_where_none_is_asked_for_any_more() {
    let world = world().await;
    let id = world.device("os::00256D-CERT").await;
    let device = id.parse().unwrap();
    let reach = store::PathPatch {
        transport: "websocket".into(),
        certificate_required: Some(true),
        ..Default::default()
    };
    let tenant = fleet::TenantId::parse("default").unwrap();
    let (patch, at) = (Default::default(), server::state::now());
    let revised = world
        .store()
        .device_revise(&tenant, device, patch, reach, at, vec![]);
    revised.await.unwrap();
    let change = async |body: Value| {
        let request = world.request(Method::PATCH, &format!("/api/v1/devices/{id}"));
        let response = request.json(&body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap())
    };
    for body in [
        json!({"label": "attic"}),
        json!({"label": "cellar", "certificate_required": true}),
        json!({"dial_url": ""}),
    ] {
        let (status, answer) = change(body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["admission"]["certificate_required"], true);
    }
    // That it comes over another way, which is asked for one as well, changes nothing.
    let link = store::PathLink {
        transport: "mqtt".into(),
        endpoint_id: "os::00256D-CERT".into(),
        node: fleet::NodeId::parse("n1").unwrap(),
        peer: "192.0.2.7:1".into(),
        authenticated_by: "certificate".into(),
        setup_key: None,
        info: json!({}),
        at: server::state::now(),
    };
    let connected = world.store().path_connected(&tenant, device, link, vec![]);
    connected.await.unwrap();
    let (_, answer) = change(json!({"label": "roof"})).await;
    let words = "Only a client certificate with its name opens it.";
    assert_eq!(answer["admission"]["certificate_required"], true);
    assert_eq!(answer["admission"]["words"], words);
    let (status, answer) = change(json!({"dial_url": "ws://192.0.2.1/usp"})).await;
    assert_eq!(status, 422, "{answer}");
    assert_eq!(answer["errors"][0]["field"], "certificate_required");
}
