//! InternetGatewayDevice (TR-098) spoken as Device:2 (TR-181): so that a path such as `Device.WiFi.SSID.1.SSID` works on
//! a gateway that has never heard of it.
//!
//! What is what stands in `data/mapping/*.tsv` ([`Rules`]). A [`Mapping`] is made of the rules and of the tree that one
//! device was found to have, and translates paths, values, additions and deletions in both directions. It is pure: it
//! says what to read and write, the caller does it. *Device* names the TR-181 side here, *gateway* the TR-098 side.
//!
//! - A parameter is there when its gateway parameter is; it can be written when both sides can.
//! - What has no counterpart keeps its own `InternetGatewayDevice.` path; reads, values and writes take such paths too,
//!   so one call may mix both kinds.
//! - Which row a gateway instance becomes is in [`Numbers`]; hand in what [`Mapping::numbers`] gave the last time.
//!
//! | to | call | then |
//! |---|---|---|
//! | discover | GetParameterNames; GetParameterValues of [`Mapping::wants`]; [`Mapping::new`] | store [`Mapping::numbers`] |
//! | get | GetParameterValues of [`Mapping::reads`] | [`Mapping::answer`] |
//! | set | GetParameterValues of [`Mapping::context`]; SetParameterValues of [`Mapping::writes`] | read back as a get |
//! | add | AddObject on [`Mapping::addition`]; names of the row into [`Mapping::extend`] | [`Mapping::row_in`], a set |
//! | delete | DeleteObject on [`Mapping::deletion`] | [`Mapping::remove`] |
//! | subscribe | SetParameterAttributes of [`Mapping::reads`] | [`Mapping::values`] of what an Inform tells and of [`Mapping::missing`] |
//! | describe | [`Mapping::schema`] | |
//!
//! ```
//! use dm::Path;
//! use dm::mapping::{Discovered, Mapping, Numbers};
//! use std::collections::BTreeMap;
//!
//! // As GetParameterNames told it.
//! let wlan = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
//! let names = ["SSID", "Enable", "Channel", "BeaconType", "IEEE11iAuthenticationMode"]
//!     .map(|name| format!("{wlan}{name}"));
//! let tree = names.iter().map(|name| Discovered::new(name).writable(true));
//! let mapping = Mapping::new(tree, Numbers::default())?;
//!
//! // Get: what to read, and what the answer means.
//! let path = Path::parse("Device.WiFi.SSID.*.SSID")?;
//! assert_eq!(mapping.reads(&[&path]), [format!("{wlan}SSID")]);
//! let read = BTreeMap::from([(format!("{wlan}SSID"), "home".to_owned())]);
//! let answer = mapping.answer(&[&path], &read)?;
//! assert_eq!(answer["Device.WiFi.SSID.1.SSID"], "home");
//!
//! // Set: what to write.
//! let sets = [("Device.WiFi.AccessPoint.1.Security.ModeEnabled", "WPA2-Personal")];
//! let done = mapping.writes(sets, &|_| None);
//! assert!(done.refused.is_empty());
//! assert_eq!(done.writes[1].path, format!("{wlan}BeaconType"));
//! assert_eq!(done.writes[1].value, "11i");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod convert;
mod expand;
mod instances;
mod numbers;
mod parse;
mod read;
mod rows;
mod rules;
mod view;
mod wifi;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

pub use numbers::{Numbers, NumbersError};
pub use parse::RulesError;
pub use rows::{Addition, RowError};
pub use rules::{How, NoneRule, ObjectRule, Pair, ParamRule, Rules, Table, Template};
pub use write::{Refusal, Refused, Write, Writes};

use crate::limits;
use crate::schema::{ParamAccess, Schema};

/// Root of TR-181.
pub const DEVICE_ROOT: &str = "Device.";
/// Root of TR-098.
pub const GATEWAY_ROOT: &str = "InternetGatewayDevice.";

/// Something of a device's TR-098 tree, as discovery found it. As a value may be a secret, Debug only shows its length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Discovered<'a> {
    path: &'a str,
    writable: Option<bool>,
    value: Option<&'a str>,
}

impl<'a> Discovered<'a> {
    /// An object (ending in `.`) or parameter.
    pub fn new(path: &'a str) -> Discovered<'a> {
        Discovered {
            path,
            writable: None,
            value: None,
        }
    }

    /// The same, with what the device says of writing it. Without, TR-098 decides.
    #[must_use]
    pub fn writable(mut self, writable: bool) -> Discovered<'a> {
        self.writable = Some(writable);
        self
    }

    /// The same, with a value. Only the few that [`Mapping::wants`] names are looked at.
    #[must_use]
    pub fn value(mut self, value: &'a str) -> Discovered<'a> {
        self.value = Some(value);
        self
    }
}

impl fmt::Debug for Discovered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.map(|value| format!("{} bytes", value.len()));
        f.debug_struct("Discovered")
            .field("path", &self.path)
            .field("writable", &self.writable)
            .field("value", &value)
            .finish()
    }
}

/// A tree too large to be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {} paths in a device's tree are not accepted",
    limits::MAPPING_PATHS_MAX
)]
pub struct TooLarge;

#[derive(Debug, Clone, Default)]
struct Known {
    writable: Option<bool>,
    /// Only of the few that [`Mapping::wants`] names, of which none is a secret.
    value: Option<String>,
}

/// One TR-181 object of this device.
#[derive(Debug, Clone)]
struct Row {
    /// `Device.WiFi.SSID.1.`
    device: String,
    /// `InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.`
    gateway: String,
    indices: Vec<u32>,
    rule: &'static ObjectRule,
}

/// One TR-181 parameter of this device.
#[derive(Debug, Clone)]
struct Param {
    row: usize,
    /// `None` for the counts of rows.
    rule: Option<&'static ParamRule>,
    /// The gateway parameters that it is made of.
    sources: Vec<String>,
    writable: bool,
    /// Set when the instances alone decide the value.
    fixed: Option<String>,
}

/// The mapping of one device. See the [module](self).
#[derive(Debug, Clone)]
pub struct Mapping {
    rules: &'static Rules,
    tree: BTreeMap<String, Known>,
    numbers: Numbers,
    rows: Vec<Row>,
    /// Rows by gateway object.
    by_gateway: HashMap<String, Vec<usize>>,
    /// The first row of a TR-181 object, which is the one that is written.
    by_device: BTreeMap<String, usize>,
    params: BTreeMap<String, Param>,
    /// TR-181 parameters by gateway parameter.
    depends: HashMap<String, Vec<String>>,
}

impl Mapping {
    /// The mapping of a device with this tree: all of what is known of it, not only the latest answer. Objects need not
    /// be listed, but an empty table is only seen if it is.
    pub fn new<'a>(
        tree: impl IntoIterator<Item = Discovered<'a>>,
        numbers: Numbers,
    ) -> Result<Mapping, TooLarge> {
        Mapping::with_rules(Rules::builtin(), tree, numbers)
    }

    /// As [`Mapping::new`], by these rules: [`Rules::extended`] for a device whose vendor's parameters are known.
    pub fn with_rules<'a>(
        rules: &'static Rules,
        tree: impl IntoIterator<Item = Discovered<'a>>,
        numbers: Numbers,
    ) -> Result<Mapping, TooLarge> {
        let mut mapping = Mapping {
            rules,
            tree: BTreeMap::new(),
            numbers,
            rows: Vec::new(),
            by_gateway: HashMap::new(),
            by_device: BTreeMap::new(),
            params: BTreeMap::new(),
            depends: HashMap::new(),
        };
        mapping.extend(tree)?;
        Ok(mapping)
    }

    /// Takes in more of the tree: an added row, a part discovered later. What it already knows is replaced.
    pub fn extend<'a>(
        &mut self,
        tree: impl IntoIterator<Item = Discovered<'a>>,
    ) -> Result<(), TooLarge> {
        for found in tree {
            if !found.path.starts_with(GATEWAY_ROOT) {
                continue;
            }
            let value = found.value.filter(|_| wifi::decides(found.path));
            let known = Known {
                writable: found.writable,
                value: value.map(str::to_owned),
            };
            self.tree.insert(found.path.to_owned(), known);
            if self.tree.len() > limits::MAPPING_PATHS_MAX {
                return Err(TooLarge);
            }
        }
        self.expand();
        Ok(())
    }

    /// Takes a gateway object and all below it out, a deleted row, or a parameter.
    pub fn remove(&mut self, gateway: &str) {
        self.remove_all([gateway]);
    }

    /// The same for any number of them at once, for what one of them costs.
    pub fn remove_all<'a>(&mut self, gateway: impl IntoIterator<Item = &'a str>) {
        let mut gone = 0;
        for name in gateway {
            if !name.ends_with('.') {
                gone += usize::from(self.tree.remove(name).is_some());
                continue;
            }
            let below = self.tree.range(name.to_owned()..).map(|(path, _)| path);
            let below = below.take_while(|path| path.starts_with(name));
            let below: Vec<String> = below.cloned().collect();
            gone += below.len();
            for path in below {
                self.tree.remove(&path);
            }
        }
        if gone > 0 {
            self.expand();
        }
    }

    /// The parameters of a tree whose values decide which rows there are (the Wi-Fi band). Read them before
    /// [`Mapping::new`]; without them all networks of a LAN device share one radio.
    pub fn wants<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        paths
            .into_iter()
            .filter(|path| wifi::decides(path))
            .collect()
    }

    /// The numbers given, to be stored with the device.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// All TR-181 parameters of the device in the order of their paths, and whether they can be written.
    pub fn params(&self) -> impl Iterator<Item = (&str, bool)> {
        let params = self.params.iter();
        params.map(|(path, param)| (path.as_str(), param.writable))
    }

    /// All TR-181 objects of the device that are a gateway object, in the order of their paths.
    pub fn objects(&self) -> impl Iterator<Item = &str> {
        self.by_device.keys().map(String::as_str)
    }

    /// The gateway parameters without a counterpart, which stay under their own path.
    pub fn unmapped(&self) -> impl Iterator<Item = &str> {
        let paths = self.tree.keys().map(String::as_str);
        paths.filter(|path| !path.ends_with('.') && !self.depends.contains_key(*path))
    }

    /// What a gateway object or parameter is in TR-181: several where one thing became several
    /// (`WLANConfiguration.1.` is an SSID, an access point and a radio). Empty if it has no counterpart.
    pub fn to_device(&self, gateway: &str) -> Vec<&str> {
        if gateway.ends_with('.') {
            let rows = self.by_gateway.get(gateway).into_iter().flatten();
            let mut found: Vec<&str> = Vec::new();
            for row in rows.filter_map(|row| self.rows.get(*row)) {
                if !found.contains(&row.device.as_str()) {
                    found.push(&row.device);
                }
            }
            return found;
        }
        let params = self.depends.get(gateway).into_iter().flatten();
        params.map(String::as_str).collect()
    }

    /// What a TR-181 object or parameter is made of. The first is the one that is written. A gateway path that the
    /// device has is itself.
    pub fn to_gateway(&self, device: &str) -> Vec<&str> {
        if let Some((path, _)) = self.tree.get_key_value(device) {
            return vec![path];
        }
        if device.ends_with('.') {
            let row = self
                .by_device
                .get(device)
                .and_then(|row| self.rows.get(*row));
            return row.into_iter().map(|row| row.gateway.as_str()).collect();
        }
        let param = self.params.get(device);
        param
            .into_iter()
            .flat_map(|param| &param.sources)
            .map(String::as_str)
            .collect()
    }

    fn is_writable(&self, gateway: &str) -> bool {
        match self.tree.get(gateway).and_then(|known| known.writable) {
            Some(writable) => writable,
            None => Schema::tr098()
                .param(gateway)
                .is_some_and(|param| param.access != ParamAccess::ReadOnly),
        }
    }
}
