//! Files over HTTPS, with the certificate of the server's own development authority: devices fetch and send by it,
//! and a link is for whoever has it and believes the authority.

use crate::cli::Cli;
use crate::rig::{SOON, Server, until};
use crate::wire::{By, Fate, Wire};
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Certificate, Client, StatusCode};
use serde_json::Value;
use std::path::PathBuf;

/// What the simulated devices read of an image.
const IMAGE: &str = "an image\nversion=9.1\n";
const NAME: &str = "gateway.img";
/// Files by HTTPS alone.
const SETTINGS: [&str; 6] = [
    "--set",
    "cwmp.wake_networks=[\"127.0.0.0/8\"]",
    "--set",
    "files.listen=",
    "--set",
    "files.tls_listen=127.0.0.1:0",
];

/// Where the server keeps its development authority.
fn authority(server: &Server) -> PathBuf {
    server.folder.path().join("data/development-ca/ca.pem")
}

/// A file on this server.
fn put(server: &Server, cli: &Cli) {
    let path = server.folder.path().join(NAME);
    std::fs::write(&path, IMAGE).unwrap();
    let path = path.to_str().unwrap();
    cli.done(&["file", "put", path, "--kind", "firmware"]);
}

fn device(cli: &Cli) -> String {
    let found = cli.done_json(&["device", "list"]);
    found["items"][0]["name"].as_str().unwrap().to_owned()
}

fn transfer(cli: &Cli, device: &str) -> Value {
    cli.done_json(&["device", "transfers", device])["items"][0].clone()
}

/// What a device does that believes the authority.
async fn fetches_and_sends(flags: &[&str]) {
    let server = Server::start(&SETTINGS).await;
    let ca = authority(&server);
    let flash = server.folder.path().join("flash");
    let flags = [flags, &["--ca", ca.to_str().unwrap()]].concat();
    let _sim = server.sim_with("sim", &flags, Some(&flash));
    server.devices(1).await;
    let cli = Cli::administrator(&server);
    let device = device(&cli);
    put(&server, &cli);
    cli.done(&["device", "download", &device, NAME]);
    let version = "Device.DeviceInfo.SoftwareVersion";
    let read = cli.done(&["device", "get", &device, version]);
    assert_eq!(read, format!("{version} = 9.1\n"));
    cli.done(&["device", "upload", &device, "--name", "saved.cfg"]);
    let sent = transfer(&cli, &device);
    assert_eq!(
        (&sent["name"], &sent["state"]),
        (&"saved.cfg".into(), &"done".into()),
        "{sent:#}"
    );
    let content = cli.done(&["file", "get", "saved.cfg", "-o", "-"]);
    assert_eq!(sent["bytes"], content.len(), "{sent:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cwmp_device_fetches_and_sends_files_over_https() {
    fetches_and_sends(&["--count", "0", "--cwmp-devices", "1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_over_https_is_for_whoever_believes_the_authority() {
    let server = Server::start(&SETTINGS).await;
    let wire = Wire::start(&server.cwmp).await;
    let flags = ["--count", "0", "--cwmp-devices", "1"];
    let _sim = server.sim_over("sim", &flags, None, &wire.address);
    server.devices(1).await;
    let cli = Cli::administrator(&server);
    let device = device(&cli);
    put(&server, &cli);
    // Its link does not arrive: somebody else has it.
    let met = wire.meet(By::Server, "</URL>", Fate::Lost);
    cli.done(&["device", "download", &device, NAME, "--no-wait"]);
    met.await;
    let heard = wire.heard();
    let (_, after) = heard.rsplit_once("<URL>").unwrap();
    let link = after.split_once("</URL>").unwrap().0;
    assert!(
        link.starts_with("https://127.0.0.1:") && link.ends_with(NAME),
        "{link}"
    );

    let ca = std::fs::read(authority(&server)).unwrap();
    let believes = |certificates: Vec<Certificate>| {
        let builder = Client::builder().tls_certs_only(certificates);
        builder.build().unwrap()
    };
    let distrusts = believes(Vec::new()).get(link).send().await;
    assert!(distrusts.unwrap_err().is_connect());
    assert_eq!(transfer(&cli, &device)["requests"], 0);

    let client = believes(vec![Certificate::from_pem(&ca).unwrap()]);
    let part = client.get(link).header(RANGE, "bytes=0-7").send().await;
    let part = part.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[CONTENT_RANGE], "bytes 0-7/21");
    assert_eq!(part.text().await.unwrap(), IMAGE[..8]);
    let whole = client.get(link).send().await.unwrap();
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(whole.text().await.unwrap(), IMAGE);
    until("the transfer to be done", SOON, async || {
        (transfer(&cli, &device)["state"] == "done").then_some(())
    })
    .await;
    // Nobody guesses another one, and it is not served without TLS.
    let guessed = link.replace("/hef_", "/hef_x");
    let guessed = client.get(guessed).send().await.unwrap();
    assert_eq!(guessed.status(), StatusCode::NOT_FOUND);
    let plain = Client::new().get(link.replace("https://", "http://"));
    let plain = plain.send().await;
    let served = plain.is_ok_and(|answer| answer.status().is_success());
    assert!(!served, "it was served without TLS");
}
