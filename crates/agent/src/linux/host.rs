//! Who the host is, and its memory and load.

use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::text;
use crate::DeviceConfig;

/// What does not change while the agent runs.
#[derive(Debug)]
pub(super) struct Identity {
    pub manufacturer: String,
    pub oui: String,
    pub model: String,
    pub product_class: String,
    pub serial: String,
    software: String,
}

impl Identity {
    pub fn read(root: &Path, config: &DeviceConfig) -> Identity {
        let firmware = |name: &str| {
            let found = text(root.join("sys/class/dmi/id").join(name))?;
            // What boards say that nobody filled in.
            let empty = [
                "",
                "None",
                "Default string",
                "To Be Filled By O.E.M.",
                "System Product Name",
                "Not Specified",
            ];
            (!empty.contains(&found.trim())).then(|| found.trim().to_owned())
        };
        let tree = |name: &str| text(root.join("proc/device-tree").join(name));
        let model = config
            .model
            .clone()
            .or_else(|| firmware("product_name"))
            .or_else(|| tree("model"));
        let oui = config.oui.clone().or_else(|| {
            super::net::first_mac(root).map(|mac| mac.replace(':', "")[..6].to_owned())
        });
        let serial = config
            .serial
            .clone()
            .or_else(|| firmware("product_serial"))
            .or_else(|| tree("serial-number"));
        let serial = serial
            .or_else(|| machine(root))
            .or_else(|| hostname(root))
            .unwrap_or_else(|| "unknown".into());
        let release = text(root.join("etc/os-release")).unwrap_or_default();
        let software = release
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="))
            .map(|name| name.trim_matches('"').to_owned());
        let model = model.unwrap_or_else(|| format!("Linux {}", std::env::consts::ARCH));
        let short = |text: String| text.chars().take(64).collect::<String>();
        Identity {
            manufacturer: short(
                config
                    .manufacturer
                    .clone()
                    .or_else(|| firmware("sys_vendor"))
                    .unwrap_or_else(|| "Linux".into()),
            ),
            oui: oui.unwrap_or_else(|| "000000".into()).to_uppercase(),
            product_class: short(
                config
                    .product_class
                    .clone()
                    .unwrap_or_else(|| model.clone()),
            ),
            model: short(model),
            serial: short(serial),
            software: short(
                software
                    .or_else(|| text(root.join("proc/sys/kernel/osrelease")))
                    .unwrap_or_default(),
            ),
        }
    }
}

/// The machine id is not to be shown to others (machine-id(5)), a hash of it is.
fn machine(root: &Path) -> Option<String> {
    let id = text(root.join("etc/machine-id")).filter(|id| !id.is_empty())?;
    let hash = Sha256::digest(format!("headend-agent serial {id}"));
    Some(
        hash.iter()
            .take(6)
            .map(|byte| format!("{byte:02X}"))
            .collect(),
    )
}

fn hostname(root: &Path) -> Option<String> {
    text(root.join("proc/sys/kernel/hostname")).filter(|name| !name.is_empty())
}

/// Parameters of `Device.DeviceInfo.`.
pub(super) fn read(root: &Path, identity: &Identity, name: &str) -> Option<String> {
    Some(match name {
        "Manufacturer" => identity.manufacturer.clone(),
        "ManufacturerOUI" => identity.oui.clone(),
        "ModelName" => identity.model.clone(),
        "ProductClass" => identity.product_class.clone(),
        "SerialNumber" => identity.serial.clone(),
        "HardwareVersion" => std::env::consts::ARCH.into(),
        "SoftwareVersion" => identity.software.clone(),
        "Description" => {
            let kernel = text(root.join("proc/sys/kernel/osrelease")).unwrap_or_default();
            format!("{} with Linux {kernel}", identity.model)
        }
        "HostName" => hostname(root).unwrap_or_default(),
        "UpTime" => {
            let uptime = text(root.join("proc/uptime"))?;
            uptime.split('.').next()?.to_owned()
        }
        "MemoryStatus.Total" => memory(root, "MemTotal:")?,
        "MemoryStatus.Free" => {
            memory(root, "MemAvailable:").or_else(|| memory(root, "MemFree:"))?
        }
        _ => return None,
    })
}

fn memory(root: &Path, key: &str) -> Option<String> {
    let info = text(root.join("proc/meminfo"))?;
    let line = info.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// Share of busy time between two looks at `/proc/stat`.
#[derive(Debug, Default)]
pub(super) struct CpuUsage {
    looked: Option<Instant>,
    before: (u64, u64),
    percent: u32,
}

impl CpuUsage {
    pub fn percent(&self) -> u32 {
        self.percent
    }

    pub fn sample_if_older(&mut self, root: &Path, age: Duration) {
        if self.looked.is_none_or(|looked| looked.elapsed() >= age) {
            self.sample(root);
        }
    }

    pub fn sample(&mut self, root: &Path) {
        let Some(stat) = text(root.join("proc/stat")) else {
            return;
        };
        let Some(line) = stat.lines().next() else {
            return;
        };
        let times: Vec<u64> = line
            .split_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|n| n.parse().ok())
            .collect();
        let total: u64 = times.iter().sum();
        // Idle and waiting for disks.
        let idle: u64 = times.iter().skip(3).take(2).sum();
        let (spent, idled) = (
            total.saturating_sub(self.before.0),
            idle.saturating_sub(self.before.1),
        );
        let busy = spent.saturating_sub(idled) * 100;
        if let Some(percent) = busy.checked_div(spent) {
            self.percent = percent as u32;
        }
        self.before = (total, idle);
        self.looked = Some(Instant::now());
    }
}
