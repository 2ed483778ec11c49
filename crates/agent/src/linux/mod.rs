//! The Linux host as a device: identity, memory, processes, Ethernet and IP interfaces with counters, read from /proc
//! and /sys without being root. Deliberately shows and does not configure: only notes of the operator
//! (`ProvisioningCode`, `FriendlyName`) can be set, and `Reboot()` works when the configuration says so.

mod host;
mod net;
mod processes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dm::{Schema, SchemaError};

use crate::{
    AgentConfig, Backend, Call, DeviceConfig, Engine, Fault, Hint, Notifier, Now, Outcome,
    RebootConfig, Restart, View, Watch,
};

/// What is supported of TR-181.
const SUPPORTED: &[&str] = &[
    "Device.DeviceInfo.Manufacturer",
    "Device.DeviceInfo.ManufacturerOUI",
    "Device.DeviceInfo.ModelName",
    "Device.DeviceInfo.Description",
    "Device.DeviceInfo.ProductClass",
    "Device.DeviceInfo.SerialNumber",
    "Device.DeviceInfo.HardwareVersion",
    "Device.DeviceInfo.SoftwareVersion",
    "Device.DeviceInfo.ProvisioningCode",
    "Device.DeviceInfo.FriendlyName",
    "Device.DeviceInfo.UpTime",
    "Device.DeviceInfo.HostName",
    "Device.DeviceInfo.MemoryStatus.Total",
    "Device.DeviceInfo.MemoryStatus.Free",
    "Device.DeviceInfo.ProcessStatus.CPUUsage",
    "Device.DeviceInfo.ProcessStatus.ProcessNumberOfEntries",
    "Device.DeviceInfo.ProcessStatus.Process.{i}.",
    "Device.Time.CurrentLocalTime",
    "Device.Ethernet.InterfaceNumberOfEntries",
    "Device.Ethernet.LinkNumberOfEntries",
    "Device.Ethernet.Interface.{i}.Enable",
    "Device.Ethernet.Interface.{i}.Status",
    "Device.Ethernet.Interface.{i}.Alias",
    "Device.Ethernet.Interface.{i}.Name",
    "Device.Ethernet.Interface.{i}.Upstream",
    "Device.Ethernet.Interface.{i}.MACAddress",
    "Device.Ethernet.Interface.{i}.CurrentBitRate",
    "Device.Ethernet.Interface.{i}.CurrentDuplexMode",
    "Device.Ethernet.Interface.{i}.Stats.BytesSent",
    "Device.Ethernet.Interface.{i}.Stats.BytesReceived",
    "Device.Ethernet.Interface.{i}.Stats.PacketsSent",
    "Device.Ethernet.Interface.{i}.Stats.PacketsReceived",
    "Device.Ethernet.Interface.{i}.Stats.ErrorsSent",
    "Device.Ethernet.Interface.{i}.Stats.ErrorsReceived",
    "Device.Ethernet.Interface.{i}.Stats.DiscardPacketsSent",
    "Device.Ethernet.Interface.{i}.Stats.DiscardPacketsReceived",
    "Device.Ethernet.Interface.{i}.Stats.MulticastPacketsReceived",
    "Device.Ethernet.Interface.{i}.Stats.Collisions",
    "Device.Ethernet.Link.{i}.Enable",
    "Device.Ethernet.Link.{i}.Status",
    "Device.Ethernet.Link.{i}.Alias",
    "Device.Ethernet.Link.{i}.Name",
    "Device.Ethernet.Link.{i}.LowerLayers",
    "Device.Ethernet.Link.{i}.MACAddress",
    "Device.Ethernet.Link.{i}.MTU",
    "Device.Ethernet.Link.{i}.Stats.BytesSent",
    "Device.Ethernet.Link.{i}.Stats.BytesReceived",
    "Device.Ethernet.Link.{i}.Stats.PacketsSent",
    "Device.Ethernet.Link.{i}.Stats.PacketsReceived",
    "Device.IP.IPv4Capable",
    "Device.IP.IPv6Capable",
    "Device.IP.InterfaceNumberOfEntries",
    "Device.IP.Interface.{i}.Enable",
    "Device.IP.Interface.{i}.Status",
    "Device.IP.Interface.{i}.Alias",
    "Device.IP.Interface.{i}.Name",
    "Device.IP.Interface.{i}.LowerLayers",
    "Device.IP.Interface.{i}.MaxMTUSize",
    "Device.IP.Interface.{i}.Type",
    "Device.IP.Interface.{i}.IPv4AddressNumberOfEntries",
    "Device.IP.Interface.{i}.IPv6AddressNumberOfEntries",
    "Device.IP.Interface.{i}.IPv4Address.{i}.Enable",
    "Device.IP.Interface.{i}.IPv4Address.{i}.Status",
    "Device.IP.Interface.{i}.IPv4Address.{i}.Alias",
    "Device.IP.Interface.{i}.IPv4Address.{i}.IPAddress",
    "Device.IP.Interface.{i}.IPv4Address.{i}.SubnetMask",
    "Device.IP.Interface.{i}.IPv6Address.{i}.Enable",
    "Device.IP.Interface.{i}.IPv6Address.{i}.Status",
    "Device.IP.Interface.{i}.IPv6Address.{i}.Alias",
    "Device.IP.Interface.{i}.IPv6Address.{i}.IPAddress",
    "Device.IP.Interface.{i}.Stats.BytesSent",
    "Device.IP.Interface.{i}.Stats.BytesReceived",
    "Device.IP.Interface.{i}.Stats.PacketsSent",
    "Device.IP.Interface.{i}.Stats.PacketsReceived",
    "Device.IP.Interface.{i}.Stats.ErrorsSent",
    "Device.IP.Interface.{i}.Stats.ErrorsReceived",
    "Device.IP.Interface.{i}.Stats.DiscardPacketsSent",
    "Device.IP.Interface.{i}.Stats.DiscardPacketsReceived",
];

/// How often the host is looked at for subscribers: a change is told within 10 s (R-NOT.0a).
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// This host.
pub struct Linux {
    schema: Arc<Schema>,
    /// `/`, or a directory that looks like it in tests.
    root: PathBuf,
    identity: host::Identity,
    reboot: RebootConfig,
    cpu: host::CpuUsage,
}

impl Linux {
    /// The host this runs on.
    pub fn new(config: &AgentConfig) -> Result<Linux, SchemaError> {
        Linux::at(PathBuf::from("/"), &config.device, config.reboot.clone())
    }

    fn at(
        root: PathBuf,
        device: &DeviceConfig,
        reboot: RebootConfig,
    ) -> Result<Linux, SchemaError> {
        let schema = crate::read_only(
            &*crate::model(SUPPORTED)?,
            &["Device.Ethernet.", "Device.IP."],
        )?;
        let identity = host::Identity::read(&root, device);
        Ok(Linux {
            schema,
            root,
            identity,
            reboot,
            cpu: host::CpuUsage::default(),
        })
    }

    /// An endpoint id made of what the host says about itself: `os::OUI-Serial`.
    pub fn endpoint_id(&self) -> String {
        let serial: String = self
            .identity
            .serial
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "-._".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let mut id = format!("{}-{serial}", self.identity.oui);
        id.truncate(50);
        format!("os::{id}")
    }

    fn restart_command(&self, call: &Call, restart: Restart) -> Outcome {
        if self.reboot.enabled {
            return Outcome::Restart(restart);
        }
        let text = format!(
            "{} is switched off on this host: reboot.enabled is not set in the agent's configuration",
            call.command
        );
        Outcome::Done(Err(Fault::request_denied(text)))
    }
}

impl Backend for Linux {
    fn schema(&self) -> Arc<Schema> {
        self.schema.clone()
    }

    fn start(&mut self, _: Now, _: &dyn View, _: Notifier) {
        self.cpu.sample(&self.root);
    }

    fn instances(&self, table: &str) -> Option<Vec<u32>> {
        if table == "Device.DeviceInfo.ProcessStatus.Process." {
            return Some(processes::pids(&self.root));
        }
        net::instances(&self.root, table)
    }

    fn read(&self, now: Now, path: &str) -> Option<String> {
        if let Some(rest) = path.strip_prefix("Device.DeviceInfo.ProcessStatus.Process.") {
            return processes::read(&self.root, rest);
        }
        if let Some(name) = path.strip_prefix("Device.DeviceInfo.") {
            return match name {
                "ProcessStatus.CPUUsage" => Some(self.cpu.percent().to_string()),
                name => host::read(&self.root, &self.identity, name),
            };
        }
        match path {
            "Device.RootDataModelVersion" => Some("2.19".into()),
            "Device.Time.CurrentLocalTime" => Some(Engine::date_time(now)),
            path => net::read(&self.root, path),
        }
    }

    fn operate(&mut self, _: Now, call: &Call, _: &dyn View) -> Outcome {
        let reason = call.arg("Reason").unwrap_or_default().to_owned();
        let cause = |otherwise: &str| call.arg("Cause").unwrap_or(otherwise).to_owned();
        let command_key = call.command_key.clone();
        match call.command.as_str() {
            "Device.Reboot()" => {
                let cause = cause("RemoteReboot");
                self.restart_command(
                    call,
                    Restart {
                        cause,
                        command_key,
                        reason,
                        ..Restart::default()
                    },
                )
            }
            "Device.FactoryReset()" => {
                let cause = cause("RemoteFactoryReset");
                let factory_reset = true;
                self.restart_command(
                    call,
                    Restart {
                        cause,
                        command_key,
                        reason,
                        factory_reset,
                        ..Restart::default()
                    },
                )
            }
            other => Outcome::Done(Err(Fault::command_failure(format!(
                "{other} is not available on this host"
            )))),
        }
    }

    fn tick(&mut self, _: Now, _: &dyn View, _: &mut Vec<Hint>) -> Option<Duration> {
        self.cpu.sample_if_older(&self.root, LOOK_EVERY);
        Some(LOOK_EVERY)
    }

    fn watch(&self) -> Watch {
        Watch::Poll(LOOK_EVERY)
    }

    fn restart(&mut self, _: &Restart) -> Option<Duration> {
        let (program, args) = self.reboot.command.split_first()?;
        match std::process::Command::new(program).args(args).spawn() {
            Ok(_) => tracing::warn!(program, "restarting this host"),
            Err(error) => tracing::error!(program, %error, "reboot.command cannot be run"),
        }
        None
    }
}

/// A small file's text without the line end.
fn text(path: PathBuf) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim_end_matches(['\n', '\0']).to_owned())
}

#[cfg(test)]
mod tests;
