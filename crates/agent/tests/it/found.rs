//! A controller that was found: whoever dials in under its endpoint id has to prove it.

use mtp::discovery::dhcp::{Offer, Version};
use tokio_util::sync::CancellationToken;

use agent::{AgentConfig, ListenConfig, RunOptions};

use crate::conversation::Box1;

const FOUND: &str = "self::found";
const PATH: &str = "/agent";

#[tokio::test]
async fn a_dial_in_under_the_id_of_a_found_controller_without_its_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let there = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let offer = Offer {
        url: Some(format!("ws://{}/usp", there.local_addr().unwrap())),
        endpoint_id: Some(FOUND.parse().unwrap()),
        ..Offer::default()
    };
    let bytes = offer.encode(Version::V4).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let lease = folder.path().join("lease");
    std::fs::write(&lease, format!("opt125={hex}\n")).unwrap();
    let mut config = AgentConfig {
        endpoint_id: "os::00256D-FOUND".into(),
        listen: Some(ListenConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            path: PATH.into(),
            certificate: None,
            key: None,
            client_ca: None,
        }),
        ..AgentConfig::default()
    };
    config.discovery.dhcp_lease = Some(lease);
    let (sender, listening) = tokio::sync::oneshot::channel();
    let options = RunOptions {
        listening: Some(sender),
        ..RunOptions::default()
    };
    let stop = CancellationToken::new();
    let backend = Box1(agent::model(&["Device.DeviceInfo.!only"]).unwrap());
    let running = tokio::spawn(agent::run(config, Box::new(backend), options, stop.clone()));
    let address = listening.await.unwrap();
    // It is a controller of this agent from now on, since it is dialled.
    let _dialled = there.accept().await.unwrap();
    let url = format!("ws://{address}{PATH}");
    let dial = mtp::ws::DialConfig::new(url, FOUND.parse().unwrap());
    assert!(mtp::ws::dial(&dial).await.is_err(), "somebody came in");
    stop.cancel();
    running.await.unwrap().unwrap();
}
