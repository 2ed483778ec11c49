//! netcwmp: a C daemon with a TR-098 model read from a file. It reads its settings from `/etc`, so it is given
//! an `/etc` of its own.

use super::client::{Client, Expect, Running, Settings, commit};
use anyhow::{Context, Result};
use std::fs;
use std::process::Command;

/// What the platform does: a reboot, of which the daemon only says that it is time, starts it again.
const SUPERVISE: &str = "mount --bind \"$1\" /etc
while :; do
    \"$2\" > client.log 2>&1 &
    until grep -q '^reboot ' client.log; do sleep 1; done
    kill $!
    wait
done
";

pub fn client() -> Client {
    Client {
        name: "netcwmp",
        model: "TR-098",
        serial: "NETCWMP1",
        oui: "A00001",
        product_class: "OT2800",
        version: commit,
        start,
        sets: ("Device.DeviceInfo.ProvisioningCode", "interop-1"),
        // It says that this can be written, and refuses.
        changes: Expect::Fault("9008"),
        mapped: None,
        table: "InternetGatewayDevice.WANDevice.",
        adds: Expect::NotOffered,
        reboots: Expect::Works,
        // It fetches the file and reports that it was refused.
        downloads: Expect::Fault("9001"),
    }
}

fn start(settings: &Settings) -> Result<Running> {
    let etc = settings.home.join("etc");
    fs::create_dir_all(&etc)?;
    fs::copy(settings.built.join("device.xml"), etc.join("device.xml"))
        .context("netcwmp's device.xml")?;
    fs::write(etc.join("cwmp.conf"), configuration(settings))?;
    let child = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .args(["sh", "-c", SUPERVISE, "sh"])
        .arg(&etc)
        .arg(settings.built.join("cwmpd"))
        .current_dir(&settings.home)
        .spawn()
        .context("unshare")?;
    Ok(Running(child))
}

fn configuration(settings: &Settings) -> String {
    format!(
        "[cwmp]
enable=1
soap_env=SOAP-ENV
soap_enc=SOAP-ENC
acs_auth=1
cpe_auth=1
event_filename=/etc/cwmpevent.bin
acs_url={url}
ca_file=/etc/ca.pem
ca_password=none
cpe_manufacture=netcwmp
cpe_oui={oui}
cpe_sn={serial}
cpe_name=netcwmp
cpe_pc={product_class}
cpe_specver=1.0
cpe_hwver=hw1
cpe_version=1.0
cpe_username=connection
cpe_password=request
acs_username={username}
acs_password={password}

[cwmpd]
httpd_port={port}
http_timeout=-1
",
        url = settings.acs_url,
        oui = settings.oui,
        serial = settings.serial,
        product_class = settings.product_class,
        username = settings.username,
        password = settings.password,
        port = settings.port,
    )
}
