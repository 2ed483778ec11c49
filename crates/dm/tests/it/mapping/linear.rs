//! The work grows with the tree, not faster.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dm::Path;

use super::trees::{self, Tree};

/// A gateway with as many networks, hosts and port mappings: `n` of 1 has about 30 parameters.
fn gateway(n: u32) -> Tree {
    let lan = "InternetGatewayDevice.LANDevice.1.";
    let ppp = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.";
    let wlan = [
        "SSID",
        "Enable",
        "Status",
        "BSSID",
        "Channel",
        "BeaconType",
        "Standard",
        "MaxBitRate",
        "WPAAuthenticationMode",
        "IEEE11iAuthenticationMode",
        "TotalBytesSent",
        "X_ACME_Mode",
    ];
    let host = [
        "IPAddress",
        "MACAddress",
        "HostName",
        "Active",
        "InterfaceType",
        "Layer2Interface",
    ];
    let rule = [
        "PortMappingEnabled",
        "ExternalPort",
        "InternalPort",
        "PortMappingProtocol",
        "InternalClient",
        "PortMappingDescription",
        "RemoteHost",
        "PortMappingLeaseDuration",
    ];
    let mut tree = Tree::new();
    for n in 1..=n {
        for name in wlan {
            tree.insert(format!("{lan}WLANConfiguration.{n}.{name}"), "1".to_owned());
        }
        for name in host {
            tree.insert(
                format!("{lan}Hosts.Host.{n}.{name}"),
                format!("{lan}WLANConfiguration.{n}"),
            );
        }
        for name in rule {
            tree.insert(format!("{ppp}PortMapping.{n}.{name}"), "1".to_owned());
        }
    }
    tree
}

/// What this thread has had of a processor so far: what else the machine does is not our work. Where the system does
/// not tell, the clock has to do.
fn work() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(
        || START.get_or_init(Instant::now).elapsed(),
        Duration::from_nanos,
    )
}

/// Everything an adapter does with a whole tree.
fn time(tree: &Tree, values: &BTreeMap<String, String>, all: &Path) -> Duration {
    let start = work();
    let mapping = trees::mapping(tree);
    let reads = mapping.reads(&[all]).len();
    let told = mapping.values(values);
    let sets = told.iter();
    let sets = sets.map(|(path, value)| (path.as_str(), value.as_str()));
    let writes = mapping.writes(sets, &|_| None);
    assert!(reads > 0 && !writes.writes.is_empty());
    work() - start
}

#[test]
fn four_times_the_tree_takes_about_four_times_the_time() {
    let all = Path::parse("Device.").unwrap();
    let trees = [gateway(30), gateway(120)];
    assert!(trees[1].len() > 3000, "{} parameters", trees[1].len());
    let values = [trees::values(&trees[0]), trees::values(&trees[1])];
    // The fastest of several turns.
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..5 {
        for n in 0..2 {
            fastest[n] = fastest[n].min(time(&trees[n], &values[n], &all));
        }
    }
    // Quadratic work would take sixteen times as long.
    let [quarter, whole] = fastest;
    assert!(
        whole < quarter * 8,
        "{quarter:?} for a quarter, {whole:?} for the whole"
    );
}
