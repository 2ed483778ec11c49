//! A server that is stopped says goodbye, and one that is started again knows everything.

use crate::raw::Raw;
use crate::rig::{Server, until};
use serde_json::json;
use std::time::Duration;
use usp::record::RecordType;

/// Said in the operator's guide.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_says_goodbye_and_knows_everything_when_it_is_back() {
    let mut server = Server::start(&[]).await;
    let flash = server.folder.path().join("flash");
    let _sim = server.sim(2, Some(&flash));
    let devices = server.devices(2).await;
    let set = json!({"kind": "set", "parameters": [
        {"path": "Device.WiFi.SSID.1.SSID", "value": "kept"},
    ]});
    let operation = server.api.operate(&devices[0], set).await;
    server.api.succeeded(&operation).await;
    let made = server
        .api
        .post(
            "/devices",
            json!({"endpoint_id": "os::00256D-RAW", "label": "raw"}),
        )
        .await;
    let (raw_id, token) = (made["device"]["id"].clone(), made["secret"].clone());

    for round in 0..2 {
        let mut raw = Raw::dial(&server, token.as_str().unwrap(), "os::00256D-RAW")
            .await
            .ok()
            .unwrap();
        raw.connect().await;
        let path = format!("/devices/{}", raw_id.as_str().unwrap());
        until("the raw client to be there", crate::rig::SOON, async || {
            let device = server.api.get(&path).await;
            (device["presence"]["word"] == "online").then_some(())
        })
        .await;

        let goodbye = tokio::spawn(raw.closed());
        server.process.signal("-TERM");
        let status = until("the server to end", STOPS_WITHIN, async || {
            server.process.child.try_wait().unwrap()
        })
        .await;
        assert_eq!(status.code(), Some(0), "{}", server.process.said());
        let (code, records) = goodbye.await.unwrap();
        assert_eq!(code, 1001);
        assert!(
            records
                .iter()
                .any(|record| matches!(record.record_type, RecordType::Disconnect(_))),
            "no DisconnectRecord: {records:?}"
        );

        server.restart().await;
        assert!(
            !server.process.said().contains("one-time password"),
            "round {round}"
        );
        // The same token, devices, operation and values.
        let kept = server.api.operation(&operation).await;
        assert_eq!(kept["state"], "succeeded");
        let values = format!("/devices/{}/values?path=Device.WiFi.SSID.1.", devices[0]);
        let values = server.api.get(&values).await;
        let items = values["items"].as_array().unwrap();
        let ssid = items
            .iter()
            .find(|value| value["path"] == "Device.WiFi.SSID.1.SSID");
        assert_eq!(ssid.unwrap()["value"], "kept");
        for device in &devices {
            until("the devices to be back", crate::rig::SOON, async || {
                (server.api.presence(device).await == "online").then_some(())
            })
            .await;
        }
        let get = json!({"kind": "get", "paths": ["Device.DeviceInfo.UpTime"]});
        let again = server.api.operate(&devices[1], get).await;
        server.api.succeeded(&again).await;
    }
    let page = server.api.get("/devices?limit=10").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
}
