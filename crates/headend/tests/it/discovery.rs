//! `headend discovery`: what devices are told comes from the configuration of the server.

use crate::cli::Cli;
use crate::rig::Server;

#[tokio::test(flavor = "multi_thread")]
async fn lines_for_dnsmasq_come_from_the_configuration_of_the_server() {
    let server = Server::start(&[]).await;
    let cli = Cli::fresh(&server, "operator");
    let data = server.folder.path().join("data");
    let endpoint = std::fs::read_to_string(data.join("endpoint-id")).unwrap();
    let endpoint = endpoint.trim();
    let base = ["discovery", "dhcp", "--data", data.to_str().unwrap()];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    let listen = "usp.listen=192.0.2.1:8081";

    let printed = cli.done(&with(&["--set", listen, "--retry-min-wait", "5"]));
    for line in [
        "dhcp-match=set:usp,vi-encap:3561,usp",
        "dhcp-option-force=tag:usp,vi-encap:3561,25,ws://192.0.2.1:8081/usp",
        "dhcp-option-force=tag:usp,vi-encap:3561,27,53",
        "dhcp-vendorclass=set:usp6,enterprise:3561,usp",
        "dhcp-option-force=tag:usp6,vi-encap:3561,option6:25,ws://192.0.2.1:8081/usp",
        &format!("dhcp-option-force=tag:usp6,vi-encap:3561,option6:29,{endpoint}"),
    ] {
        assert!(printed.lines().any(|one| one == line), "{line}\n{printed}");
    }
    let four = cli.done(&with(&["--v4", "--set", listen, "--setup-key", "hes_1"]));
    assert!(
        four.contains("25,ws://192.0.2.1:8081/usp/hes_1\n"),
        "{four}"
    );
    assert!(!four.contains("option6"), "{four}");
    let hex = cli.done(&with(&["--v6", "--for", "hex", "--set", listen]));
    assert!(hex.starts_with("17 00000de900190017"), "{hex}");
    let public = "usp.public_url=wss://usp.example.net/usp";
    let public = cli.done(&with(&["--v4", "--set", public, "--tenant-path", "acme"]));
    assert!(
        public.contains("25,wss://usp.example.net/usp/acme\n"),
        "{public}"
    );
    let mqtt = ["--over", "mqtt", "--set", "mqtt.listen=192.0.2.1:1883"];
    assert!(
        cli.done(&with(&mqtt))
            .contains("25,mqtt://192.0.2.1:1883\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_device_could_get_there_it_says_so_instead() {
    let server = Server::start(&[]).await;
    let cli = Cli::fresh(&server, "operator");
    let data = server.folder.path().join("data");
    let data = data.to_str().unwrap();
    let local = ["--data", data, "--set", "usp.listen=127.0.0.1:8081"];
    let dhcp = |more: &[&str], rest: &[&str]| {
        cli.fails(8, &[&["discovery", "dhcp"][..], more, rest].concat())
    };
    let said = dhcp(&[], &local);
    assert!(
        said.contains("usp.listen is 127.0.0.1:8081, which only this machine reaches"),
        "{said}"
    );
    let said = dhcp(&[], &["--data", data]);
    assert!(
        said.contains("all addresses of this machine") && said.contains("--host"),
        "{said}"
    );
    let said = dhcp(&["--over", "mqtt"], &["--data", data]);
    assert!(
        said.contains("set mqtt.listen or mqtt.tls_listen"),
        "{said}"
    );
    let never = server.folder.path().join("never");
    let said = dhcp(
        &["--host", "a.example"],
        &["--data", never.to_str().unwrap()],
    );
    assert!(said.contains("no endpoint id yet"), "{said}");
    assert!(!never.exists());
    let long = "p".repeat(200);
    let said = dhcp(
        &["--host", "a.example"],
        &["--data", data, "--provisioning-code", &long],
    );
    assert!(
        said.contains("option 125: ") && said.contains("at most 64"),
        "{said}"
    );
}
