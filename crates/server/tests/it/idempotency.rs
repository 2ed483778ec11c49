//! The same POST sent again gets the first answer.

use crate::world::{World, worlds};
use reqwest::{Method, Response};
use serde_json::{Value, json};

fn body(paths: &str) -> Value {
    json!({"ops": [{"kind": "get", "paths": [paths]}]})
}

async fn send(world: &World, device: &str, key: &str, body: &Value) -> Response {
    world
        .request(
            Method::POST,
            &format!("/api/v1/devices/{device}/operations"),
        )
        .header("Idempotency-Key", key)
        .json(body)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_repeated_request_is_answered_from_memory_and_done_once() {
    for world in worlds().await {
        let device = world.device("proto::again").await;
        let first = send(&world, &device, "k1", &body("Device.")).await;
        assert_eq!(first.status(), 202);
        assert!(!first.headers().contains_key("idempotency-replayed"));
        let first: Value = first.json().await.unwrap();
        let again = send(&world, &device, "k1", &body("Device.")).await;
        assert_eq!(again.status(), 202);
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(again.json::<Value>().await.unwrap(), first);
        let other = send(&world, &device, "k1", &body("Device.WiFi.")).await;
        assert_eq!(other.status(), 409);
        let problem: Value = other.json().await.unwrap();
        assert_eq!(problem["type"], "urn:headend:problem:idempotency-mismatch");
        assert_eq!(
            world.read("/api/v1/operations").await["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn of_many_at_once_one_is_done() {
    for world in worlds().await {
        let device = world.device("proto::race").await;
        let (one, other) = (body("Device."), body("Device."));
        let sent = futures_util::future::join_all((0..8).map(|number| {
            let body = if number % 2 == 0 { &one } else { &other };
            send(&world, &device, "race", body)
        }))
        .await;
        let mut ids = std::collections::BTreeSet::new();
        for response in sent {
            match response.status().as_u16() {
                202 => {
                    let answer: Value = response.json().await.unwrap();
                    ids.insert(answer["operation"]["id"].as_str().unwrap().to_owned());
                }
                409 => {
                    let problem: Value = response.json().await.unwrap();
                    assert_eq!(
                        problem["type"],
                        "urn:headend:problem:idempotency-in-progress"
                    );
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!(ids.len(), 1);
        assert_eq!(
            world.read("/api/v1/operations").await["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn a_refused_request_may_be_mended_under_the_same_key() {
    for world in worlds().await {
        let device = world.device("proto::mend").await;
        assert_eq!(
            send(&world, &device, "k", &body("Device..")).await.status(),
            422
        );
        assert_eq!(
            send(&world, &device, "k", &body("Device.")).await.status(),
            202
        );
        let preview = json!({"mode": "preview", "ops": [{"kind": "get", "paths": ["Device."]}]});
        assert_eq!(send(&world, &device, "p", &preview).await.status(), 200);
        assert_eq!(
            send(&world, &device, "p", &body("Device.")).await.status(),
            202
        );
        let bad = send(&world, &device, &"k".repeat(129), &body("Device.")).await;
        assert_eq!(bad.status(), 400);
        // Another caller's key of the same name is another key.
        let twice = world
            .http
            .post(format!("{}/api/v1/devices/{device}/operations", world.url))
            .bearer_auth(&world.other)
            .header("Idempotency-Key", "k")
            .json(&body("Device."))
            .send()
            .await
            .unwrap();
        assert_eq!(twice.status(), 404);
    }
}

#[tokio::test]
async fn a_tenant_whose_answer_was_lost_is_answered_again_and_not_refused() {
    for world in worlds().await {
        let body = json!({"id": "north", "name": "North"});
        let send = || {
            let request = world.request(Method::POST, "/api/v1/tenants");
            request.header("Idempotency-Key", "t1").json(&body).send()
        };
        let first: Value = send().await.unwrap().json().await.unwrap();
        // What the server does when it answered 5xx after the tenant was there.
        let me = world.read("/api/v1/session").await;
        let key = store::IdempotencyKey {
            principal: me["token_id"].as_str().unwrap().to_owned(),
            endpoint: "tenant_create".to_owned(),
            key: "t1".to_owned(),
        };
        let tenant = fleet::TenantId::parse("default").unwrap();
        world
            .store()
            .idempotency_forget(&tenant, key)
            .await
            .unwrap();
        let again = send().await.unwrap();
        assert_eq!(again.status(), 201);
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(again.json::<Value>().await.unwrap(), first);
        // Without the key it is a conflict as ever.
        assert_eq!(
            world.post("/api/v1/tenants", body.clone()).await.status(),
            409
        );
    }
}
