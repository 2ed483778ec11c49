//! How a device can be reached, as people read it: of a TR-069 device what it told and cannot be used is said to be so,
//! and of a connection at another server when the device was heard over it.

use std::time::Duration;

use fleet::{DeviceId, NodeId};
use reqwest::Method;
use serde_json::{Value, json};
use server::state::now;
use store::{Heard, LinkNumber, PathLink};

use crate::one_device::tenant;
use crate::raw::Cpe;
use crate::world::{until, worlds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_cannot_be_used_is_told_with_the_reason_and_nothing_is_promised() {
    for world in worlds().await {
        let key = world.post("/api/v1/setup-keys", json!({"name": "k"})).await;
        let key: Value = key.json().await.unwrap();
        for (serial, url, why) in [
            ("R1", "not a url", "http:// or https://"),
            ("R2", "ftp://127.0.0.1/", "http:// or https://"),
            ("R3", "http://127.0.0.1:99999/", "1 to 65535"),
            ("R4", "http://127.0.0.1/a b", "spaces"),
        ] {
            let cpe = Cpe::new(world.cwmp.unwrap(), serial).await;
            let mut cpe = cpe.with("default", key["secret"].as_str().unwrap());
            let inform = cpe.inform().replace(
                "DeviceInfo.HardwareVersion",
                "ManagementServer.ConnectionRequestURL",
            );
            let (inform, basic) = (inform.replace(">A<", &format!(">{url}<")), cpe.basic());
            let informed = cpe.post(&[("Authorization", &basic)], &inform).await;
            assert_eq!(informed.status, 200);
            cpe.finish().await;
            let found = world.read(&format!("/api/v1/devices?q={serial}")).await;
            let device = found["items"][0]["id"].as_str().unwrap().to_owned();
            let reach = format!("/api/v1/devices/{device}/reach");
            until("its session is over", || async {
                let reach = world.read(&reach).await;
                reach["wake"]["possible"] == false
            })
            .await;
            let reach = world.read(&reach).await;
            let method = &reach["paths"][0]["methods"][0];
            assert_eq!(
                (&method["method"], &method["address"]),
                (&json!("http"), &json!(url))
            );
            for words in [&method["problem"], &reach["wake"]["words"]] {
                let words = words.as_str().unwrap();
                let says = "its ConnectionRequestURL cannot be used: ";
                assert!(words.contains(says) && words.contains(why), "{words}");
            }
            let wake = format!("/api/v1/devices/{device}/wake");
            until("it is no longer in its session", || async {
                let woken = world.request(Method::POST, &wake).send().await.unwrap();
                let woken: Value = woken.json().await.unwrap();
                woken["tried"] == false && woken["words"].as_str().unwrap().contains(why)
            })
            .await;
        }
    }
}

/// An MQTT connection, for which its server says now and then that it is open, however long the device is silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_another_server_holds_a_connection_is_not_shown_as_a_device_that_was_heard() {
    for world in worlds().await {
        let device: DeviceId = world.device("proto::HELD").await.parse().unwrap();
        let (store, tenant) = (world.store(), tenant());
        let node = NodeId::parse("elsewhere").unwrap();
        let (transport, connected) = ("mqtt", now());
        let link = PathLink {
            transport: transport.to_owned(),
            endpoint_id: "proto::HELD".to_owned(),
            node: node.clone(),
            peer: "192.0.2.7:1234".to_owned(),
            authenticated_by: "setup_key".to_owned(),
            setup_key: None,
            info: json!({}),
            at: connected,
        };
        let link = store.path_connected(&tenant, device, link, vec![]);
        let link = link.await.unwrap();
        let shown = async || {
            let reach = world.read(&format!("/api/v1/devices/{device}/reach")).await;
            let paths = reach["paths"].as_array().unwrap().clone();
            let path = paths.into_iter().find(|path| path["transport"] == "mqtt");
            let path = path.unwrap();
            (path["evidence_at"].clone(), path["evidence_source"].clone())
        };
        let before = shown().await;
        assert_eq!(before.1, "connected");
        let hold = async |seconds| {
            let held = LinkNumber {
                device,
                transport,
                link,
            };
            let at = connected.plus(Duration::from_secs(seconds));
            let astray = store.path_held(&tenant, &node, vec![held], at).await;
            assert_eq!(astray.unwrap(), store::Astray::default());
            let path = store.path(&tenant, device, transport).await.unwrap();
            assert_eq!(path.unwrap().heard_at, Some(at));
        };
        hold(60).await;
        assert_eq!(shown().await, before);
        let heard = Heard {
            device,
            transport,
            at: connected.plus(Duration::from_secs(90)),
        };
        store.path_heard(&tenant, vec![heard]).await.unwrap();
        let heard = shown().await;
        assert!(heard.0 != before.0 && heard.1 == "message or pong");
        hold(120).await;
        assert_eq!(shown().await, heard);
    }
}
