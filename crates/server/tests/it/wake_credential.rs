//! The user name and password that a device keeps for connection requests: entered, shown without the password, taken
//! away.

use reqwest::Method;
use serde_json::{Value, json};

use crate::one_device::cwmp;
use crate::world::{World, worlds};

async fn put(world: &World, device: &str, body: Value) -> (u16, Value) {
    let path = format!("/api/v1/devices/{device}/wake-credential");
    let answer = world.request(Method::PUT, &path).json(&body).send().await;
    let answer = answer.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn shown(world: &World, device: &str) -> Value {
    let reach = world.read(&format!("/api/v1/devices/{device}/reach")).await;
    reach["wake_credential"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_entered_is_kept_told_and_never_shown_again() {
    for world in worlds().await {
        let device = cwmp(&world, "W1").await.to_string();
        assert_eq!(shown(&world, &device).await["source"], "none");
        let secret = "from its label";
        let entry = json!({"username": "cpe", "password": secret});
        let (status, woken) = put(&world, &device, entry).await;
        assert_eq!(status, 200, "{woken}");
        // No way to it is known yet.
        assert_eq!(woken["tried"], false, "{woken}");
        let credential = shown(&world, &device).await;
        assert_eq!(credential["source"], "entered");
        assert_eq!(credential["username"], "cpe");
        assert_eq!(credential["entered_by"]["name"], "admin");
        assert!(credential["entered_at"].is_string());
        let (status, _) = put(&world, &device, json!({"username": "acs", "password": "b"})).await;
        assert_eq!(status, 200);
        assert_eq!(shown(&world, &device).await["username"], "acs");
        let path = format!("/api/v1/devices/{device}/wake-credential");
        for _ in 0..2 {
            let gone = world.request(Method::DELETE, &path).send().await.unwrap();
            assert_eq!(gone.status(), 204);
        }
        assert_eq!(shown(&world, &device).await["source"], "none");
        let timeline = world
            .read(&format!(
                "/api/v1/devices/{device}/timeline?kind=device.wake_credential"
            ))
            .await;
        let told = timeline["items"].as_array().unwrap().iter();
        let states: Vec<_> = told.map(|one| one["data"]["state"].clone()).collect();
        assert_eq!(states, ["removed", "entered", "entered"], "{timeline:#}");
        assert!(!timeline.to_string().contains(secret), "{timeline:#}");
    }
}

/// WAKE_USERNAME_CHARS_MAX, PASSWORD_CHARS_MAX
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_device_has_is_refused() {
    for world in worlds().await {
        let device = cwmp(&world, "W2").await.to_string();
        let long = "x".repeat(257);
        for (username, password, field) in [
            ("", "p", "username"),
            ("u", "", "password"),
            (&*long, "p", "username"),
            ("u", &*long, "password"),
            ("u\r\nX: y", "p", "username"),
        ] {
            let entry = json!({"username": username, "password": password});
            let (status, problem) = put(&world, &device, entry).await;
            assert_eq!(status, 422, "{problem}");
            assert!(problem.to_string().contains(field), "{problem}");
        }
        let most = "x".repeat(256);
        let (status, _) = put(&world, &device, json!({"username": most, "password": most})).await;
        assert_eq!(status, 200);
        let usp = world.device("proto::W3").await;
        let (status, problem) = put(&world, &usp, json!({"username": "u", "password": "p"})).await;
        assert_eq!(status, 409, "{problem}");
        assert_eq!(shown(&world, &usp).await, Value::Null);
    }
}
