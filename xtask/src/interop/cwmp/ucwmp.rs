//! ucwmp: a C daemon for OpenWrt that asks another daemon for the data model, over ubus. That one keeps it in a
//! text file: a line a node, `path|type|writable|value`.

use super::client::{Client, Expect, Running, Settings, commit};
use super::root::Root;
use anyhow::Result;

/// What procd does: starts it again when it ends, and says that the device has booted.
fn supervise(settings: &Settings) -> String {
    format!(
        "#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
ubusd &
sleep 1
model /etc/model &
uhttpd -f -p 127.0.0.1:{port} -x / -h /usr/libexec/cwmp &
booted=yes
while :; do
    [ -n \"$booted\" ] && (ubus -t 10 wait_for cwmp; ubus call cwmp event_add '{{\"event\":\"1 BOOT\"}}') &
    cwmpd -a {url} -u {username} -p {password} -e -i 3600 -U connection -P request
    sleep 1
    booted=
    [ -e /tmp/rebooting ] && booted=yes
    rm -f /tmp/rebooting
done
",
        port = settings.port,
        url = settings.acs_url,
        username = settings.username,
        password = settings.password,
    )
}

const REBOOT: &str = "#!/bin/sh
touch /tmp/rebooting
killall cwmpd
";

/// Flashing an image: the file's first line becomes the running version.
const SYSUPGRADE: &str = "#!/bin/sh
sed -i \"s/^\\(Device.DeviceInfo.SoftwareVersion|string|0|\\).*/\\1$(head -n 1 $1)/\" /etc/model
killall model
model /etc/model &
reboot
";

pub fn client() -> Client {
    Client {
        name: "ucwmp",
        model: "TR-181",
        serial: "UCWMP1",
        oui: "0D1E2F",
        product_class: "ucwmp",
        version: commit,
        start,
        sets: ("Device.DeviceInfo.ProvisioningCode", "interop-1"),
        mapped: None,
        table: "Device.WiFi.SSID.",
        adds: Expect::Works,
        reboots: Expect::Works,
        downloads: Expect::Works,
    }
}

fn start(settings: &Settings) -> Result<Running> {
    let root = Root::copy(settings)?;
    root.write("etc/model", &model(settings))?;
    root.program("sbin/reboot", REBOOT)?;
    root.program("sbin/sysupgrade", SYSUPGRADE)?;
    root.boot(settings, &supervise(settings))
}

fn model(settings: &Settings) -> String {
    format!(
        "Device.|object|0|
Device.DeviceInfo.|object|0|
Device.DeviceInfo.Manufacturer|string|0|ucwmp
Device.DeviceInfo.ManufacturerOUI|string|0|{oui}
Device.DeviceInfo.ProductClass|string|0|{product_class}
Device.DeviceInfo.SerialNumber|string|0|{serial}
Device.DeviceInfo.SpecVersion|string|0|1.0
Device.DeviceInfo.HardwareVersion|string|0|hw1
Device.DeviceInfo.SoftwareVersion|string|0|1.0
Device.DeviceInfo.ProvisioningCode|string|1|
Device.ManagementServer.|object|0|
Device.ManagementServer.URL|string|1|{url}
Device.ManagementServer.Username|string|1|{username}
Device.ManagementServer.Password|string|1|
Device.ManagementServer.PeriodicInformEnable|boolean|1|1
Device.ManagementServer.PeriodicInformInterval|unsignedInt|1|3600
Device.ManagementServer.ConnectionRequestURL|string|0|http://127.0.0.1:{port}/connreq
Device.ManagementServer.ConnectionRequestUsername|string|1|connection
Device.ManagementServer.ConnectionRequestPassword|string|1|
Device.ManagementServer.ParameterKey|string|0|
Device.WiFi.|object|0|
Device.WiFi.SSID.|object|1|
Device.WiFi.SSID.1.|object|1|
Device.WiFi.SSID.1.Enable|boolean|1|1
Device.WiFi.SSID.1.SSID|string|1|tiny
",
        oui = settings.oui,
        product_class = settings.product_class,
        serial = settings.serial,
        url = settings.acs_url,
        username = settings.username,
        port = settings.port,
    )
}
