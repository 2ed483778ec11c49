//! Malformed requests: the problem names the place and what was expected there.

use crate::world::world;
use reqwest::Method;
use serde_json::{Value, json};

/// Body, field, and words of the problem.
const BODIES: &[(&str, &str, &str)] = &[
    ("", "body", "is empty"),
    ("{", "body", "line 1 column 1"),
    ("{\"ops\": [\n  {]", "body", "line 2 column 4"),
    ("{} {}", "body", "line 1 column 4"),
    ("[]", "body", "is a list; an object is expected"),
    ("17", "body", "is a number; an object is expected"),
    ("{}", "ops", "is missing; a list is expected"),
    (r#"{"ops": 17}"#, "ops", "is a number; a list is expected"),
    (
        r#"{"ops": [17]}"#,
        "ops[0]",
        "is a number; an object is expected",
    ),
    (
        r#"{"ops": [{}]}"#,
        "ops[0].kind",
        "is missing; there are: get, set, add",
    ),
    (
        r#"{"ops": [{"kind": "dance"}]}"#,
        "ops[0].kind",
        "is \"dance\"; there are: get, set",
    ),
    (
        r#"{"ops": [{"kind": 5}]}"#,
        "ops[0].kind",
        "is a number; there are: get, set",
    ),
    (
        r#"{"ops": [{"kind": "get"}]}"#,
        "ops[0].paths",
        "is missing; a list is expected",
    ),
    (
        r#"{"ops": [{"kind": "get", "paths": "Device."}]}"#,
        "ops[0].paths",
        "is a text; a list",
    ),
    (
        r#"{"ops": [{"kind": "get", "paths": ["Device.", null]}]}"#,
        "ops[0].paths[1]",
        "is null; a text",
    ),
    (
        r#"{"ops": [{"kind": "get", "paths": [], "depth": 1}]}"#,
        "ops[0].depth",
        "there are: kind, max_depth, paths",
    ),
    (
        r#"{"ops": [{"kind": "get", "paths": [], "max_depth": -1}]}"#,
        "ops[0].max_depth",
        "from 0 to 2147483647",
    ),
    (
        r#"{"ops": [{"kind": "get", "paths": [], "max_depth": 1.5}]}"#,
        "ops[0].max_depth",
        "is a fraction; a whole number",
    ),
    (
        r#"{"ops": [{"kind": "set", "parameters": [{"path": "Device."}]}]}"#,
        "ops[0].parameters[0].value",
        "is missing; a text",
    ),
    (
        r#"{"ops": [{"kind": "set", "parameters": [{"path": 1, "value": ""}]}]}"#,
        "ops[0].parameters[0].path",
        "is a number; a text",
    ),
    (
        r#"{"ops": [{"kind": "set", "parameters": [], "allow_partial": "yes"}]}"#,
        "ops[0].allow_partial",
        "is a text; true or false",
    ),
    (
        r#"{"ops": [{"kind": "operate", "command": "Device.Reboot()", "input": {"a": {}}}]}"#,
        "ops[0].input.a",
        "is an object; a text",
    ),
    (
        r#"{"ops": [{"kind": "subscribe", "notification": "all", "paths": []}]}"#,
        "ops[0].notification",
        "there are: value_change, object_creation",
    ),
    (
        r#"{"ops": [], "mode": "try"}"#,
        "mode",
        "there are: preview, apply",
    ),
    (
        r#"{"ops": [], "expires_in_seconds": 5000000000}"#,
        "expires_in_seconds",
        "from 0 to 2147483647",
    ),
    (r#"{"ops": [], "ops": []}"#, "body", "duplicate field `ops`"),
];

async fn refused(request: reqwest::RequestBuilder, status: u16) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let got = response.status();
    let problem: Value = response.json().await.unwrap();
    assert_eq!(got, status, "{problem}");
    assert_eq!(problem["status"], status);
    assert!(problem["instance"].is_string());
    problem
}

#[tokio::test]
async fn a_malformed_body_names_the_inner_field_and_what_was_expected() {
    let world = world().await;
    let device = world.device("proto::shape").await;
    let path = format!("/api/v1/devices/{device}/operations");
    let send = |body: Vec<u8>| {
        world
            .request(Method::POST, &path)
            .header("content-type", "application/json")
            .body(body)
    };
    for (body, field, words) in BODIES {
        let problem = refused(send(body.as_bytes().to_vec()), 400).await;
        let error = &problem["errors"][0];
        assert_eq!(error["field"], *field, "{body}: {problem}");
        assert_eq!(error["location"], "body");
        let told = error["problem"].as_str().unwrap();
        assert!(told.contains(words), "{body}: {told}");
    }
    let problem = refused(send(b"{\"note\": \"\xff\"}".to_vec()), 400).await;
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("not UTF-8 from byte 10"),
        "{problem}"
    );
    let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
    refused(send(deep), 400).await;
    // Everything that is wrong is told at once.
    let body = br#"{"mode": 1, "colour": 2, "ops": [{"kind": "discover"}]}"#.to_vec();
    let problem = refused(send(body), 400).await;
    let mut fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["field"].clone())
        .collect();
    fields.sort_by_key(Value::to_string);
    assert_eq!(fields, ["colour", "mode", "ops[0].path"]);
    // A secret of the wrong type is not repeated.
    let problem = refused(
        world
            .http
            .post(format!("{}/api/v1/session", world.url))
            .json(&json!({"login": "admin", "password": 123456789})),
        400,
    )
    .await;
    assert_eq!(problem["errors"][0]["field"], "password");
    assert!(!problem.to_string().contains("123456789"));
}

#[tokio::test]
async fn what_is_no_operation_of_the_api_is_told_apart() {
    let world = world().await;
    let keys = |kind: &str| {
        world
            .request(Method::POST, "/api/v1/setup-keys")
            .header("content-type", kind)
            .body("{}")
    };
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "",
    ] {
        let problem = refused(keys(kind), 415).await;
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("application/json")
        );
    }
    refused(keys("Application/JSON; charset=utf-8"), 400).await;
    let large = vec![b' '; server::limits::BODY_BYTES_MAX + 1];
    refused(
        world
            .request(Method::POST, "/api/v1/setup-keys")
            .header("content-type", "application/json")
            .body(large),
        413,
    )
    .await;
    for (method, path, allow) in [
        (Method::DELETE, "/api/v1/devices", "GET,HEAD,POST"),
        (Method::POST, "/api/v1/session/password", "PUT"),
        (Method::OPTIONS, "/api/v1/tenants", "GET,HEAD,POST"),
        (Method::PUT, "/api/v1/docs", "GET,HEAD"),
    ] {
        let response = world.request(method, path).send().await.unwrap();
        let mut allowed: Vec<_> = response.headers()["allow"]
            .to_str()
            .unwrap()
            .split(',')
            .collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), allow, "{path}");
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin")
        );
        assert_eq!(response.status(), 405);
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["type"], "urn:headend:problem:method-not-allowed");
    }
    for path in [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v2/devices",
        "/api/v1/devices/",
        "/api/v1/nothing",
        "/usp",
    ] {
        let problem = refused(world.request(Method::GET, path), 404).await;
        assert_eq!(problem["type"], "urn:headend:problem:not-found", "{path}");
    }
}

#[tokio::test]
async fn limits_of_a_request_are_one_number_wherever_they_are_shown_and_enforced() {
    let world = world().await;
    let device = world.device("proto::limits").await;
    let system = world.read("/api/v1/system").await;
    let shown = |name: &str| {
        let limits = system["limits"].as_array().unwrap();
        let found = limits.iter().find(|one| one["name"] == name).unwrap();
        usize::try_from(found["value"].as_u64().unwrap()).unwrap()
    };
    let run = |body: Value| {
        let path = format!("/api/v1/devices/{device}/operations");
        let mut body = body;
        body["mode"] = json!("preview");
        world.request(Method::POST, &path).json(&body).send()
    };
    let blocked = |answer: Value| answer["preview"]["blocked"].as_bool().unwrap();
    let get = |count: usize| {
        let paths: Vec<_> = (1..=count)
            .map(|n| format!("Device.WiFi.SSID.{n}.SSID"))
            .collect();
        json!({"ops": [{"kind": "get", "paths": paths}]})
    };
    let max = shown("op_paths_max");
    assert!(!blocked(run(get(max)).await.unwrap().json().await.unwrap()));
    assert!(blocked(
        run(get(max + 1)).await.unwrap().json().await.unwrap()
    ));
    let set = |bytes: usize| {
        json!({"ops": [{"kind": "set", "parameters": [
            {"path": "Device.DeviceInfo.ProvisioningCode", "value": "x".repeat(bytes)}]}]})
    };
    let max = shown("value_bytes_max");
    let over: Value = run(set(max + 1)).await.unwrap().json().await.unwrap();
    assert!(
        over.to_string()
            .contains(&format!("a value may have {max} bytes")),
        "{over}"
    );
    let expires = |seconds: usize| json!({"expires_in_seconds": seconds, "ops": [{"kind": "get", "paths": ["Device."]}]});
    let max = shown("operation_expiry_seconds_max");
    assert_eq!(run(expires(max)).await.unwrap().status(), 200);
    assert_eq!(run(expires(max + 1)).await.unwrap().status(), 422);
    let note = |chars: usize| json!({"note": "x".repeat(chars), "ops": [{"kind": "get", "paths": ["Device."]}]});
    assert_eq!(
        run(note(api::limits::NOTE_CHARS_MAX))
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        run(note(api::limits::NOTE_CHARS_MAX + 1))
            .await
            .unwrap()
            .status(),
        422
    );
    for (path, max) in [
        ("/api/v1/devices?limit=", shown("page_max")),
        ("/api/v1/events?limit=", shown("page_max")),
        (
            &format!("/api/v1/devices/{device}/values?limit="),
            shown("value_page_max"),
        ),
    ] {
        assert_eq!(world.get(&format!("{path}{max}")).await.status(), 200);
        let problem = refused(
            world.request(Method::GET, &format!("{path}{}", max + 1)),
            400,
        )
        .await;
        assert_eq!(problem["errors"][0]["field"], "limit");
    }
}

#[tokio::test]
async fn the_longest_name_there_may_be_does_not_end_the_list() {
    let world = world().await;
    let name = "\u{10348}".repeat(api::limits::NAME_CHARS_MAX);
    for number in 0..3 {
        let body = json!({"endpoint_id": format!("proto::long{number}"), "label": name});
        assert_eq!(world.post("/api/v1/devices", body).await.status(), 201);
    }
    let mut cursor = String::new();
    for _ in 0..2 {
        let page = world
            .read(&format!("/api/v1/devices?limit=1{cursor}"))
            .await;
        cursor = format!("&cursor={}", page["next"].as_str().unwrap());
    }
    let long = "0".repeat(api::limits::CURSOR_CHARS_MAX + 1);
    refused(
        world.request(Method::GET, &format!("/api/v1/devices?cursor={long}")),
        400,
    )
    .await;
}
