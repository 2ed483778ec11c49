//! Multicast DNS between the real server and the real agent, in two network namespaces (see `netns`).

use std::process::Command;

use serde_json::Value;

use crate::netns::{AGENT, Net, Operator, SERVER_V4, agent, headend, ip, possible};
use crate::rig::{SOON, until};

/// R-DIS.3, R-DIS.4, R-DIS.8 to R-DIS.11a, TP-469 8.5
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_finds_the_server_on_its_network_and_the_server_the_agent() {
    if !possible() {
        return;
    }
    let net = Net::new("mdns");
    ip(&format!("-n {} addr add 192.0.2.7/24 dev wan", net.device));
    // A second network of the server, whose addresses are no business of the first.
    for words in [
        "link add other type veth peer name nobody",
        "addr add 198.51.100.1/24 dev other",
        "link set other up",
        "link set nobody up",
    ] {
        ip(&format!("-n {} {words}", net.server));
    }
    // On the network nobody has a setup key: the device shows a certificate.
    let data = net.text("data");
    let mut init = Command::new(headend());
    assert!(
        init.args(["pki", "init", "--data", &data])
            .status()
            .unwrap()
            .success()
    );
    let url = format!("wss://{SERVER_V4}:8443/usp");
    let operator = Operator::start(&net, &url, &[("HEADEND__DISCOVERY__MDNS", "true")]).await;
    let out = net.text("certificate");
    let issue = ["pki", "issue", "--endpoint", AGENT, "-o", &out];
    operator.asks(&issue).unwrap();
    let config = format!(
        "endpoint_id = \"{AGENT}\"\nstate_dir = \"{}\"\nlog = \"info\"\n\
         [discovery]\nmdns = true\ntrusted = [\"{}\"]\n\
         [listen]\naddress = \"0.0.0.0:8765\"\npath = \"/agent\"\n\
         [tls]\nca_file = \"{}\"\ncertificate = \"{out}/certificate.pem\"\nkey = \"{out}/key.pem\"\n",
        net.text("state"),
        operator.endpoint_id(),
        net.text("data/development-ca/ca.pem"),
    );
    let config = net.write("agent.toml", &config);
    let running = net.start(&net.device, "agent", &agent(), &["--config", &config]);
    let found = until("the agent among those of the network", SOON, async || {
        let all = operator.asks(&["discovery", "agents", "--json"]).unwrap();
        let all: Value = serde_json::from_str(&all).unwrap();
        assert_eq!(all["looking"], true, "{all:#}");
        all["items"].get(0).cloned()
    })
    .await;
    assert_eq!(found["endpoint_id"], AGENT, "{found:#}");
    assert_eq!(found["url"], "ws://192.0.2.7:8765/agent", "{found:#}");
    assert_eq!(found["network"], "lan", "{found:#}");
    let doctor = operator.asks(&["doctor"]).unwrap();
    assert!(
        doctor.contains("1 agent was heard on the local network")
            && doctor.contains("on lan, other"),
        "{doctor}"
    );
    let listed = operator.asks(&["discovery", "agents"]).unwrap();
    assert!(listed.contains(AGENT), "{listed}");
    let path = "Device.LocalAgent.Controller.1.EndpointID";
    until("the device that found us", SOON, async || {
        let got = operator
            .asks(&["device", "get", AGENT, path, "--json"])
            .ok()?;
        got.contains(&operator.endpoint_id()).then_some(())
    })
    .await;
    let said = running.said();
    assert!(
        said.contains("a controller is on the local network"),
        "{said}"
    );
    assert!(
        said.contains(&format!("url=\"wss://{SERVER_V4}:8443\"")),
        "{said}"
    );
    let all = operator.asks(&["discovery", "agents", "--json"]).unwrap();
    let all: Value = serde_json::from_str(&all).unwrap();
    assert!(all["items"][0]["device_id"].is_string(), "{all:#}");
    // Another address takes the place of the old one.
    ip(&format!("-n {} addr del 192.0.2.7/24 dev wan", net.device));
    ip(&format!("-n {} addr add 192.0.2.8/24 dev wan", net.device));
    until("the new address alone", SOON, async || {
        let all = operator.asks(&["discovery", "agents", "--json"]).unwrap();
        let all: Value = serde_json::from_str(&all).unwrap();
        let addresses = &all["items"][0]["addresses"];
        (*addresses == serde_json::json!(["192.0.2.8"])).then_some(())
    })
    .await;
    // Who stops says goodbye.
    running.signal("-TERM");
    until("the agent to be gone", SOON, async || {
        let all = operator.asks(&["discovery", "agents", "--json"]).unwrap();
        let all: Value = serde_json::from_str(&all).unwrap();
        all["items"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
}
