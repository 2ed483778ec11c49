//! How a TR-069 device can be asked to come, as people read it: what it told and cannot be used is said to be so.

use reqwest::Method;
use serde_json::{Value, json};

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
