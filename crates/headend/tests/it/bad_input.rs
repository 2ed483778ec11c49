//! What the listener does with those who are no agents, and what the doctor says of them.

use crate::raw::Raw;
use crate::rig::Server;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use usp::limits::RECORD_BYTES_MAX;

const ENDPOINT: &str = "os::00256D-RAW1";

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_by_its_name_and_the_doctor_shows_it() {
    let server = Server::start(&[]).await;
    let key = server.setup_key.clone();
    let api = &server.api;

    // What is no record closes with 1003 (R-WS.16), and so does text (R-WS.15).
    let mut raw = Raw::dial(&server, &key, ENDPOINT).await.ok().unwrap();
    raw.send(Message::Binary(vec![0xFF; 64].into())).await;
    assert_eq!(raw.closed().await.0, 1003);
    let shown = api.refusal("unparsable-record").await;
    assert_eq!(shown["endpoint_id"], ENDPOINT, "{shown:#}");
    assert!(
        shown["peer"].as_str().unwrap().starts_with("127.0.0.1"),
        "{shown:#}"
    );

    let mut raw = Raw::dial(&server, &key, ENDPOINT).await.ok().unwrap();
    raw.send(Message::Text("{\"hello\": 1}".into())).await;
    assert_eq!(raw.closed().await.0, 1003);

    // Larger than any record may be: closed before it is sent.
    let raw = Raw::dial(&server, &key, ENDPOINT).await.ok().unwrap();
    assert_eq!(raw.announces(RECORD_BYTES_MAX as u64 + 1).await, 1009);
    let raw = Raw::dial(&server, &key, ENDPOINT).await.ok().unwrap();
    assert_eq!(raw.announces(u64::MAX >> 1).await, 1009);

    // A key nobody knows.
    let unknown = "hes_0123456789abcdefghijABCDEFGHIJ01";
    assert_eq!(Raw::dial(&server, unknown, ENDPOINT).await.err(), Some(401));
    assert_eq!(
        Raw::dial(&server, "nothing", ENDPOINT).await.err(),
        Some(401)
    );
    let shown = api.refusal("unknown_credential").await;
    assert!(!shown["words"].as_str().unwrap().is_empty(), "{shown:#}");

    // One device's credential with the endpoint id of another.
    let body = json!({"endpoint_id": "os::00256D-OWNER"});
    let made = api.post("/devices", body).await;
    let token = made["secret"].as_str().unwrap();
    let refused = Raw::dial(&server, token, "os::00256D-THIEF").await;
    assert_eq!(refused.err(), Some(403));
    let shown = api.refusal("endpoint_mismatch").await;
    assert_eq!(shown["endpoint_id"], "os::00256D-THIEF", "{shown:#}");
    assert!(Raw::dial(&server, token, "os::00256D-OWNER").await.is_ok());

    // After all that, others are served.
    let _sim = server.sim_named("sim", 1, None);
    let seen = crate::rig::until("a simulated device", crate::rig::SOON, async || {
        let page = api.get("/devices?limit=500").await;
        let mut items = page["items"].as_array().unwrap().iter();
        items.find(|device| device["model"].is_string()).cloned()
    });
    seen.await;
}
