//! The work grows with the tree, not faster.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dm::Path;
use dm::mapping::{Discovered, Mapping, Numbers, Rules};

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

/// How long what `of` makes of `n` takes, and of four times `n`: the fastest of several turns each.
fn quarter_and_whole<T>(
    n: u32,
    of: impl Fn(u32) -> T,
    take: impl Fn(&T) -> Duration,
) -> [Duration; 2] {
    let each = [of(n), of(4 * n)];
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..3 {
        for (fastest, one) in fastest.iter_mut().zip(&each) {
            *fastest = take(one).min(*fastest);
        }
    }
    fastest
}

/// Quadratic work would take sixteen times as long.
fn assert_linear([quarter, whole]: [Duration; 2]) {
    assert!(
        whole < quarter * 8,
        "{quarter:?} for a quarter, {whole:?} for the whole"
    );
}

#[test]
fn four_times_the_tree_takes_about_four_times_the_time() {
    let all = Path::parse("Device.").unwrap();
    let of = |n| {
        let tree = gateway(n);
        let values = trees::values(&tree);
        (tree, values)
    };
    assert!(of(120).0.len() > 3000);
    assert_linear(quarter_and_whole(30, of, |(tree, values)| {
        time(tree, values, &all)
    }));
}

#[test]
fn removing_many_names_at_once_costs_about_what_it_takes_to_remove_one() {
    let tree = gateway(120);
    let mapping = trees::mapping(&tree);
    let gone: Vec<&str> = tree.keys().map(String::as_str).collect();
    let take = |gone: &[&str]| {
        let mut fastest = Duration::MAX;
        for _ in 0..3 {
            let mut mapping = mapping.clone();
            let start = work();
            mapping.remove_all(gone.iter().copied());
            fastest = fastest.min(work() - start);
            assert!(mapping.params().count() > 0 || gone.len() > 1);
        }
        fastest
    };
    let (one, most) = (take(&gone[..1]), take(&gone[..gone.len() - 60]));
    assert!(most < one * 4, "{one:?} for one, {most:?} for most");
}

/// Few rules, so that looking at others is what takes the time.
const RULES: &str = "\
table\tradio\tInternetGatewayDevice.LANDevice.{i}.WLANConfiguration.{i}.\tband
table\tip\tInternetGatewayDevice.LANDevice.{i}.LANHostConfigManagement.IPInterface.{i}.
table\tpool\tInternetGatewayDevice.LANDevice.{i}.LANHostConfigManagement.
table\thost\tInternetGatewayDevice.LANDevice.{i}.Hosts.Host.{i}.
object\tDevice.WiFi.Radio.{radio}.\tInternetGatewayDevice.LANDevice.{i}.WLANConfiguration.{i}.
Name\tName
object\tDevice.IP.Interface.{ip}.\tInternetGatewayDevice.LANDevice.{i}.LANHostConfigManagement.IPInterface.{i}.
Alias\tAlias
object\tDevice.DHCPv4.Server.Pool.{pool}.\tInternetGatewayDevice.LANDevice.{i}.LANHostConfigManagement.
Interface\t-\tlink Device.IP.Interface.{ip}.
object\tDevice.Hosts.Host.{host}.\tInternetGatewayDevice.LANDevice.{i}.Hosts.Host.{i}.
Layer3Interface\t-\tlink Device.IP.Interface.{ip}.
";

/// How mapping grows with the objects that `of` makes of each number.
fn assert_linear_in(of: impl Fn(u32) -> Vec<String>) {
    let rules: &'static Rules = Box::leak(Box::new(Rules::read(&[("few", RULES)]).unwrap()));
    let all = |n| (1..=n).flat_map(&of).collect::<Vec<_>>();
    let take = |all: &Vec<String>| {
        let start = work();
        let found = all.iter().map(|path| Discovered::new(path));
        let mapping = Mapping::with_rules(rules, found, Numbers::default()).unwrap();
        assert!(mapping.objects().count() >= all.len());
        work() - start
    };
    assert_linear(quarter_and_whole(4000, all, take));
}

#[test]
fn a_network_in_each_of_many_lan_devices_looks_at_no_other_radio() {
    let wlan = |n| format!("InternetGatewayDevice.LANDevice.{n}.WLANConfiguration.1.");
    assert_linear_in(|n| vec![wlan(n)]);
}

#[test]
fn a_link_from_each_of_many_lan_devices_looks_at_no_other_ones_interfaces() {
    let lan = |n: u32| format!("InternetGatewayDevice.LANDevice.{n}.");
    assert_linear_in(|n| {
        vec![
            format!("{}LANHostConfigManagement.IPInterface.{n}.", lan(1)),
            format!("{}LANHostConfigManagement.", lan(n + 1)),
            format!("{}Hosts.Host.1.", lan(n + 1)),
        ]
    });
}
