//! Two agents with one endpoint id: the newer replaces the older, not for ever, and no operation is lost.

use crate::rig::Server;
use crate::stream::Stream;
use serde_json::json;
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_with_one_endpoint_id_lose_no_operation() {
    let server = Server::start(&[]).await;
    let flash = server.folder.path().join("flash");
    let copy = server.folder.path().join("copy");
    let api = &server.api;
    let mut sim = server.sim(1, Some(&flash));
    let device = server.devices(1).await.remove(0);
    let stream = Stream::open(api, None).await;
    sim.kill();
    copy_all(&flash, &copy);

    // Both have the same endpoint id and the same credential, and dial again whenever they are replaced.
    let one = server.sim_named("one", 1, Some(&flash));
    stream
        .wait("device.connected", &device, 0, crate::rig::SOON)
        .await;
    let mut operations = Vec::new();
    let mut two = server.sim_named("two", 1, Some(&copy));
    for number in 0..10 {
        let set = json!({"kind": "set", "parameters": [
            {"path": "Device.WiFi.SSID.1.SSID", "value": format!("rival {number}")},
        ]});
        operations.push(api.operate(&device, set).await);
        let get = json!({"kind": "get", "paths": ["Device.DeviceInfo.SerialNumber"]});
        operations.push(api.operate(&device, get).await);
    }
    stream
        .wait("device.taken_over", &device, 0, crate::rig::SOON)
        .await;
    // They replace each other until that is too much; who comes then is refused and shown.
    let shown = api.refusal("flapping").await;
    assert!(!shown["words"].as_str().unwrap().is_empty(), "{shown:#}");
    // The twin is unplugged. Whichever of them was there answered, and each operation came to an end that says what
    // was seen: a Set that one of them took and the other read back tells the difference.
    two.kill();
    for operation in &operations {
        let ended = api.ended(operation).await;
        let told = ended["steps"][0]["results"].as_array().unwrap();
        let other = told.iter().any(|result| result["verified"] == false);
        assert!(ended["state"] == "succeeded" || other, "{ended:#}");
    }
    let page = api.get("/devices?limit=10").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page:#}");
    drop(one);
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
