//! What all simulated CWMP devices of one kind share: which objects and parameters they have, of
//! which types, and with which values they leave the factory. Nothing here belongs to one device.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dm::{ObjectDef, ParamDef, Schema};

use super::provision::Provision;
use crate::cpe::{BlueprintError, supported};
use crate::model::{Model, ModelError};

/// The kinds of CWMP devices that come with the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A fibre gateway with the data model of today, `Device.` (TR-181).
    Tr181,
    /// An old gateway that knows `InternetGatewayDevice.` (TR-098) and nothing else.
    Tr098,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Tr181, Self::Tr098];

    /// The model of this kind.
    ///
    /// # Errors
    /// When the embedded file is not a model; a test holds every file against this.
    pub fn model(self) -> Result<Model, ModelError> {
        match self {
            Self::Tr181 => {
                let base = crate::model::Kind::Gateway.model()?;
                let own = Model::parse(include_str!("../../models/cwmp-gateway.toml"))?;
                Ok(own.over(&base))
            }
            Self::Tr098 => Model::parse(include_str!("../../models/tr098-gateway.toml")),
        }
    }

    fn schema(self) -> &'static Schema {
        match self {
            Self::Tr181 => Schema::tr181_cwmp(),
            Self::Tr098 => Schema::tr098(),
        }
    }

    /// The root object.
    pub fn root(self) -> &'static str {
        match self {
            Self::Tr181 => dm::mapping::DEVICE_ROOT,
            Self::Tr098 => dm::mapping::GATEWAY_ROOT,
        }
    }
}

/// What hosts and stations say of themselves, and the hops of a route: rows that come and go.
const OF_HOSTS: &[&str] = &[
    "Alias",
    "PhysAddress",
    "MACAddress",
    "IPAddress",
    "AddressSource",
    "AssociatedDevice",
    "Layer1Interface",
    "Layer2Interface",
    "InterfaceType",
    "HostName",
    "Active",
    "LeaseTimeRemaining",
    "IPv4Address.{i}.IPAddress",
];
const OF_STATIONS: &[&str] = &[
    "MACAddress",
    "AuthenticationState",
    "Active",
    "OperatingStandard",
    "SignalStrength",
    "Noise",
    "LastDataDownlinkRate",
    "LastDataUplinkRate",
    "Retransmissions",
    "AssociatedDeviceMACAddress",
    "AssociatedDeviceIPAddress",
    "AssociatedDeviceAuthenticationState",
];
const OF_HOPS: &[&str] = &[
    "Host",
    "HostAddress",
    "ErrorCode",
    "RTTimes",
    "HopHost",
    "HopHostAddress",
    "HopErrorCode",
    "HopRTTimes",
];

/// What all devices of one kind share.
pub struct Blueprint {
    /// Which kind.
    pub kind: Kind,
    /// The model file.
    pub model: Model,
    pub(super) schema: Schema,
    /// The rows that a device leaves the factory with, by table.
    rows: BTreeMap<String, Vec<u32>>,
}

impl Blueprint {
    /// Builds the supported data model of a kind once.
    ///
    /// # Errors
    /// When the model file is no model, or names an object that the standard does not have.
    pub fn new(kind: Kind, provision: &Provision) -> Result<Arc<Self>, BlueprintError> {
        let mut model = kind.model().map_err(BlueprintError::of)?;
        provision.write(kind.root(), &mut model.parameters);
        let all = kind.schema();
        let known = |path: &String| all.param(path).is_some();
        let mut paths: BTreeSet<String> = model.parameters.keys().map(|at| supported(at)).collect();
        let hops = paths.iter().filter_map(|path| {
            let object = path.strip_suffix("MaxHopCount")?;
            Some((format!("{object}RouteHops.1."), OF_HOPS))
        });
        let mut tables: Vec<_> = hops.collect();
        tables.push((format!("{}1.", model.hosts.table), OF_HOSTS));
        tables.push((format!("{}1.", model.hosts.wifi), OF_STATIONS));
        for (row, names) in tables {
            let row = supported(&row);
            paths.extend(names.iter().map(|name| format!("{row}{name}")));
        }
        let counts: Vec<String> = paths
            .iter()
            .filter_map(|path| all.element(path))
            .flat_map(|element| counters(all, element.object()))
            .collect();
        paths.extend(counts);
        // The model of USP devices names a few things that CWMP does not have.
        let paths: Vec<String> = paths.into_iter().filter(known).collect();
        let schema = all.subset(&paths).map_err(BlueprintError::of)?;
        Ok(Arc::new(Self {
            kind,
            rows: rows(&model),
            model,
            schema,
        }))
    }

    /// The rows of a table that a device leaves the factory with.
    pub(super) fn rows(&self, table: &str) -> &[u32] {
        self.rows.get(table).map_or(&[], Vec::as_slice)
    }

    /// The parameter behind a path, whether or not its rows are there.
    pub(super) fn param(&self, path: &str) -> Option<(&ObjectDef, &ParamDef)> {
        let element = self.schema.element(path)?;
        Some((element.object(), element.param()?))
    }
}

/// The parameters that count the rows of the tables around and above an object.
fn counters(all: &Schema, object: &ObjectDef) -> Vec<String> {
    let mut out = Vec::new();
    let mut at = Some(object);
    while let Some(object) = at {
        if let (Some(count), Some(parent)) = (&object.entries_param, object.parent_path()) {
            out.push(format!("{parent}{count}"));
        }
        at = object.parent_path().and_then(|path| all.object(path));
    }
    out
}

/// The instances that a model names.
fn rows(model: &Model) -> BTreeMap<String, Vec<u32>> {
    let mut rows = BTreeMap::<String, BTreeSet<u32>>::new();
    for path in model.parameters.keys() {
        for (dot, _) in path.match_indices('.') {
            let (before, _) = path.split_at(dot);
            let Some((table, number)) = before.rsplit_once('.') else {
                continue;
            };
            if let Ok(number) = number.parse() {
                rows.entry(format!("{table}.")).or_default().insert(number);
            }
        }
    }
    let listed = |(table, numbers): (String, BTreeSet<u32>)| (table, numbers.into_iter().collect());
    rows.into_iter().map(listed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::model::Source;

    #[test]
    fn every_factory_value_is_one_that_the_standard_allows() {
        for kind in Kind::ALL {
            let blueprint = Blueprint::new(kind, &Provision::default()).unwrap();
            let identity = Identity {
                model: &blueprint.model,
                number: 7,
            };
            for (path, source) in &blueprint.model.parameters {
                let Some((_, param)) = blueprint.param(path) else {
                    // What only USP has comes with the model that is shared with it.
                    assert_eq!(kind, Kind::Tr181, "{path}");
                    continue;
                };
                let Source::Constant(text) = source else {
                    continue;
                };
                let value = identity.fill(text);
                assert!(!value.contains('{'), "{path} = {value}");
                // An address of a server may be missing, whatever the type says.
                if !value.is_empty() {
                    param
                        .ty
                        .check(&value)
                        .unwrap_or_else(|error| panic!("{path} = {value}: {error}"));
                }
            }
        }
    }

    #[test]
    fn the_two_kinds_have_their_roots_and_count_their_rows() {
        let has = |kind, path: &str| {
            Blueprint::new(kind, &Provision::default())
                .unwrap()
                .param(path)
                .is_some()
        };
        assert!(has(Kind::Tr181, "Device.NAT.PortMappingNumberOfEntries"));
        assert!(has(
            Kind::Tr181,
            "Device.IP.Diagnostics.TraceRoute.RouteHopsNumberOfEntries"
        ));
        let ppp = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1";
        assert!(has(
            Kind::Tr098,
            &format!("{ppp}.PortMappingNumberOfEntries")
        ));
        assert!(has(
            Kind::Tr098,
            "InternetGatewayDevice.LANDevice.1.Hosts.HostNumberOfEntries"
        ));
        assert!(!has(Kind::Tr181, "Device.LocalAgent.EndpointID"));
        let blueprint = Blueprint::new(Kind::Tr181, &Provision::default()).unwrap();
        assert_eq!(blueprint.rows("Device.WiFi.SSID."), [1, 2]);
    }
}
