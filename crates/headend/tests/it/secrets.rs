//! What is a secret of a device is seen by nobody, whoever asks: neither by its owner nor by who set it.

use crate::rig::Server;
use serde_json::{Value, json};

const PASSPHRASE: &str = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase";
const SECRET: &str = "open sesame twice";

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_credentials_of_a_device_are_shown_nowhere() {
    let server = Server::start(&[]).await;
    let _sim = server.sim(1, None);
    let device = server.devices(1).await.remove(0);
    let api = &server.api;
    let operations = format!("/devices/{device}/operations");

    let mut seen = Vec::new();
    // Looked at before it is done, also where it would be refused.
    for path in [PASSPHRASE, "Device.ManagementServer.Password"] {
        let set = json!({"kind": "set", "parameters": [{"path": path, "value": SECRET}]});
        let body = json!({"ops": [set], "mode": "preview"});
        seen.push(api.post(&operations, body).await);
    }
    let refused = json!({"kind": "set", "parameters": [
        {"path": "Device.ManagementServer.Password", "value": SECRET},
    ]});
    let body = json!({"ops": [refused]});
    let (_, answer) = api
        .try_post(&operations, &body, Some("refused"))
        .await
        .unwrap();
    seen.push(answer);

    // Set, read, and what the device is told by us: its path holds its own credential.
    let ops = [
        json!({"kind": "set", "parameters": [{"path": PASSPHRASE, "value": SECRET}]}),
        json!({"kind": "get", "paths": [PASSPHRASE]}),
        json!({"kind": "get", "paths": ["Device.LocalAgent.Controller."]}),
        json!({"kind": "get", "paths": ["Device.LocalAgent.Controller.*.MTP.*.WebSocket.Path"]}),
    ];
    let mut paths = 0;
    for op in ops {
        let id = api.operate(&device, op).await;
        let done = api.succeeded(&id).await;
        let results = done["steps"][0]["results"].as_array().unwrap();
        paths += results
            .iter()
            .filter(|one| one["path"].as_str().unwrap().ends_with("WebSocket.Path"))
            .filter(|one| one["after"] == "********")
            .count();
        seen.push(done);
        seen.push(
            api.get(&format!("/operations/{id}/transcript?limit=500"))
                .await,
        );
    }
    assert!(paths >= 2, "the path was not read: {seen:#?}");
    seen.push(api.get("/operations?limit=100").await);
    seen.push(
        api.get(&format!(
            "/devices/{device}/values?limit=500&path=Device.LocalAgent."
        ))
        .await,
    );
    seen.push(
        api.get(&format!(
            "/devices/{device}/values?limit=500&path=Device.WiFi.AccessPoint."
        ))
        .await,
    );
    seen.push(Value::Array(api.log("").await));
    for shown in seen {
        let text = shown.to_string();
        assert!(!text.contains(SECRET), "{shown:#}");
        assert!(!holds_credential(&text), "{shown:#}");
    }
}

/// A device's own credential or a setup key, of which more than the beginning is shown.
fn holds_credential(text: &str) -> bool {
    ["hed_", "hes_"].iter().any(|prefix| {
        text.match_indices(prefix).any(|(at, _)| {
            let rest = text[at + prefix.len()..].bytes();
            rest.take_while(u8::is_ascii_alphanumeric).count() > 8
        })
    })
}
