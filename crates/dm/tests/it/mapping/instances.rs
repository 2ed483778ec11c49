//! Which TR-098 instance becomes which TR-181 row.

use dm::mapping::{Discovered, Mapping, Numbers};

use super::trees::{self, ALL, Tree};

const WAN: &str = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.";
const WLAN: &str = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.";

/// What each of the trees became, to be read as documentation and compared.
const ROWS: &[(&str, &str)] = &[
    ("adsl-router", include_str!("trees/adsl-router.rows")),
    ("ipoe-ont", include_str!("trees/ipoe-ont.rows")),
    ("dual-band", include_str!("trees/dual-band.rows")),
    ("triple-play", include_str!("trees/triple-play.rows")),
    ("lte-router", include_str!("trees/lte-router.rows")),
    ("bridged", include_str!("trees/bridged.rows")),
];

fn rows(mapping: &Mapping) -> String {
    let objects = mapping.objects().map(|object| {
        let gateway = mapping.to_gateway(object);
        let gateway = gateway
            .first()
            .and_then(|path| path.strip_prefix("InternetGatewayDevice."));
        format!("{object} <- {}\n", gateway.unwrap_or_default())
    });
    objects.collect()
}

#[test]
fn every_gateway_becomes_the_rows_that_are_written_down() {
    for ((name, _), (same, wanted)) in ALL.iter().zip(ROWS) {
        assert_eq!(name, same);
        let rows = rows(&trees::mapping(&trees::tree(name)));
        assert!(rows == *wanted, "{name} became\n{rows}");
    }
}

fn lines(paths: &[String]) -> Tree {
    paths
        .iter()
        .map(|path| (path.clone(), String::new()))
        .collect()
}

#[test]
fn the_same_tree_gives_the_same_numbers_in_any_order() {
    for (name, _) in ALL {
        let tree = trees::tree(name);
        let backwards = tree
            .iter()
            .rev()
            .map(|(path, value)| Discovered::new(path).value(value));
        let backwards = Mapping::new(backwards, Numbers::default()).unwrap();
        assert_eq!(rows(&backwards), rows(&trees::mapping(&tree)));
    }
}

#[test]
fn a_connection_keeps_its_number_when_another_one_goes_and_a_new_one_comes() {
    let ppp = |device: u32| format!("{WAN}{device}.WANPPPConnection.1.Enable");
    let first = trees::mapping(&lines(&[ppp(1), ppp(2), ppp(3)]));
    assert_eq!(
        first
            .to_device(&format!("{WAN}3.WANPPPConnection.1."))
            .len(),
        7
    );
    let row = |mapping: &Mapping, device: u32| {
        let gateway = format!("{WAN}{device}.WANPPPConnection.1.");
        mapping
            .row_in("Device.PPP.Interface.", &gateway)
            .map(str::to_owned)
    };
    assert_eq!(row(&first, 2).as_deref(), Some("Device.PPP.Interface.2."));
    // A restart of the server: only the text was kept.
    let kept: Numbers = first.numbers().to_string().parse().unwrap();
    let later = trees::with_numbers(&lines(&[ppp(2), ppp(3), ppp(4)]), kept);
    assert_eq!(row(&later, 2).as_deref(), Some("Device.PPP.Interface.2."));
    assert_eq!(row(&later, 3).as_deref(), Some("Device.PPP.Interface.3."));
    assert_eq!(row(&later, 4).as_deref(), Some("Device.PPP.Interface.4."));
    // Without the text the numbers follow from the tree alone.
    let forgotten = trees::mapping(&lines(&[ppp(2), ppp(3), ppp(4)]));
    assert_eq!(
        row(&forgotten, 2).as_deref(),
        Some("Device.PPP.Interface.1.")
    );
}

#[test]
fn a_row_keeps_the_number_it_has_on_the_device_where_that_is_free() {
    let rule = |device: u32, n: u32| {
        format!("{WAN}{device}.WANPPPConnection.1.PortMapping.{n}.ExternalPort")
    };
    let mapping = trees::mapping(&lines(&[rule(1, 4), rule(1, 9), rule(2, 4), rule(2, 2)]));
    let row = |device, n| {
        let path = rule(device, n);
        mapping
            .to_device(path.trim_end_matches("ExternalPort"))
            .join(" ")
    };
    assert_eq!(row(1, 4), "Device.NAT.PortMapping.4.");
    assert_eq!(row(1, 9), "Device.NAT.PortMapping.9.");
    assert_eq!(row(2, 2), "Device.NAT.PortMapping.2.");
    assert_eq!(row(2, 4), "Device.NAT.PortMapping.1.");
}

fn radios(mapping: &Mapping) -> Vec<(&str, &str)> {
    let links = mapping.fixed().filter(|(path, _)| {
        path.starts_with("Device.WiFi.SSID.") && path.ends_with(".LowerLayers")
    });
    links.collect()
}

fn networks(channels: &[(u32, &str)]) -> Tree {
    let mut tree = Tree::new();
    for (n, channel) in channels {
        tree.insert(format!("{WLAN}{n}.SSID"), format!("n{n}"));
        if !channel.is_empty() {
            tree.insert(format!("{WLAN}{n}.Channel"), (*channel).to_owned());
        }
    }
    tree
}

fn radio_of(mapping: &Mapping, ssid: u32) -> &str {
    let path = format!("Device.WiFi.SSID.{ssid}.LowerLayers");
    let found = radios(mapping)
        .into_iter()
        .find(|(there, _)| *there == path);
    found.map(|(_, radio)| radio).unwrap()
}

#[test]
fn networks_on_one_band_share_a_radio_and_keep_it() {
    let first = trees::mapping(&networks(&[(1, "6"), (2, "6"), (5, "36"), (6, "36")]));
    assert_eq!(
        first
            .params()
            .filter(|(path, _)| path.ends_with("Radio.1.Channel"))
            .count(),
        1
    );
    assert_eq!(radio_of(&first, 2), "Device.WiFi.Radio.1");
    assert_eq!(radio_of(&first, 6), "Device.WiFi.Radio.2");
    // All of the first radio's networks go; the second one stays what it was, and a newcomer joins it.
    let later = networks(&[(5, "36"), (7, "40")]);
    let later = trees::with_numbers(&later, first.numbers().clone());
    assert_eq!(radio_of(&later, 5), "Device.WiFi.Radio.2");
    assert_eq!(radio_of(&later, 7), "Device.WiFi.Radio.2");
    assert_eq!(
        later.to_gateway("Device.WiFi.Radio.2.Channel"),
        [format!("{WLAN}5.Channel")]
    );
}

#[test]
fn a_network_numbered_before_its_band_was_known_moves_to_its_radio_once() {
    let blind = trees::mapping(&networks(&[(1, ""), (5, "")]));
    assert_eq!(radio_of(&blind, 5), "Device.WiFi.Radio.1");
    let seen = trees::with_numbers(&networks(&[(1, "1"), (5, "44")]), blind.numbers().clone());
    assert_eq!(radio_of(&seen, 1), "Device.WiFi.Radio.1");
    assert_eq!(radio_of(&seen, 5), "Device.WiFi.Radio.2");
    // It is off now and does not say its channel.
    let off = trees::with_numbers(&networks(&[(1, "1"), (5, "")]), seen.numbers().clone());
    assert_eq!(radio_of(&off, 5), "Device.WiFi.Radio.2");
}

#[test]
fn what_decides_the_band_is_asked_for() {
    let tree = trees::tree("lte-router");
    let wanted = Mapping::wants(tree.keys().map(String::as_str));
    assert!(wanted.contains(&&*format!("{WLAN}3.X_MOB_OperateBand")));
    assert!(wanted.contains(&&*format!("{WLAN}3.Channel")));
    assert!(wanted.iter().all(|path| path.starts_with(WLAN)));
}

#[test]
fn a_tree_that_is_larger_than_any_is_refused() {
    let max = dm::limits::MAPPING_PATHS_MAX;
    let paths: Vec<_> = (0..=max)
        .map(|n| format!("InternetGatewayDevice.X.{n}"))
        .collect();
    let all = |count| paths.iter().take(count).map(|path| Discovered::new(path));
    assert!(Mapping::new(all(max), Numbers::default()).is_ok());
    assert!(Mapping::new(all(max + 1), Numbers::default()).is_err());
}

#[test]
fn a_parameter_taken_out_takes_none_along_whose_name_begins_the_same() {
    let wlan = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
    let names = ["SSID", "SSIDAdvertisementEnabled"].map(|name| format!("{wlan}{name}"));
    let found = names.iter().map(|name| Discovered::new(name));
    let mut mapping = Mapping::new(found, Numbers::default()).unwrap();
    mapping.remove(&names[0]);
    let left: Vec<&str> = mapping.params().map(|(name, _)| name).collect();
    assert!(
        left.iter()
            .any(|name| name.ends_with("SSIDAdvertisementEnabled")),
        "{left:?}"
    );
    assert!(!left.contains(&"Device.WiFi.SSID.1.SSID"), "{left:?}");
}

#[test]
fn a_row_taken_out_takes_its_parameters_along() {
    let mut mapping = trees::mapping(&trees::tree("triple-play"));
    let row = "Device.NAT.PortMapping.2.";
    let gateway = mapping.deletion(row).unwrap().to_owned();
    mapping.remove(&gateway);
    assert_eq!(
        mapping
            .params()
            .filter(|(path, _)| path.starts_with(row))
            .count(),
        0
    );
    let count = mapping
        .fixed()
        .find(|(path, _)| *path == "Device.NAT.PortMappingNumberOfEntries");
    assert_eq!(count.map(|(_, value)| value), Some("1"));
}
