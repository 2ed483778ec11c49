//! The user name and password that a device keeps for connection requests: entered, shown without the password, taken
//! away.

use fleet::matching::Trust;
use reqwest::Method;
use serde_json::{Value, json};
use server::southbound::cwmp::wake::Network;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::one_device::{cwmp, tenant};
use crate::puppet::{Puppet, plain};
use crate::raw::Cpe;
use crate::rig::PATIENCE;
use crate::world::{World, until, worlds};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_entered_is_tried_also_while_the_device_is_there_over_usp() {
    let database = store::testing::sqlite().await.unwrap();
    let mut world = World::with(database, |config| {
        config.matching.serial = Trust::Merge;
        config.cwmp.wake_networks = Some(vec![Network::LOOPBACK]);
    })
    .await;
    world.populate().await;
    let key = world.post("/api/v1/setup-keys", json!({"name": "both"}));
    let key: Value = key.await.json().await.unwrap();
    let key = key["secret"].as_str().unwrap();
    let url = format!("ws://{}/usp/{key}", world.usp.unwrap());
    let mut puppet = Puppet::dial(&url, "os::00256D-S1", &world.endpoint)
        .await
        .unwrap();
    let serving = tokio::spawn(async move { puppet.serve(plain).await });
    let list = "/api/v1/devices?q=00256D-S1";
    // Its link begins anew where its other side is there before its serial number is known.
    until("it is there, and known", || async {
        let device = &world.read(list).await["items"][0];
        let id = device["id"].as_str().and_then(|id| id.parse().ok());
        let Some(id) = id.filter(|_| device["presence"]["word"] == "online") else {
            return false;
        };
        let names = world.store().identity_list(&tenant(), id).await.unwrap();
        names.iter().any(|name| name.identity.kind.merges())
    })
    .await;
    let entry = json!({"username": "cpe", "password": "from its label"});

    // Its other side tells where it can be asked to come.
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!(">http://{}/<", door.local_addr().unwrap());
    let cpe = Cpe::new(world.cwmp.unwrap(), "S1").await;
    let mut cpe = cpe.with("default", key);
    let inform = cpe.inform().replace(
        "DeviceInfo.HardwareVersion",
        "ManagementServer.ConnectionRequestURL",
    );
    let basic = cpe.basic();
    let inform = inform.replace(">A<", &at);
    let informed = cpe.post(&[("Authorization", &basic)], &inform).await;
    assert_eq!(informed.status, 200);
    let known = world.read(list).await["items"][0]["id"].clone();
    let device = known.as_str().unwrap();
    until("it is one device with two ways", async || {
        let reach = world.read(&format!("/api/v1/devices/{device}/reach")).await;
        reach["paths"].as_array().unwrap().len() == 2
    })
    .await;
    // In its session nobody asks it to come.
    let (status, woken) = put(&world, device, entry.clone()).await;
    assert_eq!((status, &woken["tried"]), (200, &json!(false)), "{woken}");
    assert!(
        woken["words"].as_str().unwrap().contains("session"),
        "{woken}"
    );
    cpe.finish().await;
    let sessions = format!("/api/v1/devices/{device}/sessions");
    until("the session is over", || async {
        !world.read(&sessions).await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    })
    .await;
    let shown = world.read(&format!("/api/v1/devices/{device}")).await;
    assert_eq!(shown["presence"]["word"], "online", "{shown:#}");

    let (status, woken) = put(&world, device, entry).await;
    assert_eq!((status, &woken["tried"]), (200, &json!(true)), "{woken}");
    let knock = tokio::time::timeout(PATIENCE, door.accept()).await;
    let (mut socket, _) = knock.expect("it is asked to come").unwrap();
    let mut head = [0; 4];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"GET ");
    serving.abort();
    world.stop().await;
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
