//! easycwmp: a C daemon for OpenWrt whose data model is shell scripts over uci.
//!
//! What the platform would do (starting it again, rebooting, flashing) is done by the small scripts here.

use super::client::{Client, Expect, Running, Settings, commit};
use super::root::Root;
use anyhow::{Context, Result};
use std::fs;

/// What procd does: starts it again when it ends, with the event that fits.
const SUPERVISE: &str = "#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
ubusd -s /var/run/ubus.sock &
event=--boot
while :; do
    easycwmpd -f $event
    sleep 1
    event=--getrpcmethod
    [ -e /tmp/rebooting ] && event=--boot
    rm -f /tmp/rebooting
done
";

/// A reboot ends the daemon; it is started again as after power on.
const REBOOT: &str = "#!/bin/sh
touch /tmp/rebooting
kill $(cat /var/run/easycwmp.pid)
";

/// Flashing an image: the file's first line becomes the running version.
const SYSUPGRADE: &str = "#!/bin/sh
uci set easycwmp.@device[0].software_version=\"$(head -n 1 $1)\"
uci commit easycwmp
touch /tmp/rebooting
";

const WIRELESS: &str = "config wifi-device 'radio0'
\toption channel '36'
\toption hwmode '11a'

config wifi-iface
\toption device 'radio0'
\toption network 'lan'
\toption mode 'ap'
\toption ssid 'easy'
\toption encryption 'psk2'
\toption key 'not-so-secret'
";

const NETWORK: &str = "config interface 'lan'
\toption ifname 'lo'
\toption proto 'static'
\toption ipaddr '127.0.0.1'
\toption netmask '255.0.0.0'
";

pub fn tr181() -> Client {
    Client {
        name: "easycwmp",
        model: "TR-181",
        serial: "EASY181",
        oui: "0A1B2C",
        product_class: "easy181",
        version: commit,
        start: |settings| start(settings, "tr181"),
        sets: ("Device.DeviceInfo.ProvisioningCode", "interop-1"),
        changes: Expect::Works,
        mapped: None,
        table: "Device.WiFi.SSID.",
        adds: Expect::Works,
        reboots: Expect::Works,
        downloads: Expect::Works,
        note: "easycwmp runs in a file system of its own, where small scripts of ours stand for procd, `reboot` and \
               `sysupgrade`. The scripts of its TR-098 model have no table to which rows can be added.",
    }
}

pub fn tr098() -> Client {
    Client {
        model: "TR-098",
        serial: "EASY098",
        product_class: "easy098",
        start: |settings| start(settings, "tr098"),
        mapped: Some(("Device.WiFi.SSID.1.SSID", "mapped")),
        table: "Device.WiFi.SSID.",
        adds: Expect::NotOffered,
        note: "",
        ..tr181()
    }
}

fn start(settings: &Settings, model: &str) -> Result<Running> {
    let root = Root::copy(settings)?;
    let scripts = root.path("usr/share/easycwmp");
    for script in fs::read_dir(scripts.join(model)).context("the scripts of the model")? {
        let script = script?;
        fs::copy(
            script.path(),
            scripts.join("functions").join(script.file_name()),
        )?;
    }
    root.write("etc/config/easycwmp", &configuration(settings))?;
    root.write("etc/config/wireless", WIRELESS)?;
    root.write("etc/config/network", NETWORK)?;
    root.write("etc/config/dhcp", "")?;
    root.program("sbin/reboot", REBOOT)?;
    root.program("sbin/sysupgrade", SYSUPGRADE)?;
    root.boot(settings, SUPERVISE)
}

fn configuration(settings: &Settings) -> String {
    format!(
        "config local
\toption enable '1'
\toption interface 'lo'
\toption port '{port}'
\toption ubus_socket '/var/run/ubus.sock'
\toption date_format '%FT%T%z'
\toption username 'connection'
\toption password 'request'
\toption provisioning_code ''
\toption authentication 'Digest'
\toption logging_level '4'

config acs
\toption url '{url}'
\toption username '{username}'
\toption password '{password}'
\toption parameter_key ''
\toption periodic_enable '1'
\toption periodic_interval '3600'
\toption periodic_time '0001-01-01T00:00:00Z'

config device
\toption manufacturer 'easycwmp'
\toption oui '{oui}'
\toption product_class '{product_class}'
\toption serial_number '{serial}'
\toption hardware_version 'hw1'
\toption software_version '1.0'
",
        port = settings.port,
        url = settings.acs_url,
        username = settings.username,
        password = settings.password,
        oui = settings.oui,
        product_class = settings.product_class,
        serial = settings.serial,
    )
}
