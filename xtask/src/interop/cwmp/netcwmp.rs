//! netcwmp: a C daemon whose platform (parameters, rows, files) is written by whoever builds a device with it. Ours
//! is `netcwmp/platform.c`, with a TR-098 model, in which a row has the function that deletes it although netcwmp asks
//! the table whether there is one. It reads its settings from `/etc`, so it is given an `/etc` of its
//! own.

use super::client::{Client, Expect, Running, Settings};
use crate::cmd;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PLATFORM: &str = include_str!("netcwmp/platform.c");
const MODEL: &str = include_str!("netcwmp/device.xml");

const NOTE: &str = "netcwmp leaves parameters, rows and files to whoever builds a device with it. The sample that \
    comes with it has hardly a function that sets something (it answers 9008) and rows that it does not keep, so it \
    is compiled on a platform of ours, in `xtask/src/interop/cwmp/netcwmp`. What fetches files is of the platform \
    too: netcwmp's own function gives the HTTP status back where its caller takes everything but 0 for a failure, so \
    an unchanged netcwmp fetches a file and then says 9001 of it, which is told as that.";

/// What of its sources is compiled: all but its sample platform.
const SOURCES: &[(&str, &[&str])] = &[
    ("libpool/src", &["pool"]),
    (
        "libxmlet/src",
        &[
            "attr", "document", "namemap", "list", "xmlet", "element", "node", "buffer", "parser",
        ],
    ),
    (
        "libcwmp/src",
        &[
            "buffer", "cfg", "cwmp", "http", "ssl", "ini", "log", "md5", "memory", "session",
            "util", "event", "queue", "model", "callback",
        ],
    ),
    (
        "cwmpd/src",
        &["conf", "cwmpd", "httpd", "process", "thread", "agent"],
    ),
];
const HEADERS: &[&str] = &[
    ".",
    "libcwmp/src/inc",
    "libpool/include",
    "libxmlet/include",
    "libxmlet/src/inc",
    "libcwmp/include",
    "cwmpd/include",
    "cwmpd/src",
    "cwmpd/src/modules",
];

/// What the platform does: a reboot, of which the daemon only says that it is time, starts it again.
const SUPERVISE: &str = "mount --bind \"$1\" /etc
while :; do
    \"$2\" > client.log 2>&1 &
    until grep -q '^reboot ' client.log; do sleep 1; done
    kill $!
    wait
done
";

/// How the device leaves the factory.
const VALUES: &str = "InternetGatewayDevice.DeviceSummary=InternetGatewayDevice:1.0[](Baseline:1)
InternetGatewayDevice.LANDeviceNumberOfEntries=1
InternetGatewayDevice.WANDeviceNumberOfEntries=1
InternetGatewayDevice.LANDevice.1.LANWLANConfigurationNumberOfEntries=1
InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.Enable=1
InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.Status=Up
InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.BSSID=02:00:00:a0:00:01
InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID=netcwmp
InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.Channel=6
InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.BeaconType=11i
InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.Standard=n
InternetGatewayDevice.WANDevice.1.WANConnectionNumberOfEntries=1
InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnectionNumberOfEntries=1
InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.Enable=1
InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.ConnectionStatus=Connected
InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.Name=internet
InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.ExternalIPAddress=192.0.2.7
InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.SubnetMask=255.255.255.0
InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.DefaultGateway=192.0.2.1
InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.DNSServers=192.0.2.1
InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.MACAddress=02:00:00:a0:00:02
InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.PortMappingNumberOfEntries=1
PortMapping.{i}.PortMappingEnabled=0
PortMapping.{i}.ExternalPort=0
PortMapping.{i}.InternalPort=0
PortMapping.{i}.PortMappingProtocol=TCP
";

pub fn client() -> Client {
    Client {
        name: "netcwmp",
        model: "TR-098",
        serial: "NETCWMP1",
        oui: "A00001",
        product_class: "OT2800",
        version,
        start,
        sets: ("Device.DeviceInfo.ProvisioningCode", "interop-1"),
        changes: Expect::Works,
        mapped: Some(("Device.WiFi.SSID.1.SSID", "mapped")),
        table: "Device.NAT.PortMapping.",
        adds: Expect::Works,
        reboots: Expect::Works,
        downloads: Expect::Works,
        note: NOTE,
    }
}

/// The commit of its sources.
fn version(sources: &Path) -> String {
    let described = Command::new("git")
        .arg("-C")
        .arg(sources)
        .args(["describe", "--always"])
        .output();
    match described {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "commit unknown".to_owned(),
    }
}

/// Its program on our platform. For 32 bits: its MD5 counts on a `long` of four bytes.
fn compile(settings: &Settings) -> Result<PathBuf> {
    let platform = settings.home.join("platform.c");
    fs::write(&platform, PLATFORM)?;
    let program = settings.home.join("cwmpd");
    let of = |folder: &'static str, file: &'static str| format!("{folder}/{file}.c");
    let files = SOURCES
        .iter()
        .flat_map(|(folder, files)| files.iter().map(move |file| of(folder, file)));
    let headers = HEADERS.iter().map(|folder| format!("-I{folder}"));
    let mut gcc = Command::new("gcc");
    gcc.current_dir(&settings.built)
        .args(["-m32", "-w", "-O1", "-fcommon", "-std=gnu99"])
        .args(["-D_GNU_SOURCE", "-DUSE_CWMP_MEMORY_POOL", "-DHAVE_CONFIG_H"])
        .arg("-Wl,--wrap=http_receive_file")
        .args(headers)
        .arg("-o")
        .arg(&program)
        .args(files)
        .arg(&platform)
        .arg("-lpthread");
    cmd::run(&mut gcc).context("netcwmp's sources with gcc for 32 bits")?;
    Ok(program)
}

fn start(settings: &Settings) -> Result<Running> {
    let program = compile(settings)?;
    let etc = settings.home.join("etc");
    fs::create_dir_all(&etc)?;
    fs::write(etc.join("device.xml"), MODEL)?;
    fs::write(etc.join("cwmp.conf"), configuration(settings))?;
    let reached = format!(
        "InternetGatewayDevice.ManagementServer.ConnectionRequestURL=http://127.0.0.1:{}\n",
        settings.port
    );
    fs::write(etc.join("values"), format!("{VALUES}{reached}"))?;
    fs::write(etc.join("rows"), "1 1")?;
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
        .arg(program)
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
