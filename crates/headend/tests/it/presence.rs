//! A device that dies or falls silent is seen to, and what waits for it runs when it returns.

use crate::rig::{SOON, Server, until};
use crate::stream::Stream;
use serde_json::json;
use std::time::Duration;

/// Far less than where nothing is configured: nobody waits for as long as that here.
const SILENT_AFTER: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_dies_is_seen_and_its_operation_waits_for_it() {
    let silent = format!("presence.silent_after_seconds={}", SILENT_AFTER.as_secs());
    let server = Server::start(&["--set", &silent]).await;
    let flash = server.folder.path().join("flash");
    let mut sim = server.sim(1, Some(&flash));
    let device = server.devices(1).await.remove(0);
    let api = &server.api;
    let stream = Stream::open(api, None).await;

    // Frozen: the link is open, nothing comes, not even a pong.
    sim.signal("-STOP");
    let kinds = ["device.silent", "device.disconnected"];
    stream.wait_any(&kinds, &device, 0, SOON).await;
    assert_ne!(api.presence(&device).await, "online");
    sim.signal("-CONT");
    until("the device to be back", SOON, async || {
        (api.presence(&device).await == "online").then_some(())
    })
    .await;

    // Killed: the link breaks.
    let from = stream.len();
    sim.kill();
    stream
        .wait("device.disconnected", &device, from, SOON)
        .await;
    until("the device to be offline", SOON, async || {
        (api.presence(&device).await == "offline").then_some(())
    })
    .await;
    let page = api.get("/devices?limit=10").await;
    assert_eq!(page["items"][0]["presence"]["word"], "offline");

    let set = json!({"kind": "set", "parameters": [
        {"path": "Device.WiFi.SSID.1.SSID", "value": "after the storm"},
    ]});
    let operation = api.operate(&device, set).await;
    // Nothing else happens to it: the dispatcher has had its chance when a later event is there.
    stream.wait("operation.queued", &device, from, SOON).await;
    let waiting = api.operation(&operation).await;
    assert_eq!(waiting["state"], "queued", "{waiting:#}");
    assert_eq!(waiting["started_at"], json!(null), "{waiting:#}");

    let _sim = server.sim(1, Some(&flash));
    stream.wait("device.connected", &device, from, SOON).await;
    let done = api.succeeded(&operation).await;
    let result = &done["steps"][0]["results"][0];
    assert_eq!(result["after"], "after the storm", "{done:#}");
    assert_eq!(result["verified"], true, "{done:#}");
    stream.wait("operation.finished", &device, from, SOON).await;
}
