//! genieacs-sim: a simulator in Node that plays the recorded TR-098 model of a gateway. It only knows Basic.

use super::client::{Client, Expect, Running, Settings, commit};
use anyhow::{Context, Result};
use std::fs;
use std::process::Command;

/// The recorded model that it comes with.
const MODEL: &str = "data_model_202BC1-BM632w-8KA8WA1151100043.csv";

pub fn client() -> Client {
    Client {
        name: "genieacs-sim",
        model: "TR-098",
        serial: "026001",
        oui: "202BC1",
        product_class: "BM632w",
        version: commit,
        start,
        sets: ("Device.DeviceInfo.ProvisioningCode", "interop-1"),
        changes: Expect::Works,
        mapped: Some(("Device.WiFi.SSID.1.SSID", "mapped")),
        table: "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.DHCPConditionalServingPool.",
        adds: Expect::Works,
        reboots: Expect::Fault("9000", "it knows no Reboot"),
        downloads: Expect::Works,
        note: "genieacs-sim fetches an image and tells its end; it does not start it, so its version stays.",
    }
}

fn start(settings: &Settings) -> Result<Running> {
    let model = fs::read_to_string(settings.built.join(MODEL)).context(MODEL)?;
    let server = "InternetGatewayDevice.ManagementServer.";
    let own: Vec<String> = model
        .lines()
        .map(|line| match line.strip_prefix(server) {
            Some(rest) if rest.starts_with("Username,") => {
                format!(
                    "{server}Username,false,true,{},xsd:string",
                    settings.username
                )
            }
            Some(rest) if rest.starts_with("Password,") => {
                format!(
                    "{server}Password,false,true,{},xsd:string",
                    settings.password
                )
            }
            Some(rest) if rest.starts_with("PeriodicInformInterval,") => {
                format!("{server}PeriodicInformInterval,false,true,3600,xsd:unsignedInt")
            }
            _ => line.to_owned(),
        })
        .collect();
    let own_model = settings.home.join("model.csv");
    fs::write(&own_model, own.join("\n") + "\n")?;
    let log = fs::File::create(settings.home.join("client.log"))?;
    let child = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--kill-child",
            "node",
        ])
        .arg(settings.built.join("genieacs-sim"))
        .args([
            "--acs-url",
            &settings.acs_url,
            "--serial",
            "26001",
            "--data-model",
        ])
        .arg(&own_model)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("unshare")?;
    Ok(Running(child))
}
