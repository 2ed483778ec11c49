//! When a device that comes over one protocol is one that is known over another.

use fleet::matching::{Rule, Trust};
use serde::Deserialize;

/// What names in common are worth: `merge`, `same_address` (the same device when both come from one address, else a
/// person decides), `ask` (a person decides), `ignore`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Matching {
    /// Serial numbers with their OUI, and endpoint ids that contain them.
    pub serial: Trust,
    /// MAC addresses.
    pub mac: Trust,
    /// The parameters that hold a MAC address by which devices are compared, like
    /// `Device.Ethernet.Interface.1.MACAddress`; none compares none.
    pub mac_parameters: Vec<String>,
}

impl Default for Matching {
    fn default() -> Self {
        let Rule { serial, mac } = Rule::default();
        Self {
            serial,
            mac,
            mac_parameters: Vec::new(),
        }
    }
}

impl Matching {
    /// What decides.
    pub fn rule(&self) -> Rule {
        Rule {
            serial: self.serial,
            mac: self.mac,
        }
    }
}
