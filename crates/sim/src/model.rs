//! What a kind of simulated CPE looks like: its objects, constants and moving values, read from `models/*.toml`.
//! Shared by every device of the kind; nothing here belongs to one device.

use crate::motion::Motion;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kinds of CPE that come with the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A fibre gateway with two radios and PPPoE.
    Gateway,
    /// A mesh extender behind a gateway.
    Extender,
    /// A 5G fixed-wireless gateway.
    Cellular,
}

impl Kind {
    /// Every kind, in the order a mixed fleet repeats them.
    pub const ALL: [Kind; 3] = [Kind::Gateway, Kind::Extender, Kind::Cellular];

    /// The model of this kind, parsed from its embedded file.
    ///
    /// # Errors
    /// When the embedded file is not a model; a test holds every file against this.
    pub fn model(self) -> Result<Arc<Model>, ModelError> {
        let text = match self {
            Kind::Gateway => include_str!("../models/gateway.toml"),
            Kind::Extender => include_str!("../models/extender.toml"),
            Kind::Cellular => include_str!("../models/cellular.toml"),
        };
        Model::parse(text).map(Arc::new)
    }
}

/// Why a model file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Not TOML, or not in a model's shape; the message names line and key.
    #[error("not a model: {0}")]
    Syntax(#[from] toml::de::Error),
}

/// One kind of CPE.
#[derive(Debug)]
pub struct Model {
    /// `DeviceInfo.ProductClass`.
    pub product_class: String,
    /// The first characters of every serial number.
    pub serial_prefix: String,
    /// Tells the kind's MAC and WAN addresses from those of the other kinds, from 0 to 7.
    pub block: u8,
    /// The hosts that come and go.
    pub hosts: Hosts,
    /// Every parameter by its instantiated path.
    pub parameters: BTreeMap<String, Source>,
}

/// Where a parameter's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A text, possibly with `{serial}` and the like in it.
    Constant(String),
    /// A number that moves with time.
    Moving(Motion),
    /// Seconds since the last boot.
    Uptime,
    /// The current time.
    Clock,
}

/// The hosts of the home network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosts {
    /// The table they appear in.
    pub table: String,
    /// The first three bytes of their addresses, `192.168.1.`: those of the device's own LAN.
    pub network: String,
    /// `Layer1Interface` of a host on Wi-Fi.
    pub interface: String,
    /// `Layer1Interface` of a host on a cable; absent where all hosts are on Wi-Fi.
    pub wired: Option<String>,
    /// Table of the stations of the access point, for hosts on Wi-Fi.
    pub wifi: String,
    /// Fewest and most hosts of a home.
    pub count: [u32; 2],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    product_class: String,
    serial_prefix: String,
    block: u8,
    hosts: Hosts,
    object: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Constant(String),
    Moving(Moving),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Moving {
    Counter([f64; 2]),
    Walk([f64; 2]),
    Live(Live),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Live {
    Uptime,
    Clock,
}

impl Model {
    /// `DeviceInfo.ManufacturerOUI`, under whichever root.
    pub fn oui(&self) -> &str {
        let roots = ["Device.", "InternetGatewayDevice."];
        let found = roots.iter().find_map(|root| {
            let path = format!("{root}DeviceInfo.ManufacturerOUI");
            self.parameters.get(&path)
        });
        match found {
            Some(Source::Constant(oui)) => oui,
            _ => "FFFFFF",
        }
    }

    /// The same model, with what `base` has besides.
    #[must_use]
    pub fn over(mut self, base: &Model) -> Model {
        for (path, source) in &base.parameters {
            let absent = || source.clone();
            self.parameters.entry(path.clone()).or_insert_with(absent);
        }
        self
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// [`ModelError::Syntax`] naming the line.
    pub fn parse(text: &str) -> Result<Model, ModelError> {
        let file: File = toml::from_str(text)?;
        let mut parameters = BTreeMap::new();
        for (object, entries) in file.object {
            for (name, entry) in entries {
                let source = match entry {
                    Entry::Constant(text) => Source::Constant(text),
                    Entry::Moving(Moving::Counter([low, high])) => {
                        Source::Moving(Motion::Counter { low, high })
                    }
                    Entry::Moving(Moving::Walk([low, high])) => {
                        Source::Moving(Motion::Walk { low, high })
                    }
                    Entry::Moving(Moving::Live(Live::Uptime)) => Source::Uptime,
                    Entry::Moving(Moving::Live(Live::Clock)) => Source::Clock,
                };
                parameters.insert(format!("{object}{name}"), source);
            }
        }
        Ok(Model {
            product_class: file.product_class,
            serial_prefix: file.serial_prefix,
            block: file.block,
            hosts: file.hosts,
            parameters,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_parses_and_knows_its_serial_number() {
        for kind in Kind::ALL {
            let model = kind.model().unwrap();
            assert_eq!(
                model.parameters["Device.DeviceInfo.SerialNumber"],
                Source::Constant("{serial}".into())
            );
        }
    }

    #[test]
    fn hosts_are_in_the_network_of_an_interface_and_on_interfaces_that_are_there() {
        for kind in Kind::ALL {
            let model = kind.model().unwrap();
            let constant = |path: &str| match &model.parameters[path] {
                Source::Constant(text) => text.clone(),
                other => panic!("{path}: {other:?}"),
            };
            let hosts = &model.hosts;
            let gateway = format!("{}1", hosts.network);
            let addresses = model.parameters.iter().filter(|(path, source)| {
                let own = matches!(source, Source::Constant(text)
                    if *text == gateway || text == "{ip}" && hosts.network == "192.168.1.");
                path.ends_with(".IPAddress") && own
            });
            assert_eq!(addresses.count(), 1, "{kind:?}");
            for interface in [Some(&hosts.interface), hosts.wired.as_ref()] {
                let Some(interface) = interface else { continue };
                assert_eq!(constant(&format!("{interface}Status")), "Up", "{kind:?}");
            }
            // The stations are those of the access point of the SSID that hosts are said to be on.
            let point = hosts.wifi.strip_suffix("AssociatedDevice.").unwrap();
            let ssid = constant(&format!("{point}SSIDReference"));
            assert_eq!(format!("{ssid}."), hosts.interface, "{kind:?}");
        }
    }

    #[test]
    fn a_wrong_key_is_named() {
        let error = Model::parse("product_klass = 'x'").unwrap_err().to_string();
        assert!(error.contains("product_klass"), "{error}");
    }
}
